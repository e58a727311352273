"""Whether a phase of a search is being ended."""

from dataclasses import dataclass


@dataclass
class StopFlag:
    """Whether a phase is being ended before its trials are done; Tune pickles the objects that look at it.

    Attributes:
        is_set: Whether it is.
        is_waiting: Whether a running trial still completes its epoch.
    """

    is_set: bool = False
    is_waiting: bool = False
