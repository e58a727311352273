"""How often 95 % intervals hold the true accuracy, and how often equal methods differ significantly, in simulations.

    python benchmarks/interval_coverage.py          (about 4 minutes of CPU time)

A report has S seeds and N test images, shared by two methods of equal true accuracy. An image is right if

    limit + seed + image + interaction > 0,    image ~ N(0, 0.6), interaction ~ N(0, 0.4), seed ~ N(0, spread)

so that true accuracy over all training sets, seeds and test images is known. `spread` is what redrawing the training
set and the initialisation does to the true accuracy. Of the variance between images, 70 % are shared by both methods,
and of that between seeds, 50 %.

Rules: "old" is Student's t over the seeds' accuracies; "percentile" takes quantiles of means over resampled seeds and
images; "new" is `tdmr_ray.report.bootstrap`. With two seeds the report shows no interval; "new" is then what its rule
would give. A table's cell is the mean over the cases of `CASES`, with the worst case in brackets. `SKEWED` is apart:
seeds that differ as much as the method errs give accuracies far from normal, and no rule holds there.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import stats

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.results_file import show_and_keep
from tdmr_ray.report.bootstrap import ADDED_TO_ACCURACY, ADDED_TO_GAIN, smoothed_mean

SEEDS, IMAGES = (2, 3, 5), (30, 100, 300, 1000)
REPORTS, REPORTS_AT_ONCE = 600, 100
RESAMPLED = 400
IMAGE_SHARE, SHARED_IMAGES, SHARED_SEEDS = 0.6, 0.7, 0.5

Tables = NDArray[np.float32]
"""Right (1) or wrong (0), or differences of two methods: [reports, S, N]."""
Rule = Callable[[Tables, tuple[float, ...]], NDArray[np.float64]]
"""Lower and upper ends of the intervals of some tables, [reports, 2]; the numbers are the images that are added."""


@dataclass(frozen=True)
class Case:
    """A true accuracy and the standard deviation of true accuracy between seeds."""

    accuracy: float
    spread: float


CASES = tuple(Case(accuracy, share * (1 - accuracy)) for accuracy in (0.75, 0.9, 0.97) for share in (0.0, 0.1, 0.3))
SKEWED = (Case(0.97, 0.03),)


def main() -> None:
    """Print and keep coverage and false positives of each rule."""
    figures: dict[str, float] = {}
    header = " | ".join(f"{name}, {rule}" for name in ("coverage", "false positives") for rule in RULES)
    lines = [f"| cases | seeds | test images | {header} |", "|---|--:|--:|" + "--:|" * 2 * len(RULES)]
    for title, cases in {"usual": CASES, "skewed": SKEWED}.items():
        for seeds in SEEDS:
            for images in IMAGES:
                cells = measure(title, cases, seeds, images, figures)
                lines.append(f"| {title} | {seeds} | {images} | {' | '.join(cells)} |")
    show_and_keep("interval_coverage", lines, figures, notes={"reports_of_each_case": REPORTS})


def measure(title: str, cases: tuple[Case, ...], seeds: int, images: int, figures: dict[str, float]) -> list[str]:
    """Simulate the cases with some seeds and images; return the table's cells and add the figures."""
    rng = np.random.default_rng((seeds, images))
    found = np.array([simulate(case, seeds, images, rng) for case in cases])  # [case, quantity, rule]
    worst = np.stack([found[:, 0].min(axis=0), found[:, 1].max(axis=0)])
    cells = []
    for row, quantity in enumerate(("coverage", "false_positives")):
        for column, rule in enumerate(RULES):
            key = f"{title}/{quantity}/{rule}/{seeds}_seeds/{images}_images"
            mean = float(found[:, row, column].mean())
            figures[key], figures[f"{key}/worst"] = mean, float(worst[row, column])
            cells.append(f"{100 * mean:.1f} % ({100 * worst[row, column]:.1f})")
    return cells


def simulate(case: Case, seeds: int, images: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return shares of intervals that hold the true accuracy and of gains that leave out 0, [2, rules]."""
    hits = np.zeros((2, len(RULES)))
    for _ in range(REPORTS // REPORTS_AT_ONCE):
        ours, theirs = draw(case, seeds, images, rng)
        for column, rule in enumerate(RULES.values()):
            accuracy, gain = rule(ours, ADDED_TO_ACCURACY), rule(ours - theirs, ADDED_TO_GAIN)
            hits[0, column] += np.sum((accuracy[:, 0] <= case.accuracy) & (case.accuracy <= accuracy[:, 1]))
            hits[1, column] += np.sum((gain[:, 0] > 0) | (gain[:, 1] < 0))
    return hits / REPORTS


def draw(case: Case, seeds: int, images: int, rng: np.random.Generator) -> tuple[Tables, Tables]:
    """Draw the results of two methods of equal true accuracy."""
    quantile = float(stats.norm.ppf(case.accuracy))
    spread = case.spread / float(stats.norm.pdf(quantile))
    limit = quantile * np.sqrt(1 + spread**2)

    def normal(*shape: int) -> Tables:
        return rng.standard_normal((REPORTS_AT_ONCE, *shape), dtype=np.float32)

    of_seeds, of_images = normal(seeds, 1), normal(1, images)
    tables = []
    for _ in range(2):
        seed = np.sqrt(SHARED_SEEDS) * of_seeds + np.sqrt(1 - SHARED_SEEDS) * normal(seeds, 1)
        image = np.sqrt(SHARED_IMAGES) * of_images + np.sqrt(1 - SHARED_IMAGES) * normal(1, images)
        interaction = np.sqrt(1 - IMAGE_SHARE) * normal(seeds, images)
        tables.append((limit + spread * seed + np.sqrt(IMAGE_SHARE) * image + interaction > 0).astype(np.float32))
    return tables[0], tables[1]


def old(tables: Tables, added: tuple[float, ...]) -> NDArray[np.float64]:
    """Return Student's t intervals over the seeds' means, which know nothing of the images."""
    of_seeds = tables.mean(axis=2, dtype=np.float64)
    means, seeds = of_seeds.mean(axis=1), of_seeds.shape[1]
    half = stats.t.ppf(0.975, seeds - 1) * of_seeds.std(axis=1, ddof=1) / np.sqrt(seeds)
    return np.stack([means - half, means + half], axis=1)


def percentile(tables: Tables, added: tuple[float, ...]) -> NDArray[np.float64]:
    """Return quantiles of the means over resampled seeds and images."""
    rng = np.random.default_rng(0)
    seeds, images = tables.shape[1:]
    of_seeds = rng.multinomial(seeds, np.full(seeds, 1 / seeds), RESAMPLED) / seeds
    of_images = (rng.multinomial(images, np.full(images, 1 / images), RESAMPLED) / images).astype(np.float32)
    means = np.einsum("bs,rsb->rb", of_seeds, tables @ of_images.T)
    return np.stack([np.quantile(means, level, axis=1) for level in (0.025, 0.975)], axis=1)


def new(tables: Tables, added: tuple[float, ...]) -> NDArray[np.float64]:
    """Return the intervals of the report."""
    weights = np.full(tables.shape[2], 1 / tables.shape[2])
    return np.array([smoothed_mean(table.astype(np.float64), weights, added).interval for table in tables])


RULES: dict[str, Rule] = {"old": old, "percentile": percentile, "new": new}

if __name__ == "__main__":
    main()
