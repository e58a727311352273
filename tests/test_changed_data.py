"""A search is resumed with the images that it began with, or begins anew beside the earlier trials."""

import contextlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from helpers.searching import run
from PIL import Image

import tdmr_ray
from tdmr_ray.data.config import DataConfig
from tdmr_ray.data.datasets import forget_datasets
from tdmr_ray.data.loading import load_task
from tdmr_ray.errors import InputError
from tdmr_ray.ledger import Ledger
from tdmr_ray.runner.task_cache import TaskCache
from tdmr_ray.training.config import TrialConfig
from tdmr_ray.tuning.trial_spec import build_spec

CONFIRM = {"top": 1, "seeds": [0], "controls": ["linear_probe"], "steps": 8, "rival_trials": 1}


def make_images(folder: Path) -> None:
    """Three classes of 16 noisy pictures whose brightness is the class."""
    chance = np.random.default_rng(0)
    for number, name in enumerate(("dark", "grey", "bright")):
        (folder / name).mkdir(parents=True)
        for index in range(16):
            pixels = chance.integers(0, 90, (16, 16, 3), dtype=np.uint8) + np.uint8(80 * number)
            Image.fromarray(pixels).save(folder / name / f"{index}.png")


SPACE: dict[str, Any] = {
    "name": "changing",
    "data": {"name": "./images", "image_px": 16},
    "pairs": {"foundations": ["glyph_cnn"], "targets": ["lcnet_035"]},
    "budget": {"trials": 2, "epochs": 2},
    "confirm": CONFIRM,
    "search": {"mapping.kind": {"choices": ["frequency", "linear"]}},
    "fixed": {"outputs.num_views": 2, "reprogram.epochs": 1},
}
"""A search of the images in the working directory."""


def arguments_of(folder: Path) -> list[object]:
    (folder / "space.yaml").write_text(yaml.safe_dump(SPACE))
    return ["--space", folder / "space.yaml", "--out", folder / "out", "--store", folder / "store"]


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with images and a finished search of them."""
    folder = tmp_path_factory.mktemp("searched")
    make_images(folder / "images")
    with contextlib.chdir(folder):
        run("search", *arguments_of(folder))
    return folder


@pytest.fixture
def folder(searched: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy, since the images' content counts and not where they are."""
    shutil.copytree(searched, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def add(images: Path) -> None:
    shutil.copy(images / "dark/0.png", images / "dark/new.png")


def remove(images: Path) -> None:
    (images / "grey/3.png").unlink()


def change_a_label(images: Path) -> None:
    (images / "grey/3.png").rename(images / "dark/moved.png")


def change_a_picture(images: Path) -> None:
    Image.new("RGB", (16, 16), "red").save(images / "grey/3.png")


def touch(images: Path) -> None:
    for path in images.rglob("*.png"):
        os.utime(path, (1, 1))


def content_of(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != ".lock"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "told"),
    [
        (add, "class 'dark': 16 images before, 17 now"),
        (remove, "class 'grey': 16 images before, 15 now"),
        (change_a_label, "class 'dark': 16 images before, 17 now"),
        (change_a_picture, "had other images, labels or splits; restore them"),
    ],
)
def test_resume_with_other_images_is_refused_and_changes_nothing(
    change: Callable[[Path], None], told: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ray.init", None)
    change(folder / "images")
    before = content_of(folder / "out")
    with pytest.raises(InputError, match="restore them, or give --new-data to begin anew") as refused:
        tdmr_ray.run_search(SPACE, out=folder / "out", store=folder / "store", resume=True)
    assert told in str(refused.value)
    assert content_of(folder / "out") == before


@pytest.mark.slow
def test_resume_accepts_new_times_of_files_and_finishes_nothing_twice(searched: Path) -> None:
    folder = searched
    touch(folder / "images")
    before = (folder / "out/records.jsonl").read_bytes()
    with contextlib.chdir(folder):
        run("search", *arguments_of(folder), "--resume")
    assert (folder / "out/records.jsonl").read_bytes() == before


@pytest.mark.slow
def test_new_data_begins_anew_and_the_old_trials_do_not_count(searched: Path) -> None:
    folder = searched
    old = Ledger(folder / "out/records.jsonl").read()
    assert {record.phase for record in old} == {"search", "confirm", "refit"}
    assert all(record.data and len(record.search_data) == 64 for record in old)
    change_a_label(folder / "images")
    with contextlib.chdir(folder):
        said = run("search", *arguments_of(folder), "--resume", "--new-data")
    assert "2 earlier trials had other images and do not count" in said
    records = Ledger(folder / "out/records.jsonl").read()
    assert [record.id for record in records if record.outside] == [record.id for record in old]
    new = [record for record in records if not record.outside]
    assert [record.phase for record in new].count("search") == 2
    assert not {record.search_data for record in new} & {record.search_data for record in old}
    assert not {record.recipe for record in new if record.phase == "search"} - {record.recipe for record in old}
    (table,) = json.loads((folder / "out/leaderboard.json").read_text())["tables"]
    assert [row["num_trials"]["complete"] for row in table["rows"]] == [2]
    shipped = json.loads((folder / "out/best/glyph_cnn-lcnet_035/config.json").read_text())["record"]
    assert shipped in {record.id for record in new}
    assert len(list((folder / "out").glob("best-*/glyph_cnn-lcnet_035/config.json"))) == 1


def test_new_data_needs_resume(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="goes with --resume"):
        tdmr_ray.run_search(SPACE, new_data=True)


def test_trials_of_other_images_have_other_ids() -> None:
    ids = {build_spec(TrialConfig(), phase="search", search_data=data).id for data in ("", "a", "b")}
    assert len(ids) == 3


def test_images_that_change_during_a_search_end_it(tmp_path: Path) -> None:
    make_images(tmp_path / "images")
    tasks, data = TaskCache(), DataConfig(name=str(tmp_path / "images"), image_px=16)
    assert tasks.get(data).fingerprint == load_task(data).fingerprint
    touch(tmp_path / "images")
    forget_datasets()  # another process has not listed them yet
    tasks.get(data)
    remove(tmp_path / "images")
    forget_datasets()
    with pytest.raises(InputError, match="have changed since the search began; restore them"):
        tasks.get(data)
