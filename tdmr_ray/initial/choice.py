"""A decision and its reason."""

from dataclasses import dataclass
from typing import Generic, TypeVar

Value = TypeVar("Value")


@dataclass(frozen=True)
class Choice(Generic[Value]):
    """What a line of the space file says, and why.

    Attributes:
        value: Value of the key; None leaves the line out.
        reason: One sentence for the comment.
    """

    value: Value
    reason: str
