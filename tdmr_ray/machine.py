"""Limits of the machine that this process may use, which a container or a batch system sets below what exists."""

import math
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

V1_FOLDERS = ("cpu", "cpu,cpuacct", "cpuacct,cpu")
"""Names under which the CPU controller of cgroup v1 is mounted."""


def available_cores(root: Path = Path("/")) -> int:
    """Return the number of cores for this process: those it may run on, within the CPU quota of its cgroups.

    Python's `os.cpu_count` gives all cores of the machine, and `os.process_cpu_count` (Python 3.13) knows no quotas.
    A quota of a fraction of a core is rounded down, but never below one core.

    Args:
        root: Folder in which `proc` and `sys` lie.

    Source: https://docs.kernel.org/admin-guide/cgroup-v2.html, `cpu.max`;
        https://docs.kernel.org/scheduler/sched-bwc.html for version 1.
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, math.floor(min([float(allowed), *_quotas(root)])))


def _quotas(root: Path) -> Iterator[float]:
    """Yield the CPU quota, in cores, of each cgroup that contains this process; none without cgroups."""
    groups = _read(root / "proc/self/cgroup").splitlines()
    for _, controllers, path in (line.split(":", 2) for line in groups if line.count(":") >= 2):
        inside = PurePosixPath(path.lstrip("/"))
        levels = [inside, *inside.parents]  # a container may see its own group as the root of the mount
        if not controllers:
            for level in levels:
                yield from _quota(*_read(root / "sys/fs/cgroup" / level / "cpu.max").split())
        elif "cpu" in controllers.split(","):
            for folder in (root / "sys/fs/cgroup" / name / level for name in V1_FOLDERS for level in levels):
                yield from _quota(_read(folder / "cpu.cfs_quota_us"), _read(folder / "cpu.cfs_period_us"))


def _quota(*texts: str) -> Iterator[float]:
    """Yield quota divided by period; nothing for 'max', -1, or files that are missing."""
    words = [text.strip() for text in texts]
    if len(words) == 2 and all(word.isdecimal() for word in words) and int(words[1]):
        yield int(words[0]) / int(words[1])


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""
