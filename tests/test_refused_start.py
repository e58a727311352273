"""Starts that are refused: one message, exit code 2, and nothing left behind, so that the same command works later."""

import pwd
import sys
from pathlib import Path

import pytest
import yaml
from helpers.searching import SPACE

import tdmr_ray.search
import tdmr_ray.train
from tdmr_ray.cli import run_command
from tdmr_ray.errors import InputError, SearchStopped
from tdmr_ray.output_dir import opened_output_dir
from tdmr_ray.runner.start_checks import MAX_SOCKET_PATH, check_machine, check_socket_paths
from tdmr_ray.store import HOLDS


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("RAY_TMPDIR", raising=False)
    monkeypatch.setattr("ray.init", None)
    Path("space.yaml").write_text(yaml.safe_dump(SPACE))
    Path("a_file").touch()
    return tmp_path


def _without_home(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(uid: int) -> None:
        raise KeyError(f"getpwuid(): uid not found: {uid}")

    monkeypatch.delenv("HOME")
    monkeypatch.setattr(pwd, "getpwuid", fail)


def _with_long_temp_dir(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", f"/tmp/{'x' * 60}")


def _as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    pass


@pytest.mark.parametrize("command", [tdmr_ray.search.search, tdmr_ray.train.train], ids=["search", "train"])
@pytest.mark.parametrize(
    ("change", "arguments", "message"),
    [
        (_as_it_is, ["--store", "a_file"], "--store: 1 problem"),
        (_as_it_is, ["--store", "a_file/inside"], "Not a directory; give another folder"),
        (_as_it_is, ["--store", "/sys/read_only"], "/sys/read_only cannot be written"),
        (_as_it_is, ["--store", "~nobody_at_all/x"], "cannot be written"),
        (_as_it_is, ["--out", "a_file"], "exists already"),
        (_as_it_is, ["--out", "a_file/inside"], "--out: 1 problem"),
        (_as_it_is, ["--out", "x" * 300], "--out: 1 problem"),
        (_without_home, [], "there is none; set HOME to a folder of yours"),
        (_with_long_temp_dir, [], "set TMPDIR to a shorter path"),
    ],
)
def test_a_place_that_cannot_be_used_is_one_message(
    command: object,
    change: object,
    arguments: list[str],
    message: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    change(monkeypatch)  # type: ignore[operator]
    given = {"--space": "space.yaml", "--out": "deep/out", "--store": "store"}
    given |= dict(zip(arguments[::2], arguments[1::2], strict=True))
    monkeypatch.setattr(sys, "argv", ["tdmr", *(text for pair in given.items() for text in pair)])
    with pytest.raises(SystemExit) as ended:
        run_command(command)  # type: ignore[arg-type]
    said = capsys.readouterr().err
    assert ended.value.code == 2
    assert message in said
    assert "Traceback" not in said
    left = {path.relative_to(folder).as_posix() for path in folder.rglob("*")}
    assert left <= {"space.yaml", "a_file", "store", f"store/{HOLDS}"}


def test_a_data_folder_that_cannot_be_read_leaves_no_output_directory(folder: Path) -> None:
    (folder / "images").mkdir()
    with pytest.raises(InputError):
        tdmr_ray.run_search(
            {**SPACE, "data": {"name": str(folder / "images")}}, out=folder / "deep/out", store=folder / "store"
        )
    assert not (folder / "deep").exists()


def fail_after_writing(root: Path, name: str, error: BaseException) -> None:
    with opened_output_dir(root, resume=False):
        (root / name).touch()
        raise error


@pytest.mark.parametrize("error", [InputError("resources", "too few"), OSError(28, "full")])
def test_a_start_that_fails_removes_what_it_made_but_nothing_else(error: BaseException, tmp_path: Path) -> None:
    given = tmp_path / "given"
    given.mkdir()
    (given / ".hidden").touch()
    for root in (tmp_path / "deep/new", given):
        with pytest.raises(type(error)):
            fail_after_writing(root, "space.yaml", error)
    assert sorted(tmp_path.rglob("*")) == [given, given / ".hidden"]


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("records.jsonl", OSError(28, "full")),
        ("space.yaml", KeyboardInterrupt()),
        ("space.yaml", SearchStopped("Ray did not start")),
    ],
)
def test_a_search_that_has_trained_or_says_how_to_resume_is_kept(
    name: str, error: BaseException, tmp_path: Path
) -> None:
    with pytest.raises(type(error)):
        fail_after_writing(tmp_path / "out", name, error)
    with opened_output_dir(tmp_path / "out", resume=True):
        assert (tmp_path / "out" / name).exists()


def test_a_search_that_joins_a_running_ray_may_have_any_temp_dir(monkeypatch: pytest.MonkeyPatch) -> None:
    _with_long_temp_dir(monkeypatch)
    check_machine(joins=True)


def test_the_longest_legal_temp_dir_is_accepted() -> None:
    beside = len("/session_2026-11-29_14-33-27_998587_4194304/sockets/plasma_store")
    check_socket_paths(Path("/" + "x" * (MAX_SOCKET_PATH - beside - 1)))
    with pytest.raises(InputError, match="would have 1 more"):
        check_socket_paths(Path("/" + "x" * (MAX_SOCKET_PATH - beside)))
