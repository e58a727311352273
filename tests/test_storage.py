"""Places behave alike, whether on this disk or on a real S3 server (moto's, on loopback)."""

import subprocess
import sys
from functools import partial
from pathlib import Path

import boto3
import pytest
from helpers.waiting import wait_until

from tdmr_ray.storage import StoragePath


@pytest.fixture(params=["path", "file://", "s3://"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> StoragePath:
    if request.param == "s3://":
        return StoragePath(f"{request.getfixturevalue('bucket')}/{tmp_path.name}")
    return StoragePath(tmp_path / "place" if request.param == "path" else f"file://{tmp_path / 'place'}")


def test_a_file_is_there_when_it_was_written_and_gone_when_removed(place: StoragePath) -> None:
    file = place / "a" / "b.bin"
    assert file.read_bytes() is None
    assert not file.exists()
    for content in (b"first", b"second"):
        file.write_bytes(content)
        assert file.read_bytes() == content
    assert file.exists()
    file.remove()
    file.remove()
    assert not file.exists()


def test_a_file_that_is_written_just_after_a_reader_has_missed_it_is_no_error(
    place: StoragePath, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(StoragePath, "exists", lambda self: True)
    assert (place / "a.bin").read_bytes() is None
    (place / "file").write_bytes(b"")
    assert place.is_local is False or (place / "file" / "inside").read_bytes() is None


def test_folders_are_copied_whole_or_by_name(place: StoragePath, tmp_path: Path) -> None:
    (tmp_path / "own.txt").write_text("own")
    (place / "own.txt").send(tmp_path / "own.txt")
    (place / "deep" / "er" / "x.json").write_bytes(b"{}")
    assert place.fetch(tmp_path / "all") == 2
    assert (tmp_path / "all/own.txt").read_text() == "own"
    assert (tmp_path / "all/deep/er/x.json").read_text() == "{}"
    assert place.fetch(tmp_path / "some", lambda name: name == "x.json") == 1
    assert (place / "nothing").fetch(tmp_path / "none") == 0
    place.remove()
    assert place.fetch(tmp_path / "none") == 0


def test_the_options_of_a_uri_stay_behind_its_path() -> None:
    assert str(StoragePath("file:///tmp/x") / "y") == "file:///tmp/x/y"
    options = "endpoint_override=127.0.0.1:9&scheme=http&region=us-east-1"
    inner = StoragePath(f"s3://bucket/x?{options}") / "y" / "z"
    assert inner.location == f"s3://bucket/x/y/z?{options}"
    assert StoragePath(inner.location).path == inner.path == "bucket/x/y/z"


def test_an_upload_that_is_killed_leaves_what_was_there(bucket: str) -> None:
    file = StoragePath(bucket) / "large.bin"
    file.write_bytes(b"before")
    code = "import sys; from tdmr_ray.storage import StoragePath as P; P(sys.argv[1]).write_bytes(bytes(1_000_000_000))"
    client, name = boto3.client("s3"), bucket.removeprefix("s3://")
    with subprocess.Popen([sys.executable, "-c", code, file.location]) as process:
        begun = partial(client.list_multipart_uploads, Bucket=name)
        wait_until(lambda: "Uploads" in begun(), "the upload has begun", process, pause_s=0.01)
        process.kill()
    assert client.list_multipart_uploads(Bucket=name)["Uploads"]
    assert file.read_bytes() == b"before"


def test_a_place_that_cannot_be_reached_is_an_error(bucket: str) -> None:
    with pytest.raises(OSError, match=r"(?i)bucket"):
        (StoragePath(f"{bucket}-of-nobody") / "x").write_bytes(b"")
