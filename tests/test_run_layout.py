"""Locations of a run's files."""

import pickle
from pathlib import Path

import pytest

from tdmr_ray.run_layout import RunLayout, TrainLayout, TrialFiles
from tdmr_ray.storage import StoragePath


def test_trials_write_to_the_shared_storage_and_the_watchdog_to_the_local_disk(tmp_path: Path) -> None:
    layout = RunLayout(tmp_path / "out", StoragePath(tmp_path / "shared"))
    for location in (layout.checkpoint("t1"), layout.finalist("t1"), layout.error("t1"), layout.ray_train):
        assert location.path.startswith(str(tmp_path / "shared"))
    assert layout.stack("t1").is_relative_to(tmp_path / "out")


def test_what_trials_wrote_is_fetched_from_the_shared_storage(tmp_path: Path) -> None:
    layout = RunLayout(tmp_path / "out", StoragePath(tmp_path / "shared"))
    layout.error("t1").write_bytes(b"Traceback")
    (layout.finalist("t2") / "target.safetensors").write_bytes(b"weights")
    layout.fetch_from_trials()
    assert (tmp_path / "out/errors/t1.txt").read_bytes() == b"Traceback"
    assert (layout.finalists / "t2/target.safetensors").read_bytes() == b"weights"


@pytest.mark.parametrize("shared", [True, False])
def test_a_layout_names_the_same_files_in_another_process(shared: bool, tmp_path: Path) -> None:
    storage = StoragePath(tmp_path / "shared")
    layouts: list[TrialFiles] = [
        RunLayout(tmp_path / "out", storage if shared else None),
        TrainLayout(storage, tmp_path / "scratch"),
    ]
    for layout in layouts:
        copy = pickle.loads(pickle.dumps(layout))
        for name in ("checkpoint", "finalist", "error"):
            assert getattr(copy, name)("t1").path == getattr(layout, name)("t1").path
        assert copy.stack("t1") == layout.stack("t1")
