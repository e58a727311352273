"""Tasks without val, or without test, are saved, opened and shown like any other."""

from pathlib import Path

import pytest
import torch
from pictures import make_folder
from PIL import Image

from tdmr_ray.data.config import DataConfig
from tdmr_ray.data.contact_sheet import write_contact_sheets
from tdmr_ray.data.decoded import decode_task, open_task, save_task
from tdmr_ray.data.loading import load_task
from tdmr_ray.data.task import Images, Task

VARIANTS: dict[str, tuple[dict[str, object], tuple[int, int, int]]] = {
    "val joined": ({"join": "val"}, (14, 0, 6)),
    "val and test joined": ({"join": "all"}, (20, 0, 0)),
    "fold": ({"folds": 5, "fold": 4}, (16, 0, 4)),
}
"""Changes of the data section, and the number of images in train, val and test."""


def sizes(task: Task) -> tuple[int, int, int]:
    return len(task.train), len(task.val), len(task.test)


def same(one: Images, other: Images) -> bool:
    return torch.equal(one.images, other.images) and torch.equal(one.labels, other.labels)


@pytest.mark.parametrize("variant", VARIANTS)
def test_tasks_with_empty_splits_are_saved_and_opened(tmp_path: Path, variant: str) -> None:
    changes, expected = VARIANTS[variant]
    data = DataConfig(name=str(make_folder(tmp_path / "set", 10)), image_px=16, **changes)
    task = load_task(data)
    assert sizes(task) == expected
    for name in ("saved", "decoded"):
        (tmp_path / name).mkdir()
    save_task(task, tmp_path / "saved")
    decode_task(data, tmp_path / "decoded")
    for opened in (open_task(tmp_path / "saved"), open_task(tmp_path / "decoded")):
        assert (sizes(opened), opened.fingerprint, opened.summary) == (expected, task.fingerprint, task.summary)
        for one, other in ((opened.train, task.train), (opened.val, task.val), (opened.test, task.test)):
            assert same(one, other)
        assert opened.val.images.shape[1:] == (3, 16, 16)


@pytest.mark.parametrize("variant", VARIANTS)
def test_contact_sheets_show_the_images_of_the_splits_that_are_left(tmp_path: Path, variant: str) -> None:
    changes, expected = VARIANTS[variant]
    task = load_task(DataConfig(name=str(make_folder(tmp_path / "set", 10)), image_px=16, **changes))
    paths = write_contact_sheets(task, tmp_path / "sheets")
    assert [path.name for path in paths] == ["000-left.png", "001-right.png"]
    for path in paths:
        with Image.open(path) as sheet:
            assert sheet.height == -(-sum(expected) // 2 // 8) * 18 + 2
