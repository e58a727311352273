"""The store: folders appear atomically, damaged ones are made again, old ones make room."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from helpers.waiting import PATIENCE_S

from tdmr_ray.storage import StoragePath
from tdmr_ray.store import DRAFT, HOLDS, MANIFEST, Store


def write(text: str = "hello"):  # type: ignore[no-untyped-def]
    def fill(folder: Path) -> None:
        (folder / "a.txt").write_text(text)
        (folder / "b.bin").write_bytes(bytes(1000))

    return fill


@pytest.fixture(params=["local", "shared folder", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "local":
        return Store(tmp_path / "node")
    if request.param == "s3":
        return Store(tmp_path / "node", StoragePath(request.getfixturevalue("bucket")) / "teachers")
    return Store(tmp_path / "node", StoragePath(tmp_path / "shared"))


def test_an_added_folder_is_found(store: Store) -> None:
    assert store.find("key") is None
    added = store.add("key", write())
    assert store.find("key") == added
    assert (added / "a.txt").read_text() == "hello"


def test_another_machine_finds_it_through_the_shared_storage(tmp_path: Path) -> None:
    shared = StoragePath(tmp_path / "shared")
    Store(tmp_path / "one", shared).add("key", write())
    found = Store(tmp_path / "two", shared).find("key")
    assert found == tmp_path / "two" / "key"
    assert (found / "a.txt").read_text() == "hello"


def test_a_shared_folder_without_its_manifest_is_ignored(tmp_path: Path) -> None:
    shared = StoragePath(tmp_path / "shared")
    Store(tmp_path / "one", shared).add("key", write())
    (tmp_path / "shared" / "key" / MANIFEST).unlink()
    assert Store(tmp_path / "two", shared).find("key") is None


def test_a_killed_upload_is_ignored_and_repaired_by_the_next_one(bucket: str, tmp_path: Path) -> None:
    code = "; ".join(
        [
            "import os, sys",
            "from pathlib import Path",
            "from tdmr_ray.storage import StoragePath",
            "from tdmr_ray.store import Store",
            "sent = StoragePath.send",
            "StoragePath.send = lambda place, path: os._exit(9) if path.name == 'manifest.json' else sent(place, path)",
            "fill = lambda folder: [(folder / name).write_bytes(bytes(9)) for name in ('a.txt', 'b.bin')]",
            "Store(Path(sys.argv[1]), StoragePath(sys.argv[2]) / 'teachers').add('key', fill)",
        ]
    )
    killed = subprocess.run([sys.executable, "-c", code, str(tmp_path / "one"), bucket], timeout=PATIENCE_S)
    assert killed.returncode == 9
    shared = StoragePath(bucket) / "teachers"
    assert (shared / "key" / "a.txt").exists()
    other = Store(tmp_path / "two", shared)
    assert other.find("key") is None
    other.add("key", write())
    third = Store(tmp_path / "three", shared).find("key")
    assert third is not None
    assert (third / "a.txt").read_text() == "hello"


@pytest.mark.parametrize("damage", ["change", "delete", "manifest"])
def test_a_damaged_folder_is_removed_with_a_warning(
    damage: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = Store(tmp_path)
    folder = store.add("key", write())
    if damage == "change":
        (folder / "a.txt").write_text("hullo")
    elif damage == "delete":
        (folder / "b.bin").unlink()
    else:
        (folder / MANIFEST).write_text("{")
    assert store.find("key") is None
    assert "made again" in caplog.text
    assert store.add("key", write("again")).joinpath("a.txt").read_text() == "again"


def test_a_failing_writer_leaves_nothing(store: Store) -> None:
    def fail(folder: Path) -> None:
        (folder / "a.txt").write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        store.add("key", fail)
    assert store.find("key") is None
    assert list(store.local.iterdir()) == [store.local / HOLDS]


def test_the_first_of_two_writers_wins(store: Store) -> None:
    store.add("key", write("first"))
    assert store.add("key", write("second")).joinpath("a.txt").read_text() == "first"
    assert sorted(path.name for path in store.local.iterdir()) == [HOLDS, "key"]


def test_writers_of_the_same_folders_do_not_disturb_each_other(tmp_path: Path) -> None:
    """Each sees the others' drafts and folders come and go while it makes room."""
    store = Store(tmp_path, max_bytes=3000)
    with ThreadPoolExecutor(8) as pool:
        added = pool.map(lambda number: store.add(f"key-{number % 4}", write()), range(400))
        assert {folder.name for folder in added} == {f"key-{number}" for number in range(4)}
    assert list(tmp_path.glob(f"{DRAFT}*")) == []


def test_remove_removes_everywhere(store: Store) -> None:
    store.add("key", write())
    store.remove("key")
    assert store.find("key") is None


def test_the_least_recently_used_folders_make_room(tmp_path: Path) -> None:
    store = Store(tmp_path, max_bytes=3500)
    for age, key in enumerate(("old", "older", "oldest")):
        folder = store.add(key, write())
        os.utime(folder / MANIFEST, (1e9 - age, 1e9 - age))
    assert store.find("oldest") is not None, "a folder that was just used counts as new"
    store.add("new", write())
    assert sorted(key for key in ("old", "older", "oldest", "new") if store.has(key)) == ["new", "old", "oldest"]


def test_held_folders_stay_unless_their_holder_is_dead(tmp_path: Path) -> None:
    for key in ("held", "let go", "dead"):
        Store(tmp_path).add(key, write())
    store = Store(tmp_path, max_bytes=2500)
    with subprocess.Popen(["true"]) as process:
        pass
    (tmp_path / HOLDS / f"dead.{process.pid}.0").touch()
    with store.held("held"):
        with store.held("let go"):
            pass
        store.add("new", write())
        assert [key for key in ("held", "let go", "dead", "new") if store.has(key)] == ["held", "new"]
    assert list((tmp_path / HOLDS).iterdir()) == []


def test_a_folder_removed_to_make_room_comes_back_from_the_shared_storage(tmp_path: Path) -> None:
    store = Store(tmp_path / "node", StoragePath(tmp_path / "shared"), max_bytes=1500)
    store.add("first", write("first"))
    store.add("second", write("second"))
    assert not store.has("first")
    found = store.find("first")
    assert found is not None
    assert (found / "a.txt").read_text() == "first"


def test_drafts_of_dead_processes_are_removed(tmp_path: Path) -> None:
    store = Store(tmp_path)
    left, fresh = tmp_path / f"{DRAFT}left", tmp_path / f"{DRAFT}fresh"
    for draft in (left, fresh):
        draft.mkdir()
    os.utime(left, (1e9, 1e9))
    store.add("key", write())
    assert (left.exists(), fresh.exists()) == (False, True)
