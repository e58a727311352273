"""How well a threshold on val refuses images of classes that a model has never seen, and how well it is calibrated.

Run:    python benchmarks/none_of_these.py            (run it again after an interruption: finished runs are kept)
Assets: fashion, clip art and the weights `lite0.safetensors` of `real_images.py`.
Cost:   17 minutes on a machine of two cores that was overloaded by other work.
Result: results/none_of_these.json and .md; every run is a line of results/none_of_these.jsonl.

Each of three divisions leaves about 30 % of the classes out. A small network learns the others: from random weights on
digits and fashion, and as a classifier on EfficientNet-Lite0 with ImageNet weights on clip art. Val of the known
classes chooses temperature and thresholds. Test images of known and of left-out classes are then accepted or refused.
Energy needs logits, which an exported file does not give, and is there for comparison.

The largest probability ships: the simplest of three scores that this benchmark cannot tell apart.

Limits: left-out classes are of the same kind as the known ones, so this is a hard case; pictures of something entirely
different were not tried. One training for each division, so intervals speak of divisions and not of seeds.
"""

import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.results_file import FOLDER, show_and_keep
from benchmarks.resumable import Row, run_missing
from tdmr_ray.data.loading import load_task
from tdmr_ray.data.task import Images, Task
from tdmr_ray.deploy.calibration import calibration_error
from tdmr_ray.method.discriminant import likeliest_temperature
from tdmr_ray.models import Target
from tdmr_ray.report.statistics import Estimate, estimate
from tdmr_ray.training.config import TrialConfig, hash_json
from tdmr_ray.training.evaluate import evaluate
from tdmr_ray.training.fit import fit
from tdmr_ray.training.steps import with_steps
from tdmr_ray.training.thresholds import KEPT, reached_by, thresholds_of

NAME, DIVISIONS = "none_of_these", 3
STEPS = 300
ASSETS = Path(__file__).parents[1] / "assets"
SMALL = {"method": "scratch", "target.name": "mobilenetv3_small_050"}
SETS: dict[str, dict[str, Any]] = {
    "digits": {**SMALL, "data.name": "digits"},
    "fashion": {**SMALL, "data.name": str(ASSETS / "sets" / "fashion"), "data.image_px": 32},
    "clipart": {
        "method": "frozen_target",
        "data.name": str(ASSETS / "sets" / "clipart"),
        "data.image_px": 96,
        "target.name": "tf_efficientnet_lite0",
        "target.weights": str(ASSETS / "lite0.safetensors"),
    },
}
SCORES = ("max_probability", "entropy", "energy")
COVERAGES = (0.9, 0.95)
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Job:
    """One set with some of its classes left out."""

    task: str
    division: int

    def __str__(self) -> str:
        return f"{self.task}, division {self.division}"

    @property
    def key(self) -> str:
        """A hash of the job and its settings, without the place of the assets."""
        settings = {name: Path(str(value)).name for name, value in SETS[self.task].items()}
        return hash_json([asdict(self), settings, STEPS])


def divide(task: Task, division: int) -> tuple[Task, Images]:
    """Return the task without some of its classes, and the test images of those."""
    count = task.num_classes
    left_out = np.random.default_rng(division).permutation(count)[: round(0.3 * count)]
    known = [number for number in range(count) if number not in left_out]
    new_label = torch.full((count,), -1)
    new_label[known] = torch.arange(len(known))

    def kept(images: Images) -> Images:
        labels = new_label[images.labels]
        return replace(images, labels=labels).pick((labels >= 0).nonzero().flatten())

    labeled = kept(task.labeled)
    names = tuple(task.class_names[number] for number in known)
    fingerprint = f"{task.fingerprint}-{division}"
    rest = replace(
        task,
        train=labeled,
        num_labeled=len(labeled),
        val=kept(task.val),
        test=kept(task.test),
        class_names=names,
        fingerprint=fingerprint,
    )
    return rest, task.test.pick((new_label[task.test.labels] < 0).nonzero().flatten())


def trained(job: Job) -> tuple[Target, Task, Images]:
    """Train a network on the known classes."""
    config = TrialConfig().with_values(SETS[job.task])
    task, unknown = divide(load_task(config.data), job.division)
    config = with_steps(config, task, STEPS) if config.method == "scratch" else config
    target = fit(config, task, lambda _: None, read_test=False).target
    assert target is not None, "the method has a target"
    return target.eval(), task, unknown


def scores_of(logits: Tensor, temperature: float) -> dict[str, Floats]:
    """Return each score [N]; it is greater for images that look known."""
    log_p = (logits.double() / temperature).log_softmax(dim=1)
    return {
        "max_probability": log_p.exp().amax(dim=1).numpy(),
        "entropy": (log_p.exp() * log_p).sum(dim=1).numpy(),
        "energy": logits.double().logsumexp(dim=1).numpy(),
    }


def run(job: Job) -> Row:
    """Train, choose thresholds on val, and measure on test."""
    torch.set_num_threads(1)
    target, task, unknown = trained(job)
    cpu = torch.device("cpu")

    def logits_of(images: Images) -> Tensor:
        with torch.inference_mode():
            return evaluate(lambda batch: target(batch).logits, images, device=cpu).logits.double()

    val, test, other = (logits_of(images) for images in (task.val, task.test, unknown))
    temperature = likeliest_temperature(val, task.val.labels)
    row: Row = {**asdict(job), "known": list(task.class_names), "num_val": len(val), "num_test": len(test)}
    row |= {"num_unknown": len(other), "temperature": temperature}
    row["val_top1"] = float((val.argmax(dim=1) == task.val.labels).double().mean())
    row["test_top1"] = float((test.argmax(dim=1) == task.test.labels).double().mean())
    for split, logits, images in (("val", val, task.val), ("test", test, task.test)):
        row[f"ece_{split}_before"] = calibration_error(logits.softmax(dim=1), images.labels)
        row[f"ece_{split}"] = calibration_error((logits / temperature).softmax(dim=1), images.labels)
    right = {"val": val.argmax(dim=1) == task.val.labels, "test": test.argmax(dim=1) == task.test.labels}
    found = [scores_of(logits, temperature) for logits in (val, test, other)]
    for name in SCORES:
        row |= refusals(name, *(each[name] for each in found), right["val"].numpy(), right["test"].numpy())
    thresholds = thresholds_of((val / temperature).softmax(dim=1).numpy(), task.val.labels.numpy())
    p_test = (test / temperature).softmax(dim=1)
    for coverage in COVERAGES:
        inside = p_test >= thresholds.for_coverage(coverage)
        inside[torch.arange(len(inside)), p_test.argmax(dim=1)] = True
        row[f"covered_{coverage}"] = float(inside.gather(1, task.test.labels[:, None]).double().mean())
        row[f"set_size_{coverage}"] = float(inside.sum(dim=1).double().mean())
    return row


def refusals(
    name: str, val: Floats, test: Floats, unknown: Floats, val_right: NDArray[np.bool_], test_right: NDArray[np.bool_]
) -> Row:
    """Return AUROC of a score, and the error rates at the threshold that val chose."""
    threshold = reached_by(val[val_right], KEPT)
    assert threshold is not None, "val has enough images"
    is_known = np.concatenate([np.ones(len(test)), np.zeros(len(unknown))])
    return {
        f"auroc_{name}": float(roc_auc_score(is_known, np.concatenate([test, unknown]))),
        f"accepted_{name}": float((unknown >= threshold).mean()),
        f"refused_{name}": float((test < threshold).mean()),
        f"refused_right_{name}": float((test[test_right] < threshold).mean()),
    }


def summary_of(rows: Sequence[Row]) -> tuple[list[str], dict[str, Estimate]]:
    """Return the tables and the figures, each averaged over the divisions."""
    figures = {
        f"{task}.{key}": estimate([row[key] for row in rows if row["task"] == task])
        for task in dict.fromkeys(row["task"] for row in rows)
        for key, value in rows[0].items()
        if isinstance(value, float)
    }
    for key in ("auroc", "accepted", "refused"):
        gains = [row[f"{key}_entropy"] - row[f"{key}_max_probability"] for row in rows]
        figures[f"{key}.entropy_minus_max_probability"] = estimate(gains)
    tasks = dict.fromkeys(row["task"] for row in rows)

    def percents(task: str, keys: Sequence[str]) -> str:
        return " | ".join(f"{100 * figures[f'{task}.{key}'].mean:.1f}" for key in keys)

    lines = [
        "| images | score | AUROC, % | of each division, % | unknown images accepted, % | known images refused, % "
        "| right ones refused, % |",
        "|" + "---|" * 7,
    ]
    for task in tasks:
        for name in SCORES:
            keys = [f"{key}_{name}" for key in ("accepted", "refused", "refused_right")]
            each = ", ".join(f"{100 * row[f'auroc_{name}']:.1f}" for row in rows if row["task"] == task)
            auroc = percents(task, [f"auroc_{name}"])
            lines.append(f"| {task} | {name.replace('_', ' ')} | {auroc} | {each} | {percents(task, keys)} |")
    gain = figures["auroc.entropy_minus_max_probability"]
    if gain.low is not None and gain.high is not None:
        interval = f"95 % interval {100 * gain.low:.1f} to {100 * gain.high:.1f}"
        lines += ["", f"AUROC of entropy minus that of max probability: {100 * gain.mean:.1f} points, {interval}."]
    columns = ("test_top1", "ece_val_before", "ece_val", "ece_test_before", "ece_test", "covered_0.9", "covered_0.95")
    lines += [
        "",
        "| images | accuracy, % | ECE val before, % | after | ECE test before, % | after | covered at 90 % | at 95 % "
        "| classes in a set at 90 % | at 95 % |",
        "|" + "---|" * 10,
    ]
    for task in tasks:
        sizes = " | ".join(f"{figures[f'{task}.set_size_{coverage}'].mean:.2f}" for coverage in COVERAGES)
        lines.append(f"| {task} | {percents(task, columns)} | {sizes} |")
    return lines, figures


def main(workers: Annotated[int, typer.Option(help="processes")] = 1) -> None:
    """Run what is missing and report."""
    jobs = [Job(task, division) for division in range(DIVISIONS) for task in SETS]
    rows = run_missing(jobs, run, FOLDER / f"{NAME}.jsonl", workers)
    show_and_keep(NAME, *summary_of(rows))


if __name__ == "__main__":
    typer.run(main)
