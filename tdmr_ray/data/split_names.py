"""Names and numbers of the splits."""

ANY, TRAIN, VAL, TEST = -1, 0, 1, 2
"""The split of an image; `ANY` if the data set does not name one."""
SPLIT_NAMES = {"train": TRAIN, "training": TRAIN, "val": VAL, "valid": VAL, "validation": VAL, "test": TEST}
UNLABELED = -1
"""Label of an image without one; it always belongs to the training split."""
