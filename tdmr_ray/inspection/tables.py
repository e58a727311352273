"""The tables that a search writes for the owner of the images."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

from torch import Tensor

from tdmr_ray.inspection.label_issues import LabelIssues
from tdmr_ray.inspection.next_to_label import Ranking
from tdmr_ray.inspection.pools import Pool

ISSUE_COLUMNS = ("path", "split", "given_label", "suggested_label", "given_probability", "suggested_probability")
NEXT_COLUMNS = ("path", "rank", "score", "predicted_class", "probability")


def write_label_issues(
    path: Path, pool: Pool, issues: LabelIssues, probabilities: Tensor, class_names: Sequence[str]
) -> None:
    """Write `label_issues.csv`: likely label errors of train and val, the surest first.

    Args:
        path: The file.
        pool: All labelled images, [N].
        issues: Rows of the pool.
        probabilities: Out-of-fold probabilities, [N, C].
        class_names: C names.
    """
    rows = []
    for row, suggested in zip(issues.rows.tolist(), issues.suggested.tolist(), strict=True):
        given = int(pool.images.labels[row])
        shown = [_rounded(probabilities[row, each]) for each in (given, suggested)]
        rows.append([pool.names[row], pool.splits[row], class_names[given], class_names[suggested], *shown])
    _write(path, ISSUE_COLUMNS, rows)


def write_next_to_label(
    path: Path, pool: Pool, ranking: Ranking, probabilities: Tensor, class_names: Sequence[str]
) -> None:
    """Write `next_to_label.csv`: images without labels, the most useful first; see `write_label_issues`."""
    largest, predicted = probabilities.max(dim=1)
    rows = [
        [pool.names[row], rank, _rounded(score), class_names[int(predicted[row])], _rounded(largest[row])]
        for rank, (row, score) in enumerate(zip(ranking.rows.tolist(), ranking.scores, strict=True), start=1)
    ]
    _write(path, NEXT_COLUMNS, rows)


def _rounded(value: Tensor) -> str:
    return f"{float(value):.4g}"


def _write(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(rows)
