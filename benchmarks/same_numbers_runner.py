"""Train a list of configurations with whichever edition of `tdmr_ray` is on the path, and write down every figure.

`same_numbers.py` starts this file once for each revision. It imports nothing from `benchmarks`, since each revision has
its own; the names of earlier editions come with the cases.

Run: PYTHONPATH=CHECKOUT python benchmarks/same_numbers_runner.py CASES.json FIGURES.json LABEL
"""

import hashlib
import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch

from tdmr_ray.data.loading import load_task
from tdmr_ray.data.task import Task
from tdmr_ray.training import fit as fit_module
from tdmr_ray.training.config import TrialConfig
from tdmr_ray.training.controls import CONTROLS

Figures = dict[str, str]
"""Each figure as text that is equal only for equal bits: `repr` of a float, or a SHA-256."""

UNREPEATABLE = ("images_per_s", "seconds")
"""Endings of metrics that measure time."""


Configure = Callable[[TrialConfig, Task, int], TrialConfig]
"""Function of a finalist, its images and the minimum number of steps that returns a control's configuration: a method,
or in the first edition a function."""

OlderPaths = Sequence[tuple[str, Mapping[str, str]]]
"""Newest first: a section or path that earlier editions lack, and their names for today's dotted paths."""


def translate(settings: Mapping[str, Any], older_paths: OlderPaths, known: Iterable[str]) -> dict[str, Any]:
    """Settings by the dotted paths of an edition that has these sections and paths, without those that it lacks."""
    known, translated = set(known), dict(settings)
    for mark, older in older_paths:
        if mark not in known:
            translated = {older.get(path, path): value for path, value in translated.items()}
            translated.pop("", None)
    return translated


def nest(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Dotted paths as nested dictionaries."""
    tree: dict[str, Any] = {}
    for path, value in flat.items():
        *parents, leaf = path.split(".")
        node = tree
        for parent in parents:
            node = node.setdefault(parent, {})
        node[leaf] = value
    return tree


def first_attribute(owner: object, *names: str) -> Any:
    """The first of these attributes that the owner has.

    Raises:
        AttributeError: If it has none of them.
    """
    for name in names:
        if hasattr(owner, name):
            return getattr(owner, name)
    raise AttributeError(f"{owner!r} has none of {names}")


def configure(case: Mapping[str, Any], older_paths: OlderPaths) -> tuple[TrialConfig, Task]:
    """The configuration and images of a case; a control is configured from the case as its finalist."""
    sections = TrialConfig().model_dump(mode="json")
    paths = [f"{name}.{leaf}" for name, part in sections.items() if isinstance(part, dict) for leaf in part]
    settings = translate(case["settings"], older_paths, [*sections, *paths])
    config = TrialConfig.model_validate(nest(settings))
    task = load_task(config.data)
    if case.get("control"):
        entry: Any = CONTROLS[case["control"]]
        configure_control: Configure = entry().configure if isinstance(entry, type) else entry
        config = configure_control(config, task, case["control_steps"])
        task = load_task(config.data)
    return config, task


def run_case(case: Mapping[str, Any], older_paths: OlderPaths) -> Figures:
    """Train a case, read test, and collect its figures."""
    config, task = configure(case, older_paths)
    figures: Figures = {}
    trial = fit_module.Run(config, task)
    epoch = 0
    while not trial.done:
        if epoch and epoch == case.get("stop_after"):
            state = trial.state()
            trial = fit_module.Run(config, task)
            trial.restore(state)
        epoch += 1
        figures |= metrics_as_text(f"epoch {epoch}", trial.run_epoch())
    outcome = trial.finish(read_test=True)
    artifact = first_attribute(outcome, "artifact", "program")
    if artifact is not None:
        figures |= artifact_figures(artifact)
    if outcome.target is not None:
        figures["target weights"] = hash_tensors(outcome.target.state_dict())
    figures |= metrics_as_text("end", outcome.metrics)
    figures["test logits"] = hash_array(outcome.test.logits.numpy())
    return figures


def artifact_figures(artifact: Any) -> Figures:
    """History, weights and stored outputs of a teacher."""
    figures: Figures = {}
    for epoch, row in enumerate(artifact.history):
        figures |= metrics_as_text(f"teacher epoch {epoch}", row)
    figures["teacher weights"] = hash_tensors(artifact.weights)
    figures["teacher val/top1"] = repr(float(artifact.val_top1))
    outputs = first_attribute(artifact, "outputs", "signals")
    if outputs is not None:
        figures["teacher embedding"] = hash_array(np.asarray(outputs.embedding))
        figures["teacher logits"] = hash_array(np.asarray(outputs.logits))
    return figures


def metrics_as_text(prefix: str, metrics: Mapping[str, float]) -> Figures:
    """All metrics but those that measure time."""
    return {
        f"{prefix}, {name}": repr(float(value)) for name, value in metrics.items() if not name.endswith(UNREPEATABLE)
    }


def hash_tensors(tensors: Mapping[str, torch.Tensor]) -> str:
    """SHA-256 of all tensors, whatever their names and order."""
    digests = sorted(hash_array(tensor.detach().cpu().numpy()) for tensor in tensors.values())
    return hashlib.sha256("".join(digests).encode()).hexdigest()


def hash_array(array: np.ndarray[Any, Any]) -> str:
    """SHA-256 of type, shape and content."""
    header = f"{array.dtype} {array.shape}".encode()
    return hashlib.sha256(header + np.ascontiguousarray(array).tobytes()).hexdigest()


def main(cases: Path, result: Path, label: str) -> None:
    """Run every case; a case that fails has the error as its only figure."""
    torch.set_num_threads(1)
    done: dict[str, Any] = {}
    listed = json.loads(cases.read_text(encoding="utf-8"))
    for case in listed["cases"]:
        started = perf_counter()
        try:
            figures = run_case(case, listed["older_paths"])
        except Exception as error:  # noqa: BLE001 - other cases go on, and the comparison names it
            figures = {"error": " ".join(f"{type(error).__name__}: {error}".split())}
        seconds = perf_counter() - started
        done[case["name"]] = {"seconds": round(seconds, 2), "figures": figures}
        print(f"{label}: {case['name']}, {seconds:.1f} s", file=sys.stderr, flush=True)
        result.write_text(json.dumps(done), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
