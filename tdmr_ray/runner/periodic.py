"""A task that a thread repeats while something else runs."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def periodic_task(work: Callable[[], object], every_s: float) -> Iterator[None]:
    """Repeat a task for the duration; on exit, wait until it is not running.

    Args:
        work: The task; must not raise.
        every_s: Seconds between the end of one repetition and the start of the next.
    """
    over = threading.Event()

    def keep_working() -> None:
        while not over.wait(every_s):
            work()

    thread = threading.Thread(target=keep_working, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
