"""Does a change leave every number as it was? Train the same configurations before and after it and compare bits.

Run:    python benchmarks/same_numbers.py REV          (REV is the revision before, such as abe044e)
        python benchmarks/same_numbers.py REV --only prompt     (configurations with this in their name; not kept)
Cost:   about 5 minutes on 2 cores, where both revisions run side by side.
Result: results/same_numbers.json and .md.

Both revisions run with the same interpreter, one thread, no GPU and the same seeds. Losses and metrics of every epoch,
teacher weights, stored teacher outputs, the target's best weights and the figures on test must be equal bit for bit.
Speeds (`images_per_s`) are left out. Exit code 1 if a configuration differs that `EXPECTED` does not name.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import numpy as np
import timm
import torch
import typer
from PIL import Image
from safetensors.torch import save_file

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.checkouts import ROOT, name_revision, name_this_checkout, open_worktree
from benchmarks.older_names import OLDER_PATHS
from benchmarks.results_file import show_and_keep

NAME = "same_numbers"
RUNNER = Path(__file__).with_name("same_numbers_runner.py")
ASSETS = "ASSETS"
"""Stands for the folder of `make_assets` in a setting."""

EXPECTED: dict[str, str] = {}
"""Configurations that may differ, with the reason."""

Settings = dict[str, Any]
BASE: Settings = {
    "data.name": "digits",
    "data.shots": 2,
    "foundation.name": "glyph_cnn",
    "target.name": "mobilenetv3_small_050",
    "mapping.kind": "linear",
    "reprogram.epochs": 2,
    "outputs.num_views": 2,
    "distill.epochs": 2,
}
UNLABELED: Settings = {"data.unlabeled": True}
PICTURES: Settings = {
    "data.name": f"{ASSETS}/pictures",
    "data.image_px": 32,
    "data.shots": 5,
    "views.preset": "document",
    "views.mirror": True,
}
FALLING: Settings = {"temperature.start": 6.0, "temperature.end": 1.5}


@dataclass(frozen=True)
class Case:
    """One configuration.

    Attributes:
        name: Unique.
        settings: What differs from `BASE`, by today's dotted paths; a section of several kinds names its kind.
        control: The control that is configured with these settings as its finalist; '' trains the settings.
        stop_after: Epochs after which the trial is saved, and restored in a new one.
    """

    name: str
    settings: Settings
    control: str = ""
    stop_after: int | None = None

    def for_runner(self, assets: Path) -> dict[str, Any]:
        """What the runner reads."""
        settings = {
            path: value.replace(ASSETS, str(assets)) if isinstance(value, str) else value
            for path, value in (BASE | self.settings).items()
        }
        return {
            "name": self.name,
            "settings": settings,
            "control": self.control,
            "control_steps": 20,
            "stop_after": self.stop_after,
        }


def _prompt(kind: str, **settings: Any) -> Settings:
    return {"prompt.kind": kind, **{f"prompt.{name}": value for name, value in settings.items()}}


PROMPTS = (
    Case("prompt: none", {}),
    Case("prompt: border 4 px", _prompt("border", size_px=4)),
    Case("prompt: border 4 px, other rates", _prompt("border", size_px=4) | {"prompt.lr": 0.05, "mapping.lr": 0.02}),
    Case("prompt: overlay 0 px", _prompt("overlay", size_px=0)),
    Case("prompt: overlay 6 px", _prompt("overlay", size_px=6)),
    Case("prompt: masked 8 px", _prompt("masked", size_px=8)),
    Case("prompt: masked 16 px, patches of 2", _prompt("masked", size_px=16, patch_px=2)),
    Case("prompt: tokens", _prompt("tokens", num_tokens=3) | {"foundation.name": "glyph_vit"}),
    Case(
        "prompt: tokens, label mapping",
        _prompt("tokens", num_tokens=2) | {"foundation.name": "glyph_vit", "mapping.kind": "bayesian"},
    ),
)
MAPPINGS = (
    *(
        Case(f"mapping: {kind}, border", {"mapping.kind": kind} | _prompt("border", size_px=2))
        for kind in ("random", "frequency", "iterative", "bayesian", "bayesian_plus", "prototype", "discriminant")
    ),
    *(
        Case(f"mapping: {kind}, no prompt", {"mapping.kind": kind})
        for kind in ("random", "frequency", "iterative", "bayesian", "bayesian_plus", "prototype", "discriminant")
    ),
    Case("mapping: linear, weight decay", {"mapping.weight_decay": 0.1, **_prompt("border", size_px=2)}),
    Case("mapping: bayesian, smoothing 5", {"mapping.kind": "bayesian", "mapping.smoothing": 5.0}),
    Case(
        "mapping: bayesian_plus, top 40 %",
        {"mapping.kind": "bayesian_plus", "mapping.smoothing": 2.0, "mapping.top_k_fraction": 0.4},
    ),
    Case("mapping: prototype, 16 directions", {"mapping.kind": "prototype", "mapping.dim": 16}),
)
LOSSES = tuple(
    Case(
        f"loss: {kind}{', standardized' if standardize else ''}",
        {"loss.kind": kind, "loss.standardize": standardize},
    )
    for kind in ("kl", "mse", "dist", "dkd")
    for standardize in (False, True)
)
ALIGNMENTS = (
    Case("alignment: cka, weight 20", {"alignment.kind": "cka", "distill.alignment_weight": 20.0}),
    Case("alignment: project", {"alignment.kind": "project"}),
    Case("alignment: project, 3 stages", {"alignment.kind": "project", "distill.num_stages": 3, "distill.epochs": 3}),
    Case("alignment: weight 0", {"alignment.kind": "cka", "distill.alignment_weight": 0.0}),
)
SCHEDULES = (
    Case("schedule: constant, 5", {"temperature.schedule": "constant", "temperature.start": 5.0}),
    *(
        Case(f"schedule: {kind}", {"temperature.schedule": kind, **FALLING})
        for kind in ("linear", "cosine", "exponential", "learned")
    ),
    Case(
        "schedule: step, 3 stages",
        {"temperature.schedule": "step", **FALLING, "distill.num_stages": 3, "distill.epochs": 3},
    ),
    Case(
        "schedule: learned, 2 stages, dkd",
        {"temperature.schedule": "learned", **FALLING, "distill.num_stages": 2, "loss.kind": "dkd"},
    ),
)
STAGES = tuple(
    Case(f"stages: {count}", {"distill.num_stages": count, "distill.epochs": max(2, count)}) for count in (2, 3, 4)
)
OUTPUTS = (
    Case("outputs: mixed views", {"views.mix": 0.5}),
    Case("outputs: mixed views, averaged", {"views.mix": 0.5, "outputs.view_averaging": 0.5}),
    Case("outputs: view averaging", UNLABELED | PICTURES | {"outputs.view_averaging": 0.7}),
    Case(
        "outputs: label propagation",
        UNLABELED
        | PICTURES
        | {
            "outputs.view_averaging": 1.0,
            "outputs.propagation_neighbors": 4,
            "outputs.propagation_alpha": 0.6,
        },
    ),
    Case("outputs: live", {"outputs.kind": "live"}),
    Case("outputs: live, averaged, mixed", {"outputs.kind": "live", "outputs.view_averaging": 0.5, "views.mix": 0.3}),
)
TRAINING = (
    Case(
        "training: self-distillation",
        UNLABELED
        | PICTURES
        | {
            "distill.num_stages": 2,
            "distill.self_distillation_weight": 0.5,
        },
    ),
    Case("training: pseudo-labels", UNLABELED | PICTURES | {"pseudo_labels.rounds": 1}),
    Case(
        "training: pseudo-labels, label mapping",
        UNLABELED
        | PICTURES
        | {"mapping.kind": "iterative", "pseudo_labels.rounds": 2, "pseudo_labels.threshold": 0.3}
        | _prompt("border", size_px=2),
    ),
    Case("training: bf16", {"precision": "bf16", **_prompt("border", size_px=2)}),
    Case(
        "training: other weights, rates and batches",
        {
            "distill.labels_weight": 1.0,
            "distill.logits_weight": 0.5,
            "distill.lr": 0.006,
            "distill.weight_decay": 0.1,
            "distill.clip_norm": 0.3,
            "distill.batch_size": 48,
            "reprogram.batch_size": 32,
            "seed": 7,
        },
    ),
    Case("training: target with weights", {"target.weights": f"{ASSETS}/target.safetensors"}),
    Case("training: target with smaller input", {"target.input_px": 24}),
    Case("training: views as they are", {"views.strength": 0.0, "views.mirror": True}),
)
NETWORKS = (
    Case("network: glyph_vit", {"foundation.name": "glyph_vit", **_prompt("border", size_px=2)}),
    Case("network: glyph_hybrid", {"foundation.name": "glyph_hybrid", **_prompt("overlay", size_px=2)}),
    Case("network: lcnet_050 on script", {"target.name": "lcnet_050", "data.name": "script", "views.strength": 0.5}),
    Case(
        "network: timm transformer",
        PICTURES
        | {"foundation.name": "test_vit.r160_in1k", "foundation.weights": "random", "foundation.image_px": 64}
        | _prompt("masked", size_px=4),
    ),
    Case(
        "network: timm CNN on script",
        {
            "data.name": "script",
            "foundation.name": "test_efficientnet.r160_in1k",
            "foundation.weights": "random",
            "foundation.image_px": 48,
        },
    ),
)
CONTROLS = (
    Case("control: scratch", {}, control="scratch"),
    Case("control: self_training", UNLABELED | PICTURES, control="self_training"),
    Case("control: linear_probe", _prompt("border", size_px=4), control="linear_probe"),
    Case(
        "control: plain_kd",
        {
            "loss.kind": "dist",
            "loss.standardize": True,
            "alignment.kind": "project",
            "distill.num_stages": 2,
            **_prompt("border", size_px=4),
        },
        control="plain_kd",
    ),
    Case("control: fine_tune", {"target.weights": f"{ASSETS}/target.safetensors"}, control="fine_tune"),
    Case("control: frozen_target", {"target.weights": f"{ASSETS}/target.safetensors"}, control="frozen_target"),
    Case(
        "control: self_training_pretrained",
        UNLABELED | PICTURES | {"target.weights": f"{ASSETS}/target.safetensors"},
        control="self_training_pretrained",
    ),
    Case("control: majority", {}, control="majority"),
)
REPLAYED: Settings = {
    "distill.num_stages": 2,
    "distill.epochs": 3,
    "temperature.schedule": "learned",
    "alignment.kind": "project",
    "distill.self_distillation_weight": 0.3,
    **_prompt("border", size_px=2),
}
REPLAYS = (
    Case("replay: first", REPLAYED),
    Case("replay: again", REPLAYED),
    Case("replay: stopped and restored", REPLAYED, stop_after=2),
)
CASES = (
    *PROMPTS,
    *MAPPINGS,
    *LOSSES,
    *ALIGNMENTS,
    *SCHEDULES,
    *STAGES,
    *OUTPUTS,
    *TRAINING,
    *NETWORKS,
    *CONTROLS,
    *REPLAYS,
)
REPEATS = (("replay: first", "replay: again"), ("replay: first", "replay: stopped and restored"))
"""Cases whose figures must be equal within a revision, too."""

Run = dict[str, dict[str, Any]]
"""Seconds and figures of every case of one revision, by name."""


@dataclass(frozen=True)
class Comparison:
    """A case in both revisions.

    Attributes:
        name: Name of the case.
        figures: How many were compared.
        difference: '' if all are equal, else the first that differs with both values.
        seconds: Before and after.
    """

    name: str
    figures: int
    difference: str
    seconds: tuple[float, float]


def first_difference(before: Mapping[str, str], after: Mapping[str, str]) -> str:
    """'' for equal figures; else the name of the first that differs, with both values."""
    failed = ["error"] if "error" in before or "error" in after else []
    for name in dict.fromkeys([*failed, *before, *after]):
        values = before.get(name, "missing"), after.get(name, "missing")
        if values[0] != values[1] or name == "error":
            return f"{name}: {_shorten(values[0])} before, {_shorten(values[1])} after"
    return ""


def _shorten(value: str) -> str:
    return value if len(value) < 64 or " " in value else value[:12]


def compare(before: Run, after: Run) -> list[Comparison]:
    """Compare every case of two revisions, then the repeats within the second."""
    comparisons = []
    for name in dict.fromkeys([*before, *after]):
        sides = [side.get(name, {"seconds": 0.0, "figures": {"error": "not run"}}) for side in (before, after)]
        figures = [side["figures"] for side in sides]
        seconds = (sides[0]["seconds"], sides[1]["seconds"])
        comparisons.append(Comparison(name, len(figures[1]), first_difference(*figures), seconds))
    for label, side in {"before": before, "after": after}.items():
        for first, again in REPEATS:
            if first in side and again in side:
                name = f"{again} = {first} ({label})"
                difference = first_difference(side[first]["figures"], side[again]["figures"])
                comparisons.append(Comparison(name, len(side[again]["figures"]), difference, (0.0, 0.0)))
    return comparisons


def make_assets(folder: Path) -> None:
    """Write what some cases need: a folder of pictures in 4 classes, and weights for a target to start from."""
    generator = np.random.default_rng(0)
    for name in range(4):
        (folder / "pictures" / f"class{name}").mkdir(parents=True)
        pattern = generator.integers(0, 256, (6, 6, 3))
        for number in range(30):
            noisy = np.clip(pattern + generator.normal(0, 40, pattern.shape), 0, 255).astype(np.uint8)
            image = Image.fromarray(noisy).resize((40, 36), Image.Resampling.BILINEAR)
            image.save(folder / "pictures" / f"class{name}" / f"{number:02}.png")
    torch.manual_seed(0)
    network = timm.create_model(str(BASE["target.name"]), num_classes=5)
    save_file(network.state_dict(), folder / "target.safetensors")


def start_side(checkout: Path, cases: Path, result: Path, label: str) -> "subprocess.Popen[bytes]":
    """Start the runner with a checkout's `tdmr_ray`, one thread and no GPU."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(checkout),
        "PYTHONDONTWRITEBYTECODE": "1",
        "CUDA_VISIBLE_DEVICES": "",
        "OMP_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "HF_HUB_OFFLINE": "1",
    }
    command = [sys.executable, str(RUNNER), str(cases), str(result), label]
    return subprocess.Popen(command, env=environment, cwd=checkout)


def run_sides(checkouts: Mapping[str, Path], cases: Sequence[Case], *, side_by_side: bool = True) -> list[Run]:
    """Run the cases with every checkout.

    Raises:
        RuntimeError: If a runner does not come to its end.
    """
    with TemporaryDirectory(prefix="same_numbers_") as name:
        folder = Path(name)
        make_assets(folder)
        listed = folder / "cases.json"
        content = {"older_paths": OLDER_PATHS, "cases": [case.for_runner(folder) for case in cases]}
        listed.write_text(json.dumps(content), encoding="utf-8")
        processes = []
        for label, checkout in checkouts.items():
            processes.append(start_side(checkout, listed, folder / f"{label}.json", label))
            if not side_by_side:
                processes[-1].wait()
        statuses = [process.wait() for process in processes]
        if any(statuses):
            raise RuntimeError("a revision could not be run; its message is above")
        return [json.loads((folder / f"{label}.json").read_text(encoding="utf-8")) for label in checkouts]


def render(comparisons: Sequence[Comparison], revisions: tuple[str, str]) -> list[str]:
    """A table in Markdown."""
    lines = [
        f"Before: {revisions[0]}. After: {revisions[1]}. Equal means bit for bit.",
        "",
        "| configuration | figures | result | seconds before | after |",
        "|---|--:|---|--:|--:|",
    ]
    for row in comparisons:
        result = row.difference or "equal"
        if row.difference and row.name in EXPECTED:
            result = f"{row.difference} (expected: {EXPECTED[row.name]})"
        seconds = " | ".join(f"{value:.1f}" if value else "" for value in row.seconds)
        lines.append(f"| {row.name} | {row.figures} | {result} | {seconds} |")
    return lines


def main(
    revision: Annotated[str, typer.Argument(metavar="REV", help="the revision before, such as abe044e")],
    only: Annotated[list[str] | None, typer.Option(help="configurations with this in their name; not kept")] = None,
    side_by_side: Annotated[bool, typer.Option(help="run both revisions at the same time")] = True,
) -> None:
    """Compare this checkout with a revision; exit code 1 if a number differs that nobody expects."""
    cases = [case for case in CASES if not only or any(text in case.name for text in only)]
    if not cases:
        raise typer.BadParameter(f"must be part of a configuration's name, got {only}", param_hint="--only")
    before, after = name_revision(revision), name_this_checkout()
    with open_worktree(before) as checkout:
        sides = run_sides({"before": checkout, "after": ROOT}, cases, side_by_side=side_by_side)
    comparisons = compare(*sides)
    different = [row for row in comparisons if row.difference]
    unexpected = [row for row in different if row.name not in EXPECTED]
    lines = render(comparisons, (before, after))
    lines += ["", f"{len(cases)} configurations, {len(different)} differences, {len(unexpected)} not expected."]
    if only:
        print("\n".join(lines))
    else:
        figures = {
            "configurations": len(cases),
            "equal": len(comparisons) - len(different),
            "different": len(different),
            "different_not_expected": len(unexpected),
            "figures_compared": sum(row.figures for row in comparisons),
        }
        notes = {
            "commit": after,
            "revisions": {"before": before, "after": after},
            "differences": {row.name: row.difference for row in different},
            "expected": EXPECTED,
        }
        show_and_keep(NAME, lines, figures, notes)
    raise typer.Exit(1 if unexpected else 0)


if __name__ == "__main__":
    typer.run(main)
