"""Names and numbers of the splits."""

ANY, TRAIN, VAL, TEST = -1, 0, 1, 2
"""The split of an image; `ANY` if the data set does not name one."""
SPLIT_NAMES = {
    "train": TRAIN,
    "training": TRAIN,
    "val": VAL,
    "valid": VAL,
    "validation": VAL,
    "dev": VAL,
    "test": TEST,
    "testing": TEST,
}
"""Split of each usual name, in lower case. `eval` is missing, because it means val to some and test to others."""
UNLABELED_NAMES = frozenset(["unlabeled", "unlabelled", "unsupervised"])
"""Names, in lower case, of a part whose images join the training split without labels."""
UNLABELED = -1
"""Label of an image without one; it always belongs to the training split."""


def split_named(name: str) -> int | None:
    """Return the split that a name in any case means, or None if it means none."""
    return SPLIT_NAMES.get(name.strip().lower())


def is_unlabeled_name(name: str) -> bool:
    """Return whether a name in any case means images without labels."""
    return name.strip().lower() in UNLABELED_NAMES
