"""Many runs in parallel processes, one JSON line each, so that an interruption loses only the runs in progress.

A row keeps the configuration names of the day it was written. Keys are hashes of first-edition names
(`older_names.in_first_edition`), so rows from before a rename are still found.
"""

import json
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter
from typing import Any, Protocol, TypeVar

Row = dict[str, Any]


class Job(Protocol):
    """A planned run; `str()` gives its name for messages."""

    @property
    def key(self) -> str:
        """A hash that is equal for equal runs."""


AnyJob = TypeVar("AnyJob", bound=Job)


def read_runs(path: Path) -> list[Row]:
    """Return the rows of all finished runs, without a last line that an interruption cut short."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("}")]


def run_missing(jobs: Sequence[AnyJob], run: Callable[[AnyJob], Row], path: Path, workers: int) -> list[Row]:
    """Run the jobs that are not in the file yet, and append each row as soon as it is finished.

    A run that fails is reported, and the others go on.

    Args:
        jobs: The most important first.
        run: Turns a job into a row; a function that another process can import.
        path: JSON lines, one for each run, with the job's `key`.
        workers: Number of processes.

    Returns:
        The rows of the jobs that succeeded, in the order of the jobs.
    """
    done = {row["key"] for row in read_runs(path)}
    due = {job.key: job for job in jobs if job.key not in done}
    path.parent.mkdir(exist_ok=True)
    started = perf_counter()
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        futures = {pool.submit(run, job): job for job in due.values()}
        try:
            for count, future in enumerate(as_completed(futures), start=1):
                outcome = _keep(future, futures[future], path)
                left_min = (perf_counter() - started) / count * (len(due) - count) / 60
                print(f"{count}/{len(due)}, {left_min:.0f} min left: {futures[future]}: {outcome}", flush=True)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return finished(jobs, path)


def finished(jobs: Sequence[AnyJob], path: Path) -> list[Row]:
    """Return the rows of the jobs that have finished, in the order of the jobs."""
    rows = {row["key"]: row for row in read_runs(path)}
    return [rows[job.key] for job in jobs if job.key in rows]


def _keep(future: "Future[Row]", job: Job, path: Path) -> str:
    """Append the row of a finished run and return a short description of its outcome."""
    error = future.exception()
    if error is not None:
        return f"FAILED, {type(error).__name__}: {error}"
    row = {"key": job.key, **future.result()}
    torn = path.exists() and path.read_bytes()[-1:] not in (b"", b"\n")
    with path.open("a", encoding="utf-8") as file:
        file.write(("\n" if torn else "") + json.dumps(row) + "\n")
    return f"{100 * row['val_top1']:.1f} % on val"
