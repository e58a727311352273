"""Configuration names of earlier editions: recorded runs and earlier revisions are read under them."""

from collections.abc import Mapping
from typing import Any

Renames = dict[str, str]
"""Dotted paths of an edition, and their names in the edition before it."""
ABSENT = ""
"""Name of a path that the edition before lacks: it always did what the setting now asks for."""

OLDER_PATHS: tuple[tuple[str, Renames], ...] = (
    ("views.preset", {"views.mirror": "data.mirror", "views.preset": ABSENT}),
    (
        "loss",
        {
            "loss.kind": "distill.loss",
            "loss.standardize": "distill.standardize",
            "alignment.kind": "distill.alignment",
            "mapping.lr": "reprogram.lr",
            "mapping.weight_decay": "reprogram.weight_decay",
            "prompt.lr": "reprogram.prompt_lr",
        },
    ),
    (
        "outputs",
        {
            "outputs.kind": "signals.kind",
            "outputs.num_views": "signals.num_views",
            "outputs.view_averaging": "signals.consensus",
            "outputs.propagation_neighbors": "signals.neighbors",
            "outputs.propagation_alpha": "signals.spread",
            "distill.self_distillation_weight": "distill.own_share",
        },
    ),
)
"""Newest first: a section or path that earlier editions lack, and their names for today's paths."""


def in_first_edition(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values by the dotted paths of the first edition.

    Keys of recorded runs are hashes of these, so that a rename does not make a finished run look missing.
    `same_numbers.py` shows that the runs themselves did not change.
    """
    named = dict(values)
    for _, older in OLDER_PATHS:
        named = {older.get(path, path): value for path, value in named.items()}
        named.pop(ABSENT, None)
    return named
