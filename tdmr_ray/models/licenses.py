"""Licences of pretrained weights, as far as timm states them."""

import timm

from tdmr_ray.models.embedded import EMBEDDED
from tdmr_ray.models.names import PRETRAINED, RANDOM

OWN = "apache-2.0"
"""Licence of the embedded foundations, which are part of this package."""


def foundation_license(name: str, weights: str) -> str | None:
    """Return the licence of a foundation's weights; None if it is unknown or they are random.

    Args:
        name: A built-in or timm name.
        weights: '' for the network's own weights, a file, or `random`.
    """
    if weights:
        return None
    return OWN if name in EMBEDDED else _stated(name)


def target_license(name: str, weights: str) -> str | None:
    """Return the licence of a target's initial weights; None if it is unknown or they are random or from a file."""
    return _stated(name) if weights == PRETRAINED else None


def describe_license(license_: str | None, weights: str) -> str:
    """Return a licence in words."""
    if weights == RANDOM:
        return "random weights"
    return license_ or ("unknown, from a file" if weights not in ("", PRETRAINED) else "unknown")


def _stated(name: str) -> str | None:
    config = timm.get_pretrained_cfg(name, allow_unregistered=True) if timm.is_model(name) else None
    found = config.license if config is not None else None
    return None if found in (None, "", "unknown") else str(found).lower()
