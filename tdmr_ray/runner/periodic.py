"""Something that is done again and again in a thread while something else goes on."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def periodic_task(work: Callable[[], object], every_s: float) -> Iterator[None]:
    """Do the work every so many seconds for as long as this lasts; none is under way when it has ended.

    Args:
        work: Must not raise.
        every_s: From the end of one time to the next.
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
