"""Temporary checkouts of earlier revisions, for benchmarks that compare before and after."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import typer

ROOT = Path(__file__).resolve().parents[1]


def name_revision(revision: str) -> str:
    """The short hash of a revision.

    Raises:
        typer.BadParameter: If git does not know it.
    """
    return _git("rev-parse", "--short", f"{revision}^{{commit}}")


def name_this_checkout() -> str:
    """The short hash of HEAD, and whether tracked or new files differ from it."""
    return name_revision("HEAD") + (" with changes" if _git("status", "--porcelain") else "")


@contextmanager
def open_worktree(revision: str) -> Iterator[Path]:
    """A git worktree of a revision, removed afterwards."""
    with TemporaryDirectory(prefix="tdmr_ray_before_") as folder:
        path = Path(folder) / "checkout"
        _git("worktree", "add", "--quiet", "--detach", str(path), revision)
        try:
            yield path
        finally:
            _git("worktree", "remove", "--force", str(path))


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(ROOT), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise typer.BadParameter(done.stderr.strip(), param_hint="REV")
    return done.stdout.strip()
