"""The preset of views that suits a task is decided once, said, and covered by keys."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from pydantic import ValidationError

from tdmr_ray.data.config import DataConfig
from tdmr_ray.data.decoded import decode_task, open_task
from tdmr_ray.data.loading import load_task
from tdmr_ray.data.preset import Preset, preset_of
from tdmr_ray.data.task import Task
from tdmr_ray.errors import InputError
from tdmr_ray.space import Space
from tdmr_ray.space.messages import readable
from tdmr_ray.space.parameter_rules import check_parameters
from tdmr_ray.training.config import TrialConfig
from tdmr_ray.training.teacher_artifact import teacher_key
from tdmr_ray.training.teacher_outputs import training_views


def grey_pixels(seed: int, px: int = 24) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (px, px), dtype=np.uint8)


def write_folder(root: Path, *, coloured: int = 0, mode: str = "L", suffix: str = "png") -> str:
    """Two classes of 12 images of grey noise, the first `coloured` of which are red all over."""
    for number in range(24):
        folder = root / "ab"[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        image = Image.fromarray(grey_pixels(number)).convert(mode)
        if number < coloured:
            image = Image.new("RGB", (24, 24), (200, 40, 40 + number))
        image.save(folder / f"{number:02}.{suffix}")
    return str(root)


@pytest.mark.parametrize(
    ("written", "preset"),
    [
        ({}, "document"),
        ({"mode": "RGB"}, "document"),
        ({"mode": "RGB", "suffix": "jpg"}, "document"),
        ({"coloured": 24}, "photo"),
        ({"coloured": 12}, "photo"),
    ],
    ids=["grey", "grey as colour", "grey JPEG in colour", "coloured", "half coloured"],
)
def test_preset_of_a_folder_follows_the_decoded_images_and_is_said(
    written: dict[str, Any], preset: Preset, tmp_path: Path
) -> None:
    task = load_task(DataConfig(name=write_folder(tmp_path / "set", **written), image_px=16))
    assert task.preset == preset
    said = {
        "photo": "views: preset 'photo', mirrored; set views.preset: document or views.mirror: false "
        "if a mirrored image changes its class",
        "document": "views: preset 'document', not mirrored, because all images are grey; "
        "set views.preset: photo if they are photographs",
    }
    assert task.notes[-1] == said[preset]
    assert training_views(TrialConfig(), task).settings.mirror is (preset == "photo")


@pytest.mark.parametrize("name", ["digits", "script"])
def test_built_in_sets_are_documents_without_a_remark(name: str) -> None:
    task = load_task(DataConfig(name=name, shots=1))
    assert (task.preset, task.notes) == ("document", ())


def test_one_colour_in_one_image_makes_photographs() -> None:
    images = torch.full((600, 3, 8, 8), 7, dtype=torch.uint8)
    assert preset_of(images) == "document"
    images[599, 0, 0, 0] = 9
    assert preset_of(images) == "document"
    images[599, 0, 0, 0] = 10
    assert preset_of(images) == "photo"


def test_arrays_are_documents_unless_they_are_said_to_be_something_else() -> None:
    images = np.stack([np.stack([grey_pixels(number + shift) for shift in (0, 30, 60)]) for number in range(30)])
    tasks = {preset: Task.from_arrays(images, np.arange(30) % 2, preset=preset) for preset in ("photo", "document")}
    assert Task.from_arrays(images, np.arange(30) % 2).fingerprint == tasks["document"].fingerprint
    assert [task.preset for task in tasks.values()] == ["photo", "document"]
    assert not any("views" in note for task in tasks.values() for note in task.notes)
    wrong: Any = "poster"
    with pytest.raises(InputError, match="preset must be one of photo, document, none, got 'poster'"):
        Task.from_arrays(images, np.arange(30) % 2, preset=wrong)


def test_teachers_of_tasks_that_differ_in_their_preset_have_different_keys(tiny_config: TrialConfig) -> None:
    images = np.stack([np.stack([grey_pixels(number)] * 3) for number in range(30)])
    keys = {
        teacher_key(tiny_config, Task.from_arrays(images, np.arange(30) % 2, preset=preset).fingerprint)
        for preset in ("photo", "document", "none", "document")
    }
    assert len(keys) == 3


def test_preset_and_remark_survive_the_way_over_the_disk(tmp_path: Path) -> None:
    config = DataConfig(name=write_folder(tmp_path / "set", coloured=24), image_px=16)
    (tmp_path / "decoded").mkdir()
    decode_task(config, tmp_path / "decoded")
    opened, loaded = open_task(tmp_path / "decoded"), load_task(config)
    assert (opened.preset, opened.notes, opened.fingerprint) == (loaded.preset, loaded.notes, loaded.fingerprint)


def test_the_former_name_of_mirroring_is_answered_with_todays() -> None:
    tree = {"name": "a", "data": {"name": "digits", "mirror": True}, "pairs": {"foundations": [], "targets": []}}
    with pytest.raises(ValidationError) as caught:
        Space.model_validate(tree)
    assert "data.mirror: unknown key; it is now 'views.mirror'" in readable(caught.value, Space)
    hint = "fixed.data.mirror: unknown parameter; it is now 'views.mirror'"
    assert check_parameters({}, {"data.mirror": True}) == [hint]
