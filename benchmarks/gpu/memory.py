"""Memory that is taken: on the card, or by this process where there is none."""

import os
import resource

import torch


def taken_and_total() -> tuple[int, int]:
    """Return the bytes taken of the card and its bytes; without a GPU those of this process and of the machine."""
    if torch.cuda.is_available():
        free, total = torch.cuda.mem_get_info()
        return total - free, total
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return own, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
