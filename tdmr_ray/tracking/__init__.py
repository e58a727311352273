"""Listeners that log a search elsewhere, by their names under `tracking` in a space file."""

from collections.abc import Iterable

from tdmr_ray.errors import InputError
from tdmr_ray.space.tracking import LISTENERS
from tdmr_ray.tracking.background import Background
from tdmr_ray.tuning.listener import Listener

__all__ = ["build_trackers"]


def build_trackers(names: Iterable[str]) -> tuple[Listener, ...]:
    """Return the listeners; each works in a thread of its own, because a server may be slow.

    Raises:
        InputError: If a plug-in is refused, or is not a listener.
    """
    return tuple(Background(_build(name)) for name in names)


def _build(name: str) -> Listener:
    match name:
        case "mlflow":
            from tdmr_ray.tracking.mlflow import MLflowTracker

            return MLflowTracker()
        case "wandb":
            from tdmr_ray.tracking.wandb import WandbTracker

            return WandbTracker()
    kind = LISTENERS[name]
    if not issubclass(kind, Listener):
        raise InputError("tracking", f"the plug-in '{name}' must be a subclass of Listener, got {kind!r}")
    return kind()
