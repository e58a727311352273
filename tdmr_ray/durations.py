"""Durations as people write and read them."""

import re
from datetime import timedelta

_UNITS_S = {"d": 86400, "h": 3600, "m": 60, "s": 1}


def parse_duration(value: object) -> object:
    """Parse '1h30m' into seconds; pydantic validates everything that is not a string.

    Raises:
        ValueError: If a string is not a duration.
    """
    if not isinstance(value, str):
        return value
    if not re.fullmatch(r"(\d+(\.\d+)?[dhms])+", value):
        raise ValueError("must be a duration such as '90s', '20m' or '1h30m'")
    return sum(float(number) * _UNITS_S[unit] for number, unit in re.findall(r"([\d.]+)([dhms])", value))


def pretty_seconds(seconds: float) -> str:
    """'0:04:12'."""
    return str(timedelta(seconds=round(seconds)))
