"""A watchdog that ends a process whose step hangs, and leaves its stack in a file."""

import faulthandler
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def watchdog(seconds: float, stack: Path) -> Iterator[None]:
    """End this process if the block takes longer; its stack is left in the file.

    The thread that does this needs no lock of the interpreter, so that it works whatever hangs.

    Args:
        seconds: Longest duration.
        stack: The file; removed if the block ends in time.
    """
    stack.parent.mkdir(parents=True, exist_ok=True)
    with stack.open("w") as file:
        faulthandler.dump_traceback_later(seconds, exit=True, file=file)
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()
    stack.unlink(missing_ok=True)


def read_hang(stack: Path) -> str:
    """Return where the main thread of an ended process was, or '' if there is no file; remove the file.

    `faulthandler` writes a line for each frame, the innermost first, and the main thread last.
    """
    if not stack.exists():
        return ""
    threads = stack.read_text(encoding="utf-8").split("\n\n")
    stack.unlink()
    frames = [line.strip() for line in threads[-1].splitlines() if line.startswith("  File")]
    return f"it was in {frames[0]}" if frames else ""
