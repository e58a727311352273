"""Measure what labels are worth: 20 images that `next_to_label.csv` names first, against 20 random ones.

Run:    python benchmarks/next_to_label.py
Assets: those of `real_images.py`.
Cost:   features once (a minute of one core), then two minutes.
Result: results/next_to_label.json and .md

A linear head on the foundation's features has 2 or 5 labels a class, chooses 20 of the other training images, and is
fitted again with their true labels. Its accuracy on test is measured before and after, with 20 seeds that draw the
first labels. The rule was chosen among 18 with seeds 101 to 106, on the same images, before these seeds were run. Five
seeds were run first and left wide intervals; the other 15 were added, and nothing else was changed.

No target is trained, and no label of val is used. Test images are those that the exploration saw, too.
"""

import sys
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import torch
import typer
from torch import Tensor
from torch.nn.functional import normalize

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.plain_features import FOUNDATIONS, WholeSet, whole_set
from benchmarks.results_file import show_and_keep
from tdmr_ray.inspection.inspect import head_probabilities
from tdmr_ray.inspection.next_to_label import rank_to_label, uncertainty
from tdmr_ray.report.statistics import Estimate, estimate

NAME = "next_to_label"
SEEDS = range(1, 21)
SHOTS = (2, 5)
NUM_CHOSEN = 20
Rule = Callable[[Tensor, Tensor, Tensor, torch.Generator], Tensor]
"""Chooses rows by features [N, d], features of the labelled images [L, d], probabilities [N, C] and chance."""


def by_tool(features: Tensor, labeled: Tensor, probabilities: Tensor, chance: torch.Generator) -> Tensor:
    """Choose as the tool does."""
    return rank_to_label(features, labeled, probabilities, count=NUM_CHOSEN).rows


def at_random(features: Tensor, labeled: Tensor, probabilities: Tensor, chance: torch.Generator) -> Tensor:
    """Choose at random."""
    return torch.randperm(len(features), generator=chance)[:NUM_CHOSEN]


def by_margin(features: Tensor, labeled: Tensor, probabilities: Tensor, chance: torch.Generator) -> Tensor:
    """Choose the images with the smallest gap between the two likeliest classes."""
    return uncertainty(probabilities).topk(NUM_CHOSEN).indices


def by_entropy(features: Tensor, labeled: Tensor, probabilities: Tensor, chance: torch.Generator) -> Tensor:
    """Choose the images with the largest entropy."""
    return torch.special.entr(probabilities).sum(dim=1).topk(NUM_CHOSEN).indices


def farthest_first(features: Tensor, labeled: Tensor, probabilities: Tensor, chance: torch.Generator) -> Tensor:
    """Choose the image that is farthest from all labelled and chosen ones, again and again."""
    center = torch.cat([features, labeled]).mean(dim=0)
    own, known = normalize(features - center, dim=1), normalize(labeled - center, dim=1)
    distance, rows = 1 - (own @ known.T).max(dim=1).values, []
    for _ in range(NUM_CHOSEN):
        rows.append(int(distance.argmax()))
        distance = torch.minimum(distance, 1 - own @ own[rows[-1]])
    return torch.tensor(rows)


RULES: dict[str, Rule] = {
    "random": at_random,
    "entropy": by_entropy,
    "margin": by_margin,
    "farthest first": farthest_first,
    "tool": by_tool,
}


def gains_of(data: WholeSet, shots: int, seed: int) -> dict[str, float]:
    """Return how much accuracy on test, in points, the images of each rule add."""
    task, chance = data.task, torch.Generator().manual_seed(seed)
    features, labels = data.at(task.train), task.train.labels
    test, num_classes = data.at(task.test), task.num_classes
    order = torch.randperm(len(labels), generator=chance)
    first = torch.cat([order[labels[order] == label][:shots] for label in range(num_classes)])
    others = order[~torch.isin(order, first)]

    def accuracy(rows: Tensor) -> float:
        predicted = head_probabilities(features[rows], labels[rows], test, num_classes).argmax(dim=1)
        return 100 * float((predicted == task.test.labels).double().mean())

    probabilities = head_probabilities(features[first], labels[first], features[others], num_classes)
    before = accuracy(first)
    return {
        rule: accuracy(torch.cat([first, others[choose(features[others], features[first], probabilities, chance)]]))
        - before
        for rule, choose in RULES.items()
    }


def main() -> None:
    """Measure all rules and report."""
    torch.set_num_threads(1)
    figures: dict[str, Estimate] = {}
    lines = [f"Gain on test from {NUM_CHOSEN} more labels, in points, mean of {len(SEEDS)} seeds.", ""]
    lines += ["| data, labels a class | rule | gain | less random, with 95 % interval |", "|---|---|--:|--:|"]
    for name in FOUNDATIONS:
        for shots in SHOTS:
            values: dict[str, list[float]] = defaultdict(list)
            for seed in SEEDS:
                for rule, gain in gains_of(whole_set(name), shots, seed).items():
                    values[rule].append(gain)
            for rule, gains in values.items():
                key = f"{name}.{shots}.{rule}"
                figures[f"{key}.gain"] = estimate(gains)
                more = ""
                if rule != "random":
                    paired = [own - other for own, other in zip(gains, values["random"], strict=True)]
                    figures[f"{key}.less_random"] = found = estimate(paired)
                    more = f"{found.mean:+.1f} [{found.low:+.1f}, {found.high:+.1f}]"
                lines.append(f"| {name}, {shots} | {rule} | {figures[f'{key}.gain'].mean:+.1f} | {more} |")
    show_and_keep(NAME, lines, figures)


if __name__ == "__main__":
    typer.run(main)
