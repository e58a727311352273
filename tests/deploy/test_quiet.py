"""Silence drops what Python and C write, and ends with the block."""

import logging
import os
import warnings

import pytest

from tdmr_ray.deploy.quiet import quiet


def fail_noisily() -> None:
    print("printed")
    os.write(2, b"written by C\n")
    warnings.warn("of a converter", stacklevel=1)
    logging.getLogger("converter").error("logged")
    raise RuntimeError("converter")


def test_silence_ends_with_the_block_whatever_happens(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(RuntimeError, match="converter"), quiet():
        fail_noisily()
    print("after")
    os.write(2, b"after\n")
    assert capfd.readouterr() == ("after\n", "after\n")
    assert logging.root.manager.disable == logging.NOTSET
