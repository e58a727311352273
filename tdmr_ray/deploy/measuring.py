"""Latency, start time and memory of an exported file, in a fresh process that imports the file's runtime and no more.

`measure` starts the process; `python -m tdmr_ray.deploy.measuring` is the process.
"""

import importlib
import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter

import numpy as np

from tdmr_ray.deploy.artifact import Latency
from tdmr_ray.deploy.batches import Pixels, Runner
from tdmr_ray.deploy.formats import FORMATS
from tdmr_ray.machine import available_cores

WARM_UP, TIMED = 5, 40
THREADS = (1, 2, 4)
TIMEOUT_S = 600


@dataclass(frozen=True)
class Cost:
    """Cost of running a file.

    Attributes:
        start_ms: Time to open it with one thread, with the runtime already imported.
        peak_mb: Growth of the process's largest resident memory from the imported runtime to the first runs with one
            thread; pages of the file that are mapped into memory count.
        latencies: Times of a call by number of threads, as many as the machine has cores.
    """

    start_ms: float
    peak_mb: float
    latencies: tuple[Latency, ...]


def measure(form: str, path: Path, *, batch: int, px: int) -> Cost:
    """Measure a file in a process of its own.

    Args:
        form: Name of its format.
        path: The file.
        batch: Images that it takes at once.
        px: Side of its images.

    Raises:
        RuntimeError: If the process fails, with the last line that it wrote.
    """
    command = [sys.executable, "-m", "tdmr_ray.deploy.measuring", form, str(path), str(batch), str(px)]
    package = str(Path(__file__).parents[2])
    paths = os.pathsep.join(filter(None, (package, os.environ.get("PYTHONPATH"))))
    environment = {**os.environ, "PYTHONPATH": paths}
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
        stdin=subprocess.DEVNULL,
        env=environment,
    )
    lines = [line.strip() for line in (done.stdout if done.returncode == 0 else done.stderr).splitlines()]
    last = next((line for line in reversed(lines) if line), "")
    if done.returncode != 0:
        raise RuntimeError(f"running it in a fresh process ended with {done.returncode}: {last}")
    found = json.loads(last)
    return Cost(found["start_ms"], found["peak_mb"], tuple(Latency(**each) for each in found["latencies"]))


def measure_here(form: str, path: Path, pixels: Pixels) -> Cost:
    """Measure a file in this process, which should have done nothing else."""
    format_ = FORMATS[form]
    importlib.import_module(format_.runtime)
    before = _peak_mb()
    started = perf_counter()
    run = format_.open(path, threads=1)
    assert run is not None, "only files that run are measured"
    start_ms = 1000 * (perf_counter() - started)
    first = _latency(run, pixels, 1 if format_.sets_threads else 0)
    peak_mb, latencies = _peak_mb() - before, [first]
    for threads in THREADS[1:]:
        if format_.sets_threads and threads <= available_cores():
            other = format_.open(path, threads=threads)
            assert other is not None, "it ran with one thread"
            latencies.append(_latency(other, pixels, threads))
    return Cost(start_ms, peak_mb, tuple(latencies))


def _latency(run: Runner, pixels: Pixels, threads: int) -> Latency:
    times = []
    for _ in range(WARM_UP + TIMED):
        started = perf_counter()
        run(pixels)
        times.append(1000 * (perf_counter() - started))
    return Latency(threads, float(np.median(times[WARM_UP:])), float(np.quantile(times[WARM_UP:], 0.95)))


def _peak_mb() -> float:
    """Return the largest resident memory of this process so far.

    Linux passes `ru_maxrss` of the parent on to a process that it starts, so its own file is asked first.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024 / 1e6
    import resource  # not on Windows

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6  # bytes on macOS


if __name__ == "__main__":
    _form, _path, _batch, _px = sys.argv[1:]
    _images = np.random.default_rng(0).integers(0, 256, (int(_batch), int(_px), int(_px), 3), np.uint8)
    print("\n" + json.dumps(asdict(measure_here(_form, Path(_path), _images))))
