"""Cores of this process under affinity and cgroup quotas."""

import os
from pathlib import Path

import pytest

from tdmr_ray.machine import available_cores

V2 = "0::/\n"
V1 = "4:memory:/job\n3:cpu,cpuacct:/job\n0::/\n"


@pytest.mark.parametrize(
    ("affinity", "files", "cores"),
    [
        (192, {}, 192),
        (6, {"proc/self/cgroup": V2, "sys/fs/cgroup/cpu.max": "max 100000\n"}, 6),
        (192, {"proc/self/cgroup": V2, "sys/fs/cgroup/cpu.max": "200000 100000\n"}, 2),
        (192, {"proc/self/cgroup": V2, "sys/fs/cgroup/cpu.max": "250000 100000\n"}, 2),
        (192, {"proc/self/cgroup": V2, "sys/fs/cgroup/cpu.max": "50000 100000\n"}, 1),
        (1, {"proc/self/cgroup": V2, "sys/fs/cgroup/cpu.max": "200000 100000\n"}, 1),
        (192, {"proc/self/cgroup": "0::/slurm/job/step\n", "sys/fs/cgroup/slurm/job/cpu.max": "400000 100000\n"}, 4),
        (192, {"proc/self/cgroup": "0::/host/path\n", "sys/fs/cgroup/cpu.max": "300000 100000\n"}, 3),
        (
            192,
            {
                "proc/self/cgroup": V1,
                "sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_quota_us": "200000\n",
                "sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_period_us": "100000\n",
            },
            2,
        ),
        (
            192,
            {
                "proc/self/cgroup": "2:cpu:/docker/abc\n",
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "150000\n",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "50000\n",
            },
            3,
        ),
        (
            4,
            {
                "proc/self/cgroup": V1,
                "sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_quota_us": "-1\n",
                "sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_period_us": "100000\n",
            },
            4,
        ),
        (4, {"proc/self/cgroup": "nonsense\n\n::\n"}, 4),
    ],
)
def test_cores_are_the_least_of_affinity_and_quotas(
    affinity: int, files: dict[str, str], cores: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(affinity)))
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    assert available_cores(tmp_path) == cores


def test_no_module_counts_cores_itself() -> None:
    package = Path(__file__).parents[1] / "tdmr_ray"
    counting = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if "cpu_count()" in path.read_text(encoding="utf-8")
    }
    assert counting == {"machine.py", "runner/environment.py"}
