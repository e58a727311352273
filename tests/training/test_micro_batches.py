"""Batches that are too large for a GPU's memory run in micro-batches."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from tdmr_ray.data.task import Task
from tdmr_ray.models.target import Target
from tdmr_ray.training.config import TrialConfig
from tdmr_ray.training.distill import Distillation
from tdmr_ray.training.micro_batches import MicroBatches, run_in_micro_batches
from tdmr_ray.training.teacher_artifact import make_teacher

LOSSES = ("train/loss", "train/alignment", "train/logits", "train/labels", "val/log_loss")


def with_room_for(num_images: int) -> Callable[[int], int]:
    """Return work on 64 images that fails as long as a micro-batch has more than `num_images`."""

    def work(count: int) -> int:
        if 64 // count > num_images:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return count

    return work


@pytest.mark.parametrize(("room", "count"), [(64, 1), (40, 2), (16, 4), (3, 32), (2, 32)])
def test_micro_batches_are_halved_until_they_fit_and_stay_so(room: int, count: int) -> None:
    micro_batches = MicroBatches()
    assert micro_batches.retry(64, with_room_for(room)) == count
    assert micro_batches.retry(64, lambda again: again) == count
    divided = f"batches of 64 images ran in {count} micro-batches because memory ran out"
    note = f"target: {divided}; this affects only batch-norm statistics"
    assert micro_batches.notes("target", 64) == ([note] if count > 1 else [])


@pytest.mark.parametrize(("may_divide", "room"), [(True, 1), (False, 32)])
def test_memory_that_stays_too_small_is_an_error(may_divide: bool, room: int) -> None:
    """One image is too few for batch norm; several workers do not know each other's number of micro-batches."""
    with pytest.raises(torch.OutOfMemoryError):
        MicroBatches(may_divide=may_divide).retry(64, with_room_for(room))


@pytest.mark.parametrize("count", [1, 2, 3, 64])
@pytest.mark.parametrize("num_images", [2, 7, 16])
def test_gradients_do_not_depend_on_micro_batches(count: int, num_images: int) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(12, 8), nn.LayerNorm(8), nn.Linear(8, 3)).double()
    images = torch.rand(num_images, 3, 2, 2, dtype=torch.float64)

    def gradients(number: int) -> list[Tensor]:
        (logits,) = run_in_micro_batches(lambda part: (network(part),), images, number)
        loss = logits.softmax(dim=0).square().sum()  # of all images together, as CKA and DIST are
        return list(torch.autograd.grad(loss, list(network.parameters())))

    torch.testing.assert_close(gradients(count), gradients(1))


@pytest.mark.parametrize("room", [1, 3, 16])
def test_outputs_without_gradients_do_not_depend_on_micro_batches(room: int) -> None:
    rows = torch.arange(20)

    def double(part: Tensor) -> Tensor:
        if len(part) > room:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return part * 2

    if room == 1:
        with pytest.raises(torch.OutOfMemoryError):
            MicroBatches().map(rows, double, batch_size=16)
    else:
        assert torch.equal(torch.cat(MicroBatches().map(rows, double, batch_size=16)), rows * 2)


def test_target_trained_in_micro_batches_learns_the_same_and_leaves_a_note(
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
    assert "in 4 micro-batches" in run.notes[0]
    later = Distillation(config, tiny_task, artifact.outputs)
    later.restore(run.state())
    assert later.notes == run.notes
