"""Teacher outputs: for a view, averaged over the views of its image, and propagated between similar images."""

from pathlib import Path

import torch

from tdmr_ray.data.task import Task
from tdmr_ray.training.config import TrialConfig
from tdmr_ray.training.label_propagation import propagate_labels
from tdmr_ray.training.teacher_artifact import load_artifact, make_teacher, open_outputs, restore_teacher, save_artifact
from tdmr_ray.training.teacher_outputs import AveragedOutputs, StoredOutputs, average_over_views, training_views


def stored_outputs(config: TrialConfig, task: Task) -> StoredOutputs | AveragedOutputs:
    outputs = make_teacher(config, task).outputs
    assert outputs is not None
    return outputs


def test_view_averaging_moves_outputs_from_the_view_to_the_image(tiny_config: TrialConfig, tiny_task: Task) -> None:
    rows, views = torch.arange(42), training_views(tiny_config, tiny_task)
    outputs_by_share = {}
    for share in (0.0, 0.5, 1.0):
        outputs = stored_outputs(tiny_config.replace(outputs__view_averaging=share), tiny_task)
        outputs_by_share[share] = [outputs.batch(views.batch(rows, number)) for number in (0, 1)]
    first, second = outputs_by_share[1.0]
    assert torch.equal(first.logits, second.logits)
    assert torch.equal(first.embedding, second.embedding)
    assert not torch.equal(outputs_by_share[0.0][0].logits, outputs_by_share[0.0][1].logits)
    middle = (outputs_by_share[0.0][0].logits + first.logits) / 2
    torch.testing.assert_close(outputs_by_share[0.5][0].logits, middle, atol=0.01, rtol=0.01)


def test_mixed_view_averages_both_images_by_their_ratio(tiny_config: TrialConfig, tiny_task: Task) -> None:
    whole = torch.tensor(stored_outputs(tiny_config.replace(outputs__view_averaging=1.0), tiny_task).logits).float()
    config = tiny_config.with_values({"outputs.view_averaging": 1.0, "views.mix": 1.0})
    view = training_views(config, tiny_task).batch(torch.arange(42), 0)
    ratio = view.ratio[:, None]
    expected = ratio * whole + (1 - ratio) * whole[view.partner]
    for kind in ("stored", "live"):
        made = make_teacher(config.replace(outputs__kind=kind), tiny_task)
        mixed = open_outputs(config.replace(outputs__kind=kind), tiny_task, made).batch(view).logits
        torch.testing.assert_close(mixed, expected.float(), atol=0.02, rtol=0.02)


def test_averages_serve_a_new_view_in_every_pass(tiny_config: TrialConfig, tiny_task: Task) -> None:
    config = tiny_config.replace(outputs__view_averaging=1.0)
    assert stored_outputs(tiny_config, tiny_task).num_views == 2
    outputs = stored_outputs(config, tiny_task)
    assert outputs.num_views is None
    assert outputs.logits.shape == (42, 3)
    view = training_views(config, tiny_task).batch(torch.arange(42), 1234)
    assert torch.equal(outputs.batch(view).logits, torch.tensor(outputs.logits).float())


def test_averages_come_back_from_disk(tiny_config: TrialConfig, tiny_task: Task, tmp_path: Path) -> None:
    made = make_teacher(tiny_config.replace(outputs__view_averaging=1.0), tiny_task)
    save_artifact(made, tmp_path)
    loaded = load_artifact(tmp_path).outputs
    assert isinstance(loaded, AveragedOutputs)
    assert isinstance(made.outputs, AveragedOutputs)
    assert (loaded.logits == made.outputs.logits).all()
    assert (loaded.embedding == made.outputs.embedding).all()


def test_stored_outputs_are_propagated_averages(tiny_config: TrialConfig, tiny_task: Task) -> None:
    config = tiny_config.replace(
        outputs__view_averaging=1.0, outputs__propagation_neighbors=3, outputs__propagation_alpha=0.5
    )
    artifact = make_teacher(config, tiny_task)
    teacher = restore_teacher(config, artifact, tiny_task.num_classes)
    alone = average_over_views(teacher, training_views(config, tiny_task), torch.device("cpu"))
    expected = propagate_labels(alone, neighbors=3, alpha=0.5)
    stored = open_outputs(config, tiny_task, artifact).batch(
        training_views(config, tiny_task).batch(torch.arange(42), 0)
    )
    for own, kept in zip(expected, stored, strict=True):
        torch.testing.assert_close(kept, own, atol=0.01, rtol=0.01)
    assert not torch.allclose(expected.logits, alone.logits, atol=0.1)
