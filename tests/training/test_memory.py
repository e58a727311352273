"""Memory of freed tensors is used again."""

import subprocess
import sys

import pytest

from tdmr_ray.training.memory import _glibc, reuse_freed_memory

COUNT_FAULTS = """
import resource, sys, torch
from tdmr_ray.training.memory import reuse_freed_memory

def faults(size):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(size)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

if sys.argv[1] == "kept":
    reuse_freed_memory()
faults(40_000_000)
print(faults(20_000_000))
"""


@pytest.mark.skipif(_glibc() is None, reason="only glibc gives memory back so eagerly")
def test_a_tensor_takes_the_memory_of_a_larger_one_before() -> None:
    faults = {}
    for way in ("default", "kept"):
        done = subprocess.run([sys.executable, "-c", COUNT_FAULTS, way], capture_output=True, text=True, check=True)
        faults[way] = int(done.stdout)
    assert faults["default"] > 100
    assert faults["kept"] < faults["default"] / 10


def test_elsewhere_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    _glibc.cache_clear()
    monkeypatch.setattr(sys, "platform", "darwin")
    try:
        assert _glibc() is None
        reuse_freed_memory()
    finally:
        _glibc.cache_clear()
