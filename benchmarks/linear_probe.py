"""Measure what the built-in foundations know about handwriting: the control `linear_probe` on digits.

Run:    python benchmarks/linear_probe.py
Cost:   about 3 minutes on 2 cores.
Result: results/linear_probe.json.

The same networks with random weights serve for comparison. They are calibrated (unit gain, batch statistics of the
digits), since they are far worse as initialised. A support vector machine on raw pixels is the floor: a foundation that
is not above it is of no use.
"""

import sys
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[1]))

from sklearn.svm import SVC

from benchmarks.results_file import write_results
from tdmr_ray.data.config import DataConfig
from tdmr_ray.data.loading import load_task
from tdmr_ray.data.task import Task
from tdmr_ray.models import Foundation, InputSpec
from tdmr_ray.models.embedded import EMBEDDED, load_embedded
from tdmr_ray.models.embedded.probe import calibrate
from tdmr_ray.report.statistics import Estimate, estimate
from tdmr_ray.training.config import TrialConfig
from tdmr_ray.training.evaluate import evaluate
from tdmr_ray.training.reprogram import fit_teacher

SHOTS, SEEDS = (5, 10, 20), (0, 1, 2)
CPU = torch.device("cpu")


def probe(name: str, task: Task, seed: int, *, pretrained: bool) -> float:
    """Return the test accuracy of a linear layer on the frozen network, trained like the control."""
    torch.manual_seed(seed)
    network = load_embedded(name, pretrained=pretrained)
    spec = InputSpec.from_timm(network.pretrained_cfg)
    if not pretrained:
        calibrate(network, task.train.images)
    config = TrialConfig().with_values({"foundation.name": name, "mapping.kind": "linear", "seed": seed})
    teacher = fit_teacher(config, task, Foundation(network, spec), CPU).teacher
    return evaluate(lambda images: teacher(images).logits, task.test, device=CPU).top1


def pixels(task: Task) -> float:
    """Return the test accuracy of a support vector machine on raw pixels."""
    train, test = (part.images[:, 0].flatten(1).numpy() / 255 for part in (task.labeled, task.test))
    return float(SVC(C=10.0).fit(train, task.labeled.labels).score(test, task.test.labels))


def main() -> None:
    """Print the table and keep the figures."""
    torch.set_num_threads(1)
    figures: dict[str, float | Estimate] = {}
    table = Table("network", *(f"{shots} per class: %" for shots in SHOTS), title="digits, test, mean of 3 subsets")
    tasks = {shots: [load_task(DataConfig(shots=shots, shots_seed=seed)) for seed in SEEDS] for shots in SHOTS}
    for name in EMBEDDED:
        for pretrained in (True, False):
            label = name if pretrained else f"{name}_random"
            for shots in SHOTS:
                runs = [
                    probe(name, task, seed, pretrained=pretrained)
                    for seed, task in zip(SEEDS, tasks[shots], strict=True)
                ]
                figures[f"{label}_{shots}shot"] = estimate(runs)
            table.add_row(label, *(shown(figures[f"{label}_{shots}shot"]) for shots in SHOTS))
    for shots in SHOTS:
        figures[f"pixel_svm_{shots}shot"] = estimate([pixels(task) for task in tasks[shots]])
    table.add_row("pixel_svm", *(shown(figures[f"pixel_svm_{shots}shot"]) for shots in SHOTS))
    Console().print(table)
    print(write_results("linear_probe", figures))


def shown(figure: float | Estimate) -> str:
    """Return text such as '96.5 ± 0.4': mean and standard deviation in percent."""
    assert isinstance(figure, Estimate)
    return f"{100 * figure.mean:.1f} ± {100 * (figure.sd or 0):.1f}"


if __name__ == "__main__":
    main()
