"""Notice of a Ray whose control service (`gcs_server`) has died.

Ray itself ends the driver a minute later, in a thread of its own and without a word about the search. Until then the
main thread waits for an answer, so only another thread can leave in order.
"""

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial
from time import monotonic

from tdmr_ray.runner.periodic import periodic_task

ASK_EVERY_S = 1.0
OWN_LIMIT_S = 5.0
"""Time without an answer after which a control service on this machine is dead: nothing starts it again."""
JOINED_LIMIT_S = 45.0
"""The same for a cluster's, which may be started again; Ray gives up after 60 s."""
FAILED = 1


def advised(joined: str | None, advice: Callable[[], str]) -> AbstractContextManager[None]:
    """Let the death of the connected Ray's control service end this process with advice, for the duration.

    Args:
        joined: Address of the Ray that was joined; None if it is our own.
        advice: Says how to go on.
    """
    import ray

    address = str(ray.get_runtime_context().gcs_address)
    return watched_gcs(address, OWN_LIMIT_S if joined is None else JOINED_LIMIT_S, partial(leave, advice))


@contextmanager
def watched_gcs(address: str, limit_s: float, on_death: Callable[[], object]) -> Iterator[None]:
    """Ask for connections to the control service for the duration.

    Args:
        address: Host and port. One that cannot be reached from the beginning, such as behind Ray's client, is not
            watched.
        limit_s: Seconds without an answer after which it is dead.
        on_death: Called then, in another thread.
    """
    if not _answers(address):
        yield
        return
    answered = monotonic()

    def ask() -> None:
        nonlocal answered
        if _answers(address):
            answered = monotonic()
        elif monotonic() - answered > limit_s:
            on_death()

    with periodic_task(ask, ASK_EVERY_S):
        yield


def leave(advice: Callable[[], str]) -> None:
    """End the process with a message on how to go on; the ledger is on the disk.

    Args:
        advice: Returns the end of the message.
    """
    text = f"Ray has died, its control service does not answer: {advice()}\n"
    with suppress(OSError):
        os.write(2, text.encode(errors="replace"))
    os._exit(FAILED)


def _answers(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=ASK_EVERY_S).close()
    except (OSError, ValueError):
        return False
    return True
