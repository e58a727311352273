"""Temperature schedules: pure functions from progress to temperature."""

import math
from collections.abc import Callable


def constant(progress: float, start: float, end: float) -> float:
    """T = start all along; `end` is not read."""
    return start


def linear(progress: float, start: float, end: float) -> float:
    """T = start + (end - start) * progress."""
    return start + (end - start) * progress


def cosine(progress: float, start: float, end: float) -> float:
    """T = end + (start - end) * (1 + cos(pi * progress)) / 2."""
    return end + (start - end) * (1 + math.cos(math.pi * progress)) / 2


def exponential(progress: float, start: float, end: float) -> float:
    """T = start * (end / start) ** progress."""
    return float(start * (end / start) ** progress)


SCHEDULES: dict[str, Callable[[float, float, float], float]] = {
    "constant": constant,
    "linear": linear,
    "cosine": cosine,
    "exponential": exponential,
    "step": linear,
}


def temperature_at(
    kind: str, progress: float, *, start: float, end: float, stage: int = 0, num_stages: int = 1
) -> float:
    """The temperature at a point of the whole distillation.

    `step` holds one temperature through each stage, with equal jumps from `start` in the first to `end` in the last;
    the others move all the time.

    Args:
        kind: A key of `SCHEDULES`.
        progress: 0 at the first step, 1 at the last.
        start: > 0.
        end: > 0.
        stage: 0 .. num_stages - 1.
        num_stages: >= 1.

    Raises:
        ValueError: If progress or a temperature is out of range.
    """
    if not 0 <= progress <= 1:
        raise ValueError(f"0 <= progress <= 1 must hold, but got {progress}")
    if start <= 0 or end <= 0:
        raise ValueError(f"temperatures must be positive, but got (start={start}, end={end})")
    if kind == "step":
        progress = stage / max(1, num_stages - 1)
    return SCHEDULES[kind](progress, start, end)
