"""Decisions about the evaluation: objective, cross-validation and rivals."""

from tdmr_ray.api.class_balance import MOST_UNEQUAL
from tdmr_ray.initial.choice import Choice
from tdmr_ray.initial.facts import ImageFacts
from tdmr_ray.report.wording import ENOUGH_TEST_IMAGES

MOST_FOLDS = 5


def objective(facts: ImageFacts) -> Choice[str]:
    """Return balanced accuracy for classes of very different sizes, accuracy for others."""
    sizes = facts.class_sizes
    few, many = min(sizes, key=sizes.__getitem__), max(sizes, key=sizes.__getitem__)
    counts = f"'{many}' has {sizes[many]} labelled images and '{few}' has {sizes[few]}"
    if sizes[many] > MOST_UNEQUAL * sizes[few]:
        return Choice("val/balanced_accuracy", f"{counts}, so accuracy alone would hardly depend on '{few}'")
    if sizes[many] == sizes[few]:
        return Choice("val/top1", f"accuracy, because every class has {sizes[few]} labelled images")
    return Choice("val/top1", f"accuracy, because the classes are similar in size: {counts}")


def cv_folds(facts: ImageFacts) -> Choice[int | None]:
    """Return the folds of a cross-validation if test is small, no more than the smallest class has images."""
    if facts.num_test >= ENOUGH_TEST_IMAGES:
        return Choice(None, f"{facts.num_test} test images are enough without a cross-validation")
    folds = min(MOST_FOLDS, min(facts.class_sizes.values()))
    if folds < 2:
        return Choice(None, "the smallest class has too few images for a cross-validation")
    few = f"test has only {facts.num_test} images, fewer than {ENOUGH_TEST_IMAGES}"
    return Choice(folds, f"{few}; a cross-validation tests on every labelled image")


def controls(facts: ImageFacts, has_weights: bool) -> Choice[list[str]]:
    """Return the rivals that suit a target and the images.

    Args:
        facts: The images.
        has_weights: Whether every target starts from weights.
    """
    own = ["fine_tune", "frozen_target"] if has_weights else ["scratch"]
    self_training = "self_training_pretrained" if has_weights else "self_training"
    unlabeled = [self_training] if facts.num_unlabeled else []
    start = "weights to start from" if has_weights else "random weights"
    also = f", and self-training because {facts.num_unlabeled} images have no label" if unlabeled else ""
    reason = f"what you would try without this package, for a target with {start}{also}"
    return Choice([*own, *unlabeled, "plain_kd", "linear_probe", "majority"], reason)
