"""Batches that are too large for a GPU's memory go through a network in parts."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from tdmr_ray.data.task import Task
from tdmr_ray.models.target import Target
from tdmr_ray.training.config import TrialConfig
from tdmr_ray.training.distill import Distillation
from tdmr_ray.training.micro_batches import MicroBatches, in_micro_batches
from tdmr_ray.training.teacher_artifact import make_teacher

LOSSES = ("train/loss", "train/alignment", "train/logits", "train/labels", "val/loss")


def with_room_for(num_images: int) -> Callable[[int], int]:
    """Work on 64 images that fails as long as a part has more than `num_images`."""

    def work(num_parts: int) -> int:
        if 64 // num_parts > num_images:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return num_parts

    return work


@pytest.mark.parametrize(("room", "num_parts"), [(64, 1), (40, 2), (16, 4), (3, 32), (2, 32)])
def test_parts_are_halved_until_they_fit_and_stay_so(room: int, num_parts: int) -> None:
    micro_batches = MicroBatches()
    assert micro_batches.run_with_retry(64, with_room_for(room)) == num_parts
    assert micro_batches.run_with_retry(64, lambda again: again) == num_parts
    (note,) = micro_batches.notes("target", 64) or [""]
    assert (f"in {num_parts} parts" in note) == (num_parts > 1)


@pytest.mark.parametrize(("may_divide", "room"), [(True, 1), (False, 32)])
def test_memory_that_is_short_all_the_same_is_an_error(may_divide: bool, room: int) -> None:
    """One image is too few for batch norm; several workers do not know of each other's parts."""
    with pytest.raises(torch.OutOfMemoryError):
        MicroBatches(may_divide=may_divide).run_with_retry(64, with_room_for(room))


@pytest.mark.parametrize("num_parts", [1, 2, 3, 64])
@pytest.mark.parametrize("num_images", [2, 7, 16])
def test_gradients_of_parts_are_those_of_the_whole(num_parts: int, num_images: int) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(12, 8), nn.LayerNorm(8), nn.Linear(8, 3)).double()
    images = torch.rand(num_images, 3, 2, 2, dtype=torch.float64)

    def gradients(parts: int) -> list[Tensor]:
        (logits,) = in_micro_batches(lambda part: (network(part),), images, parts)
        loss = logits.softmax(dim=0).square().sum()  # of all images together, as losses of relations are
        return list(torch.autograd.grad(loss, list(network.parameters())))

    torch.testing.assert_close(gradients(num_parts), gradients(1))


@pytest.mark.parametrize("room", [1, 3, 16])
def test_answers_do_not_depend_on_parts(room: int) -> None:
    rows = torch.arange(20)

    def say(part: Tensor) -> Tensor:
        if len(part) > room:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return part * 2

    if room == 1:
        with pytest.raises(torch.OutOfMemoryError):
            MicroBatches().ask(rows, say, at_once=16)
    else:
        assert torch.equal(torch.cat(MicroBatches().ask(rows, say, at_once=16)), rows * 2)


def test_a_target_learns_the_same_in_parts_where_memory_is_short_and_its_notes_say_so(
    tiny_config: TrialConfig, tiny_task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A transformer, since its layer norm does not see how a batch is divided."""
    config = tiny_config.with_values({"target.name": "test_vit"})
    artifact = make_teacher(config, tiny_task)
    expected = Distillation(config, tiny_task, artifact.outputs).run_epoch()
    room, forward, sizes = config.distill.batch_size // 3, Target.forward, set()

    def cramped(self: Target, images: Tensor, detach_head: bool = False) -> object:
        if self.training and len(images) > room:
            raise torch.OutOfMemoryError("CUDA out of memory")
        sizes.add(len(images) if self.training else 0)
        return forward(self, images, detach_head)

    monkeypatch.setattr(Target, "forward", cramped)
    run = Distillation(config, tiny_task, artifact.outputs)
    metrics = run.run_epoch()
    assert 0 < max(sizes) <= room
    assert {name: metrics[name] for name in LOSSES} == pytest.approx(
        {name: expected[name] for name in LOSSES}, rel=1e-3
    )
    assert "in 4 parts" in run.notes[0]
    later = Distillation(config, tiny_task, artifact.outputs)
    later.restore(run.state())
    assert later.notes == run.notes
