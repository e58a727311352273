"""What a report shows of a trial."""

import base64
import io
import json

import pytest
import torch
from PIL import Image

from tdmr_ray.data.task import Task
from tdmr_ray.models.names import source_class_names
from tdmr_ray.training.config import TrialConfig
from tdmr_ray.training.fit import fit
from tdmr_ray.training.teacher_artifact import restore_teacher
from tdmr_ray.training.visualizations import MAX_PX, collect_visualizations, picture


def opened(text: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(text)))


@pytest.mark.parametrize(
    ("changes", "has_prompt", "has_sources"),
    [
        ({"mapping.kind": "bayesian", "prompt.size_px": 2}, True, True),
        ({"mapping.kind": "linear"}, False, False),
        ({"mapping.kind": "frequency", "prompt.kind": "overlay", "prompt.size_px": 3}, True, True),
    ],
)
def test_exhibits_say_what_teacher_and_target_say(
    changes: dict[str, object], has_prompt: bool, has_sources: bool, tiny_config: TrialConfig, tiny_task: Task
) -> None:
    config = tiny_config.with_values(changes)
    outcome = fit(config, tiny_task, lambda _: None)
    assert outcome.artifact is not None
    assert outcome.target is not None
    shown = json.loads(json.dumps(collect_visualizations(config, tiny_task, outcome.artifact, outcome.target)))
    assert shown["class_names"] == ["left", "middle", "right"]
    assert bool(shown["prompt"]) is has_prompt
    if has_sources:
        teacher = restore_teacher(config, outcome.artifact, 3)
        name, weight = shown["mapping"][1][0]
        place = source_class_names("glyph_cnn", 0).index(name)
        assert weight == pytest.approx(float(teacher.mapping.matrix[:, 1].max()), abs=1e-4)  # type: ignore[union-attr]
        assert float(teacher.mapping.matrix[place, 1]) == pytest.approx(weight, abs=1e-4)  # type: ignore[union-attr]
    else:
        assert shown["mapping"] is None
    for each in shown["disagreements"]:
        assert each["teacher"][0] != each["target"][0]
        assert opened(each["picture"]).size == (16, 16)


def test_pictures_are_small() -> None:
    assert opened(picture(torch.rand(3, 300, 150))).size == (MAX_PX // 2, MAX_PX)


def test_source_classes_have_names() -> None:
    assert len(source_class_names("glyph_vit", 0)) == len(set(source_class_names("glyph_vit", 0)))
    assert source_class_names("vit_tiny_patch16_224", 1000)[0].startswith("tench")
    assert source_class_names("vit_base_patch16_224.augreg_in21k", 21843)[:2] == ("class 0", "class 1")
