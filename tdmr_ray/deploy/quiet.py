"""Silence for converters, which print pages of their own."""

import logging
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet() -> Iterator[None]:
    """Drop warnings, log messages, and all that is written to standard output and error, by C++ too."""
    sys.stdout.flush()
    sys.stderr.flush()
    before = logging.root.manager.disable
    kept = [os.dup(1), os.dup(2)]
    with open(os.devnull, "w") as nowhere, warnings.catch_warnings():  # noqa: PTH123  # not a path of ours
        warnings.simplefilter("ignore")
        logging.disable(logging.CRITICAL)
        os.dup2(nowhere.fileno(), 1)
        os.dup2(nowhere.fileno(), 2)
        try:
            yield
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for number, copy in enumerate(kept, start=1):
                os.dup2(copy, number)
                os.close(copy)
            logging.disable(before)
