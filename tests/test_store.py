"""The store: all at once or not at all; a damaged folder is made again."""

import os
import subprocess
from pathlib import Path

import pytest

from tdmr_ray.store import DRAFT, HOLDS, MANIFEST, Store


def write(text: str = "hello"):  # type: ignore[no-untyped-def]
    def fill(folder: Path) -> None:
        (folder / "a.txt").write_text(text)
        (folder / "b.bin").write_bytes(bytes(1000))

    return fill


@pytest.fixture(params=["local", "remote"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    remote = f"file://{tmp_path / 'shared'}" if request.param == "remote" else None
    return Store(tmp_path / "node", remote)


def test_what_is_added_is_found(store: Store) -> None:
    assert store.find("key") is None
    added = store.add("key", write())
    assert store.find("key") == added
    assert (added / "a.txt").read_text() == "hello"


def test_another_node_finds_it_through_the_shared_place(tmp_path: Path) -> None:
    remote = f"file://{tmp_path / 'shared'}"
    Store(tmp_path / "one", remote).add("key", write())
    found = Store(tmp_path / "two", remote).find("key")
    assert found == tmp_path / "two" / "key"
    assert (found / "a.txt").read_text() == "hello"


def test_without_its_manifest_a_shared_folder_does_not_count(tmp_path: Path) -> None:
    remote = f"file://{tmp_path / 'shared'}"
    Store(tmp_path / "one", remote).add("key", write())
    (tmp_path / "shared" / "key" / MANIFEST).unlink()
    assert Store(tmp_path / "two", remote).find("key") is None


@pytest.mark.parametrize("damage", ["change", "delete", "manifest"])
def test_a_damaged_folder_is_thrown_away_with_a_message(
    damage: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
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
    assert "made again" in capsys.readouterr().err
    assert store.add("key", write("again")).joinpath("a.txt").read_text() == "again"


def test_a_writer_that_fails_leaves_nothing(store: Store) -> None:
    def fail(folder: Path) -> None:
        (folder / "a.txt").write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        store.add("key", fail)
    assert store.find("key") is None
    assert list(store.local.iterdir()) == [store.local / HOLDS]


def test_the_first_of_two_writers_stays(store: Store) -> None:
    store.add("key", write("first"))
    assert store.add("key", write("second")).joinpath("a.txt").read_text() == "first"
    assert sorted(path.name for path in store.local.iterdir()) == [HOLDS, "key"]


def test_removed_is_gone_everywhere(store: Store) -> None:
    store.add("key", write())
    store.remove("key")
    assert store.find("key") is None


def test_the_least_recently_used_make_room(tmp_path: Path) -> None:
    store = Store(tmp_path, max_bytes=3500)
    for age, key in enumerate(("old", "older", "oldest")):
        folder = store.add(key, write())
        os.utime(folder / MANIFEST, (1e9 - age, 1e9 - age))
    assert store.find("oldest") is not None, "being used counts as new"
    store.add("new", write())
    assert sorted(key for key in ("old", "older", "oldest", "new") if store.has(key)) == ["new", "old", "oldest"]


def test_what_is_held_does_not_make_room_and_what_a_dead_process_held_does(tmp_path: Path) -> None:
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


def test_what_was_removed_here_comes_back_from_the_shared_place(tmp_path: Path) -> None:
    store = Store(tmp_path / "node", f"file://{tmp_path / 'shared'}", max_bytes=1500)
    store.add("first", write("first"))
    store.add("second", write("second"))
    assert not store.has("first")
    found = store.find("first")
    assert found is not None
    assert (found / "a.txt").read_text() == "first"


def test_drafts_of_dead_processes_are_swept_away(tmp_path: Path) -> None:
    store = Store(tmp_path)
    left, fresh = tmp_path / f"{DRAFT}left", tmp_path / f"{DRAFT}fresh"
    for draft in (left, fresh):
        draft.mkdir()
    os.utime(left, (1e9, 1e9))
    store.add("key", write())
    assert (left.exists(), fresh.exists()) == (False, True)
