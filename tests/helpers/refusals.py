"""Calls that may be refused."""

from collections.abc import Callable
from typing import TypeVar

from tdmr_ray.errors import InputError

Result = TypeVar("Result")


def result_of(make: Callable[[], Result]) -> Result | None:
    """Return a result, or None if it is refused with a message; any other error is a fault."""
    problems: list[str] = []
    try:
        return make()
    except InputError as error:
        problems = list(error.problems)
    assert problems and all(problems)
    return None
