"""Visualizations of a trial: prompt, mapping, and images on which teacher and target disagree."""

import base64
import io
import json

import pytest
import torch
from PIL import Image
from torch import nn

from tdmr_ray.data.task import Task
from tdmr_ray.method.teacher import Teacher
from tdmr_ray.models import Target, load_target
from tdmr_ray.models.names import source_class_names
from tdmr_ray.training.config import TrialConfig
from tdmr_ray.training.teacher_artifact import TeacherArtifact, make_teacher, restore_teacher
from tdmr_ray.training.visualizations import MAX_DISAGREEMENTS, MAX_PX, Visualizations, collect_visualizations, picture


def opened(text: str) -> Image.Image:
    """Decode a picture."""
    return Image.open(io.BytesIO(base64.b64decode(text)))


def target_that_prefers(task_class: int) -> Target:
    """Return a target with the same logits for every image: 2 for one class and 0 for the two others."""
    target = load_target("lcnet_035", num_classes=3, image_px=16).eval()
    head = target.network.get_classifier()
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)
    with torch.no_grad():
        head.bias[task_class] = 2.0
    return target


def visualizations_of(
    changes: dict[str, object], config: TrialConfig, task: Task
) -> tuple[Visualizations, TeacherArtifact, Teacher]:
    """Make a teacher and collect what is shown of it and of a target that always sees `left`; through JSON."""
    changed = config.with_values({**changes, "outputs.kind": "live"})
    artifact = make_teacher(changed, task)
    shown = collect_visualizations(changed, task, artifact, target_that_prefers(0))
    return json.loads(json.dumps(shown)), artifact, restore_teacher(changed, artifact, 3)


@pytest.mark.parametrize(
    ("changes", "has_prompt", "has_sources"),
    [
        ({"mapping.kind": "bayesian", "prompt.size_px": 2}, True, True),
        ({"mapping.kind": "linear"}, False, False),
        ({"mapping.kind": "frequency", "prompt.kind": "overlay", "prompt.size_px": 3}, True, True),
    ],
    ids=str,
)
def test_prompt_and_strongest_source_classes_are_those_of_the_teacher(
    changes: dict[str, object], has_prompt: bool, has_sources: bool, tiny_config: TrialConfig, tiny_task: Task
) -> None:
    shown, artifact, teacher = visualizations_of(changes, tiny_config, tiny_task)
    assert shown["class_names"] == ["left", "middle", "right"]
    assert shown["prompt"] == (picture(artifact.pictures["prompt"]) if has_prompt else "")
    matrix = teacher.mapping.source_weights()
    assert (shown["mapping"] is not None) is (matrix is not None) is has_sources
    if matrix is not None and shown["mapping"] is not None:
        assert len(shown["mapping"]) == 3
        for column, strongest in zip(matrix.T, shown["mapping"], strict=True):
            expected = column[column > 0].sort(descending=True).values[:3].tolist()
            assert [weight for _, weight in strongest] == pytest.approx(expected, abs=1e-4)
            for name, weight in strongest:
                place = source_class_names("glyph_cnn", 0).index(name)
                assert float(column[place]) == pytest.approx(weight, abs=1e-4)


def test_disagreements_are_the_images_that_teacher_and_target_classify_differently(
    tiny_config: TrialConfig, tiny_task: Task
) -> None:
    """The linear teacher is right about all 15 images of val; the target calls every one of them `left`."""
    changes = {"reprogram.epochs": 3, "views.contrast": 0.0}
    shown, artifact, teacher = visualizations_of(changes, tiny_config, tiny_task)
    assert artifact.val_top1 == 1.0
    found = shown["disagreements"]
    assert len(found) == 10 <= MAX_DISAGREEMENTS
    with torch.no_grad():
        probabilities = teacher(tiny_task.val.images.float() / 255).logits.softmax(dim=1)
    left = torch.tensor([2.0, 0.0, 0.0]).softmax(dim=0)[0].item()
    expected = {
        picture(image.float() / 255): (tiny_task.class_names[label], row[label].item())
        for image, label, row in zip(tiny_task.val.images, tiny_task.val.labels.tolist(), probabilities, strict=True)
        if label
    }
    assert {each["picture"] for each in found} == set(expected)
    for each in found:
        name, probability = expected[each["picture"]]
        assert each["label"] == each["teacher"][0] == name
        assert each["teacher"][1] == pytest.approx(probability, abs=2e-3)
        assert each["target"] == ["left", round(left, 3)]
        assert opened(each["picture"]).size == (16, 16)
    least = [min(each["teacher"][1], each["target"][1]) for each in found]
    assert least == sorted(least, reverse=True)


def test_pictures_are_scaled_to_the_largest_side() -> None:
    assert opened(picture(torch.rand(3, 300, 150))).size == (MAX_PX // 2, MAX_PX)


def test_source_classes_have_names() -> None:
    assert len(source_class_names("glyph_vit", 0)) == len(set(source_class_names("glyph_vit", 0)))
    assert source_class_names("vit_tiny_patch16_224", 1000)[0].startswith("tench")
    assert source_class_names("vit_base_patch16_224.augreg_in21k", 21843)[:2] == ("class 0", "class 1")
