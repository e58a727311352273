"""Many runs, a process each core, a line of a file each; a stop loses only those under way."""

import json
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter
from typing import Any, Protocol, TypeVar

Row = dict[str, Any]


class Job(Protocol):
    """A run that is due; `str()` of it names it to people."""

    @property
    def key(self) -> str:
        """Equal for equal runs, whenever they are asked for."""


AnyJob = TypeVar("AnyJob", bound=Job)


def read_runs(path: Path) -> list[Row]:
    """All finished runs; a line that a stop has torn is none."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("}")]


def run_missing(jobs: Sequence[AnyJob], run: Callable[[AnyJob], Row], path: Path, workers: int) -> list[Row]:
    """Run the jobs that the file does not hold yet, and write each row as it comes.

    A run that fails is named, and the others go on.

    Args:
        jobs: In order of importance.
        run: From a job to what is kept of it; a function that another process can import.
        path: One JSON line a run, with the job's `key`.
        workers: Processes.

    Returns:
        The rows of these jobs, in their order, as far as they succeeded.
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
    """The rows of these jobs, in their order, as far as they have run."""
    rows = {row["key"]: row for row in read_runs(path)}
    return [rows[job.key] for job in jobs if job.key in rows]


def _keep(future: "Future[Row]", job: Job, path: Path) -> str:
    """Write a finished run's row; its outcome in a few words."""
    error = future.exception()
    if error is not None:
        return f"FAILED, {type(error).__name__}: {error}"
    row = {"key": job.key, **future.result()}
    torn = path.exists() and path.read_bytes()[-1:] not in (b"", b"\n")
    with path.open("a", encoding="utf-8") as file:
        file.write(("\n" if torn else "") + json.dumps(row) + "\n")
    return f"{100 * row['val_top1']:.1f} % on val"
