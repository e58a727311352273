"""Memory of this process's tensors, kept from one step to the next."""

import ctypes
import sys
from functools import cache
from typing import Any

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4
"""Numbers of the parameters in glibc's malloc.h."""
_NEVER, _GROWTH_BYTES = -1, 64 * 2**20


def reuse_freed_memory() -> None:
    """Keep the memory of freed tensors for the next ones; return what earlier trials have left to the system.

    glibc returns every freed block above 32 MB to the system. The next tensor gets new pages, which the system first
    fills with zeros. Without that, a step of tf_efficientnet_lite0 at 96 px is 1.2 times as fast, and 1.3 times while
    another process trains (`benchmarks/freed_memory.py`). On other C libraries nothing changes.
    """
    library = _glibc()
    if library is not None:
        library.malloc_trim(0)
        library.mallopt(_MMAP_MAX, 0)
        library.mallopt(_TRIM_THRESHOLD, _NEVER)
        library.mallopt(_TOP_PAD, _GROWTH_BYTES)


@cache
def _glibc() -> Any:
    """The C library if it is glibc, or else None."""
    if sys.platform != "linux":
        return None
    library = ctypes.CDLL(None)
    return library if hasattr(library, "mallopt") and hasattr(library, "malloc_trim") else None
