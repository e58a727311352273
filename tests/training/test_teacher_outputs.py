"""TeacherOutputs: what a teacher says of a view, of its whole image, and of what is similar to it."""

import pytest
import torch

from tdmr_ray.data.task import Task
from tdmr_ray.method.teacher import ProxySpace
from tdmr_ray.training.config import TrialConfig
from tdmr_ray.training.teacher_artifact import make_teacher, open_outputs, restore_teacher
from tdmr_ray.training.teacher_outputs import StoredOutputs, average_over_views, propagate_labels, training_views

GROUPS = ProxySpace(
    embedding=torch.tensor([[1.0, 0.02 * place] for place in range(4)] + [[0.02 * place, 1.0] for place in range(4)]),
    logits=torch.tensor([[2.0, 0.0], [0.0, 1.0], [2.0, 0.0], [2.0, 0.0]] + [[0.0, 2.0]] * 4),
)
"""Two groups of four images that look alike; the second image of the first is taken for one of the other."""


def stored_signals(config: TrialConfig, task: Task) -> StoredOutputs:
    outputs = make_teacher(config, task).outputs
    assert outputs is not None
    return outputs


def test_consensus_moves_answers_from_the_view_to_the_image(tiny_config: TrialConfig, tiny_task: Task) -> None:
    rows, views = torch.arange(42), training_views(tiny_config, tiny_task)
    said = {}
    for share in (0.0, 0.5, 1.0):
        outputs = stored_signals(tiny_config.replace(outputs__view_averaging=share), tiny_task)
        said[share] = [outputs.batch(views.batch(rows, number)) for number in (0, 1)]
    first, second = said[1.0]
    assert torch.equal(first.logits, second.logits)
    assert torch.equal(first.embedding, second.embedding)
    assert not torch.equal(said[0.0][0].logits, said[0.0][1].logits)
    middle = (said[0.0][0].logits + first.logits) / 2
    torch.testing.assert_close(said[0.5][0].logits, middle, atol=0.01, rtol=0.01)


def test_a_mixed_view_has_the_consensus_of_both_images_by_its_ratio(tiny_config: TrialConfig, tiny_task: Task) -> None:
    whole = stored_signals(tiny_config.replace(outputs__view_averaging=1.0), tiny_task).logits[0].astype("float32")
    config = tiny_config.with_values({"outputs.view_averaging": 1.0, "views.mix": 1.0})
    mixed = stored_signals(config, tiny_task).logits[0].astype("float32")
    view = training_views(config, tiny_task).batch(torch.arange(42), 0)
    ratio = view.ratio[:, None].numpy()
    expected = ratio * whole + (1 - ratio) * whole[view.partner.numpy()]
    torch.testing.assert_close(torch.tensor(mixed), torch.tensor(expected), atol=0.02, rtol=0.02)


def test_two_images_that_are_neighbors_share_what_is_said_of_them() -> None:
    """Z = (1 - s) * (I - s * P)**-1 @ L with P = [[0, 1], [1, 0]], by hand: (L[0] + s * L[1]) / (1 + s)."""
    said = ProxySpace(torch.tensor([[1.0, 0.0], [1.0, 0.0]]), torch.tensor([[3.0, 0.0], [0.0, 6.0]]))
    moved = propagate_labels(said, neighbors=1, spread=0.5)
    torch.testing.assert_close(moved.logits, torch.tensor([[2.0, 2.0], [1.0, 4.0]]))


def test_an_answer_that_stands_alone_among_similar_images_is_outvoted() -> None:
    moved = propagate_labels(GROUPS, neighbors=3, spread=0.8)
    assert moved.logits.argmax(dim=1).tolist() == [0] * 4 + [1] * 4
    assert torch.equal(GROUPS.logits.argmax(dim=1), torch.tensor([0, 1, 0, 0, 1, 1, 1, 1]))


@pytest.mark.parametrize("neighbors", [1, 3, 100])
def test_neighbors_change_nothing_where_all_agree_or_none_counts(neighbors: int) -> None:
    alike = ProxySpace(torch.ones(5, 2), torch.tensor([[1.0, 2.0, 3.0]]).repeat(5, 1))
    for said, spread in ((alike, 0.8), (GROUPS, 0.0)):
        for own, moved in zip(said, propagate_labels(said, neighbors=neighbors, spread=spread), strict=True):
            torch.testing.assert_close(moved, own)


def test_signals_hold_what_neighbors_say(tiny_config: TrialConfig, tiny_task: Task) -> None:
    config = tiny_config.replace(
        outputs__view_averaging=1.0, outputs__propagation_neighbors=3, outputs__propagation_alpha=0.5
    )
    artifact = make_teacher(config, tiny_task)
    teacher = restore_teacher(config, artifact, tiny_task.num_classes)
    alone = average_over_views(teacher, training_views(config, tiny_task), torch.device("cpu"))
    expected = propagate_labels(alone, neighbors=3, spread=0.5)
    said = open_outputs(config, tiny_task, artifact).batch(training_views(config, tiny_task).batch(torch.arange(42), 0))
    for own, stored in zip(expected, said, strict=True):
        torch.testing.assert_close(stored, own, atol=0.01, rtol=0.01)
    assert not torch.allclose(expected.logits, alone.logits, atol=0.1)
