"""A search whose output and teachers are on S3 (moto's server, on loopback) outlives its driver's machine."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from helpers.resuming import CHANGES, kill, reproducible_rows, start
from helpers.searching import command, run, write_space
from helpers.waiting import PATIENCE_S, wait_until

from tdmr_ray.errors import SearchStopped
from tdmr_ray.output_dir import fetch_earlier, open_storage
from tdmr_ray.run_layout import RunLayout
from tdmr_ray.runner.mirror import Mirror, mirrored
from tdmr_ray.storage import StoragePath


def test_the_mirror_copies_changed_files_but_not_those_that_trials_send(tmp_path: Path) -> None:
    root, storage_dir = tmp_path / "here", StoragePath(tmp_path / "there")
    for name in ("records.jsonl", "tensorboard/t1/events", "checkpoints/t1.pt", "finalists/c1/target", ".owner"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("1")
    mirror = Mirror(root, storage_dir, print)
    mirror.copy()
    assert storage_dir.fetch(tmp_path / "first") == 2
    shutil.rmtree(tmp_path / "there/tensorboard")
    (root / "records.jsonl").write_text("12")
    mirror.copy()
    assert storage_dir.fetch(tmp_path / "second") == 1
    assert (tmp_path / "second/records.jsonl").read_text() == "12"


def test_unreachable_storage_at_the_end_is_one_message_that_names_the_output_directory(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "a file").touch()
    with (
        pytest.raises(SearchStopped, match=r"cannot be written: .* everything is in"),
        mirrored(RunLayout(tmp_path / "here", StoragePath(tmp_path / "a file") / "inside"), print),
    ):
        (tmp_path / "here" / "records.jsonl").write_text("1")


def test_fetch_earlier_brings_newer_records_and_keeps_newer_or_repaired_local_ones(tmp_path: Path) -> None:
    storage_dir, root = StoragePath(tmp_path / "there"), tmp_path / "here"
    (storage_dir / "records.jsonl").write_bytes(b'{"id": 1}\nbroken\n')
    (storage_dir / "checkpoints" / "t1.pt").write_bytes(b"large")
    fetch_earlier(storage_dir, root, resume=True)
    assert (root / "records.jsonl").read_text() == '{"id": 1}\nbroken\n'
    assert not (root / "checkpoints").exists()
    for local in ('{"id": 1}\n', '{"id": 1}\n{"id": 2}\n'):
        (root / "records.jsonl").write_text(local)
        fetch_earlier(storage_dir, root, resume=True)
        assert (root / "records.jsonl").read_text() == local


@pytest.mark.slow
@pytest.mark.parametrize("storage", ["nosuch://bucket", "s3://no-such-bucket/prefix", "/proc/nothing"])
def test_unwritable_storage_is_one_message(storage: str, s3: None, tmp_path: Path) -> None:
    space = write_space(tmp_path)
    arguments = ["--space", space, "--out", tmp_path / "out", "--storage", storage]
    with pytest.raises(ValueError, match="cannot be written"):
        open_storage(storage)
    if storage.startswith("s3"):
        run("search", *arguments, code=2)
        assert not (tmp_path / "out").exists()


@pytest.mark.stress
def test_another_driver_resumes_from_the_storage_alone(bucket: str, tmp_path: Path) -> None:
    space = write_space(tmp_path, **CHANGES)
    run("search", "--space", space, "--out", tmp_path / "whole", "--store", tmp_path / "store_whole")
    storage = f"{bucket}/team"

    def on(machine: str) -> list[object]:
        folder = tmp_path / machine
        return ["--space", space, "--out", folder / "first", "--store", folder / "store", "--storage", storage]

    process = start(on("one"))
    ledger = StoragePath(storage) / "first" / "records.jsonl"
    wait_until(
        lambda: b'"complete"' in (ledger.read_bytes() or b"") and list_checkpoints(bucket), "a trial has ended", process
    )
    kill(process)
    shutil.rmtree(tmp_path / "one")
    assert "exists already" in run_refused(*on("two"))
    output = run("search", *on("two"), "--resume")
    assert "all of it also in" in output
    folder = tmp_path / "two" / "first"
    assert reproducible_rows(folder / "records.jsonl") == reproducible_rows(tmp_path / "whole/records.jsonl")
    assert (folder / "best").exists()
    assert ledger.read_bytes() == (folder / "records.jsonl").read_bytes()
    assert not list_checkpoints(bucket)
    run("leaderboard", f"{storage}/first", "--out", tmp_path / "board")
    published = [
        json.loads((storage_dir / "leaderboard.json").read_text()) for storage_dir in (folder, tmp_path / "board")
    ]
    assert published[0]["tables"][0]["rows"] == published[1]["tables"][0]["rows"]


def list_checkpoints(bucket: str) -> list[str]:
    import boto3

    found = boto3.client("s3").list_objects_v2(Bucket=bucket.removeprefix("s3://"), Prefix="team/first/checkpoints/")
    return [each["Key"] for each in found.get("Contents", []) if not each["Key"].endswith("/")]


def run_refused(*arguments: object) -> str:
    done = subprocess.run(command("search", *arguments), capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.returncode == 2
    return done.stderr
