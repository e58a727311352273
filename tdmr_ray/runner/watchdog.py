"""A step that hangs ends its own process, which leaves a file that says where it was."""

import faulthandler
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def watchdog(seconds: float, stack: Path) -> Iterator[None]:
    """End this process if what follows takes longer; the file then says what it was doing.

    By a thread of the interpreter that needs no lock of Python's, so that it works whatever hangs.
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
    """Where the main thread was when it was ended for taking too long, and '' if it was not; removes the file.

    `faulthandler` writes a line for each frame, the innermost first, and the main thread last.
    """
    if not stack.exists():
        return ""
    threads = stack.read_text(encoding="utf-8").split("\n\n")
    stack.unlink()
    frames = [line.strip() for line in threads[-1].splitlines() if line.startswith("  File")]
    return f"it was in {frames[0]}" if frames else ""
