"""Results of a search are kept in a place that outlives its driver's machine."""

import shutil
from pathlib import Path

import pytest
from searching import run, write_space

from tdmr_ray.errors import SearchStopped
from tdmr_ray.out import fetch_earlier, open_storage
from tdmr_ray.places import Place
from tdmr_ray.runner.folders import Folders
from tdmr_ray.runner.mirror import Mirror, mirrored


def test_what_changes_is_copied_and_what_trials_send_themselves_is_not(tmp_path: Path) -> None:
    root, place = tmp_path / "here", Place(tmp_path / "there")
    for name in ("records.jsonl", "tensorboard/t1/events", "checkpoints/t1.pt", "finalists/c1/target", ".owner"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("1")
    mirror = Mirror(root, place, print)
    mirror.copy()
    assert place.fetch(tmp_path / "first") == 2
    shutil.rmtree(tmp_path / "there/tensorboard")
    (root / "records.jsonl").write_text("12")
    mirror.copy()
    assert place.fetch(tmp_path / "second") == 1
    assert (tmp_path / "second/records.jsonl").read_text() == "12"


def test_when_the_place_is_gone_at_the_end_one_message_says_where_everything_is(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "a file").touch()
    with (
        pytest.raises(SearchStopped, match=r"cannot be written: .* everything is in"),
        mirrored(Folders(tmp_path / "here", Place(tmp_path / "a file") / "inside"), print),
    ):
        (tmp_path / "here" / "records.jsonl").write_text("1")


def test_another_machine_begins_with_what_is_there_and_this_one_with_what_it_knows_itself(tmp_path: Path) -> None:
    place, root = Place(tmp_path / "there"), tmp_path / "here"
    (place / "records.jsonl").write_bytes(b"12\n")
    (place / "checkpoints" / "t1.pt").write_bytes(b"large")
    fetch_earlier(place, root, resume=True)
    assert (root / "records.jsonl").read_text() == "12\n"
    assert not (root / "checkpoints").exists()
    (root / "records.jsonl").write_text("12\n34\n")
    fetch_earlier(place, root, resume=True)
    assert (root / "records.jsonl").read_text() == "12\n34\n"


@pytest.mark.parametrize("storage", ["nosuch://bucket", "s3://no-such-bucket/prefix", "/proc/nothing"])
def test_a_storage_that_cannot_be_written_is_one_message(storage: str, s3: None, tmp_path: Path) -> None:
    space = write_space(tmp_path)
    arguments = ["--space", space, "--out", tmp_path / "out", "--storage", storage]
    with pytest.raises(ValueError, match="cannot be written"):
        open_storage(storage)
    if storage.startswith("s3"):
        run("search", *arguments, code=2)
        assert not (tmp_path / "out").exists()
