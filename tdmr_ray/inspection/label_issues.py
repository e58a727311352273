"""Labels that are likely wrong, by probabilities of models that did not see them."""

from typing import NamedTuple

from torch import Tensor

MIN_ODDS = 10.0
"""Factor by which another class must be likelier than the given one, chosen in `benchmarks/label_errors.py`."""
TINY = 1e-12


class LabelIssues(NamedTuple):
    """Labels that are likely wrong, the surest first.

    Attributes:
        rows: Their images, [K].
        suggested: Class that is likeliest for each of them, [K].
        odds: Probability of that class divided by the given one's, [K].
    """

    rows: Tensor
    suggested: Tensor
    odds: Tensor


def find_label_issues(probabilities: Tensor, labels: Tensor, *, min_odds: float = MIN_ODDS) -> LabelIssues:
    """Find the images for which another class is far likelier than the given one.

    Args:
        probabilities: Class probabilities from models that were not trained on the image, [N, C].
        labels: Given classes, [N].
        min_odds: Least factor between the probabilities of both classes.

    The input is that of confident learning (Northcutt et al. 2021, arXiv 1911.00068). Its own thresholds, one for each
    class, are compared in `benchmarks/label_errors.py` and are less precise.
    """
    likeliest, suggested = probabilities.max(dim=1)
    given = probabilities.gather(1, labels[:, None])[:, 0]
    odds = likeliest / given.clamp(min=TINY)
    order = odds.argsort(descending=True, stable=True)
    rows = order[odds[order] >= min_odds]
    return LabelIssues(rows, suggested[rows], odds[rows])
