"""Measure how well `label_issues.csv` finds wrong labels: 5 % of the training labels are changed at random.

Run:    python benchmarks/label_errors.py
Assets: those of `real_images.py`.
Cost:   features once (a minute of one core), then a minute.
Result: results/label_errors.json and .md

`uniform` gives an image any other class. `confused` draws the class from the square root of a head's out-of-fold
probabilities, so that it is a plausible one. All labels of train and val are searched, five seeds. The rule, its
threshold and the head's shrinkage were chosen with seeds 101 to 103, on the same images with other labels changed.

The target's predictions take no part, and labels that were wrong before count as right ones. Neither kind of noise is
what people's mistakes look like.
"""

import sys
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import typer
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.plain_features import FOUNDATIONS, WholeSet, whole_set
from benchmarks.results_file import show_and_keep
from tdmr_ray.inspection.held_out import out_of_fold
from tdmr_ray.inspection.label_issues import find_label_issues
from tdmr_ray.report.statistics import Estimate, estimate

NAME = "label_errors"
SEEDS = range(1, 6)
WRONG_SHARE = 0.05
CLEAN_SEED = 7


def plain_rule(probabilities: Tensor, labels: Tensor) -> Tensor:
    """Return the images whose likeliest class is not the given one, the least likely given class first."""
    given = probabilities.gather(1, labels[:, None])[:, 0]
    order = given.argsort()
    return order[probabilities.argmax(dim=1)[order] != labels[order]]


def confident_learning(probabilities: Tensor, labels: Tensor) -> Tensor:
    """Return the off-diagonal images of the confident joint, the smallest normalised margin first.

    An image counts for the likeliest of the classes whose probability is at least the mean one of the images that have
    this class as their label.

    Source: Northcutt et al. 2021, arXiv 1911.00068, section 3.1; written from the paper.
    """
    thresholds = torch.stack([probabilities[labels == label, label].mean() for label in range(probabilities.shape[1])])
    above = torch.where(probabilities >= thresholds, probabilities, -1.0)
    confidence, suggested = above.max(dim=1)
    rows = ((confidence > 0) & (suggested != labels)).nonzero().flatten()
    margin = probabilities[rows, labels[rows]] - probabilities[rows].max(dim=1).values
    return rows[margin.argsort()]


def ours(probabilities: Tensor, labels: Tensor) -> Tensor:
    """Return the images that the tool lists."""
    return find_label_issues(probabilities, labels).rows


RULES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "tool": ours,
    "confident learning": confident_learning,
    "prediction differs": plain_rule,
}


def with_errors(labels: Tensor, num_train: int, clean: Tensor | None, seed: int) -> tuple[Tensor, Tensor]:
    """Change 5 % of the training labels.

    Args:
        labels: Class of each image in train and val, [N].
        num_train: Number of training images, which come first.
        clean: Probabilities [N, C] that decide which classes are plausible; None makes all others equally likely.
        seed: Seed of the choice.

    Returns:
        The labels, and whether each was changed.
    """
    chance = np.random.default_rng(seed)
    rows = chance.choice(num_train, round(WRONG_SHARE * num_train), replace=False)
    changed, given, num_classes = torch.zeros(len(labels), dtype=torch.bool), labels.clone(), int(labels.max()) + 1
    changed[rows] = True
    for row in rows.tolist():
        weights = np.ones(num_classes) if clean is None else clean[row].double().sqrt().numpy().copy()
        weights[int(labels[row])] = 0
        given[row] = int(chance.choice(num_classes, p=weights / weights.sum()))
    return given, changed


def measure(found: Tensor, changed: Tensor) -> dict[str, float]:
    """Return precision and recall of a list, and the precision of its first K where K labels were changed."""
    hits, count = int(changed[found].sum()), int(changed.sum())
    first = changed[found[:count]]
    return {
        "precision": hits / max(1, len(found)),
        "recall": hits / count,
        "precision_at_k": float(first.float().sum()) / count,
        "listed": float(len(found)),
    }


def runs_of(data: WholeSet, noise: str) -> dict[str, dict[str, list[float]]]:
    """Return the measures of all rules, by rule and measure, one value a seed."""
    task = data.task
    labels = torch.cat([task.train.labels, task.val.labels])
    features = torch.cat([data.at(task.train), data.at(task.val)])
    clean = out_of_fold(features, labels, task.num_classes, seed=CLEAN_SEED) if noise == "confused" else None
    values: dict[str, dict[str, list[float]]] = {rule: defaultdict(list) for rule in RULES}
    for seed in SEEDS:
        given, changed = with_errors(labels, len(task.train), clean, seed)
        probabilities = out_of_fold(features, given, task.num_classes)
        assert probabilities is not None, "all classes have many images"
        for rule, find in RULES.items():
            for name, value in measure(find(probabilities, given), changed).items():
                values[rule][name].append(value)
    return values


def main() -> None:
    """Measure all rules and report."""
    torch.set_num_threads(1)
    figures: dict[str, Estimate] = {}
    lines = ["Wrong labels found, %, mean of five seeds; K is the number of changed labels.", ""]
    lines += [
        "| data, noise | rule | listed | precision | recall | precision of the first K |",
        "|---|---|--:|--:|--:|--:|",
    ]
    for name in FOUNDATIONS:
        for noise in ("uniform", "confused"):
            for rule, values in runs_of(whole_set(name), noise).items():
                found = {measured: estimate(series) for measured, series in values.items()}
                figures |= {f"{name}.{noise}.{rule}.{measured}": each for measured, each in found.items()}
                shown = [f"{100 * found[each].mean:.1f}" for each in ("precision", "recall", "precision_at_k")]
                lines.append(f"| {name}, {noise} | {rule} | {found['listed'].mean:.0f} | {' | '.join(shown)} |")
    show_and_keep(NAME, lines, figures)


if __name__ == "__main__":
    typer.run(main)
