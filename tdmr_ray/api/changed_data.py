"""Resuming a search whose images have changed: refused, or begun anew beside the old trials."""

from collections.abc import Callable, Sequence
from pathlib import Path

from tdmr_ray.data.summary import DataSummary
from tdmr_ray.data.task import Task
from tdmr_ray.errors import InputError
from tdmr_ray.ledger import Ledger
from tdmr_ray.records import TrialRecord
from tdmr_ray.report.folder import read_summary
from tdmr_ray.run_layout import RunLayout


def check_data(layout: RunLayout, task: Task, *, new_data: bool, on_message: Callable[[str], object]) -> None:
    """Compare the images with those of the earlier trials; nothing is written unless `new_data` is given.

    With `new_data` the shipped models of the other images move to `best-ID`, and the costs of targets, which depend on
    the classes, are measured again. The search itself marks the old trials as outside.

    Args:
        layout: Files of the search.
        task: Its images.
        new_data: Whether the search begins anew beside trials that had other images.
        on_message: Receives a line about the models that moved.

    Raises:
        InputError: If trials that count had other images, labels or splits and `new_data` is not given.
    """
    records = Ledger(layout.records).read()
    others = [record for record in records if not record.outside and not record.has_data(task.fingerprint)]
    if not others:
        return
    if not new_data:
        had = f"{len(others)} trials in {layout.root} had other images, labels or splits"
        changes = _changes(read_summary(layout), task.summary)
        ways = "restore them, or give --new-data to begin anew beside these trials, which then do not count"
        raise InputError("--resume", f"{had}{changes}; {ways}")
    layout.targets.unlink(missing_ok=True)
    if layout.best.exists():
        kept = _free_name(layout.best.with_name(f"{layout.best.name}-{_most_common_data(others)[:8]}"))
        layout.best.rename(kept)
        on_message(f"the models of the earlier images are now in {kept}")


def _changes(before: DataSummary | None, after: DataSummary | None) -> str:
    """Return the numbers of images that differ, as a phrase in brackets; '' if none does."""
    if before is None or after is None:
        return ""
    pairs = {
        f"class '{name}'": (_size(before, name), _size(after, name)) for name in {**before.classes, **after.classes}
    }
    pairs["without labels"] = before.unlabeled, after.unlabeled
    found = [f"{name}: {old} images before, {new} now" for name, (old, new) in pairs.items() if old != new]
    return f" ({'; '.join(found[:3])}{'; ...' if len(found) > 3 else ''})" if found else ""


def _size(summary: DataSummary, name: str) -> int:
    return sum(summary.classes.get(name, {}).values())


def _most_common_data(records: Sequence[TrialRecord]) -> str:
    found = [record.search_data for record in records]
    return max(found, key=found.count)


def _free_name(path: Path) -> Path:
    """Return a path that does not exist: this one, or with a number."""
    number, free = 1, path
    while free.exists():
        number += 1
        free = path.with_name(f"{path.name}-{number}")
    return free
