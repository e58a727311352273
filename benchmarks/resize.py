"""Compare the ways to a square on images that are not square: squash, crop and pad.

Run:    python benchmarks/resize.py IMAGES WEIGHTS.safetensors       (class folders; weights of tf_efficientnet_lite2)
Cost:   about 5 minutes on 2 cores for 800 images.
Result: results/resize.json and .md.

A frozen network reads the images, and a logistic regression on its features classifies them. Each of five splits trains
on 20 images of each class and measures the others. Differences to squash are paired by split.
"""

import sys
from pathlib import Path
from typing import Annotated

import numpy as np
import timm
import torch
import typer
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import load_file
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedShuffleSplit
from sklearn.preprocessing import StandardScaler

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.results_file import show_and_keep
from tdmr_ray.data.config import DataConfig
from tdmr_ray.data.datasets import load_dataset
from tdmr_ray.data.reading import InputFormat
from tdmr_ray.models.spec import InputSpec
from tdmr_ray.report.statistics import Estimate, estimate

NAME, NETWORK = "resize", "tf_efficientnet_lite2"
WAYS = [(resize, interpolation) for interpolation in ("bicubic", "bilinear") for resize in ("squash", "crop", "pad")]


@torch.inference_mode()
def features_of(images: NDArray[np.uint8], weights: Path) -> NDArray[np.float32]:
    """Return the network's penultimate features, [N, d]."""
    network = timm.create_model(NETWORK)
    network.load_state_dict(load_file(weights))
    network.eval()
    spec = InputSpec.from_timm(network.pretrained_cfg)
    parts = []
    for part in torch.from_numpy(images).split(32):
        maps = network.forward_features(spec.normalize(part.float().div(255.0)))
        parts.append(network.forward_head(maps, pre_logits=True))
    found: NDArray[np.float32] = torch.cat(parts).numpy()
    return found


def accuracies(features: NDArray[np.float32], labels: NDArray[np.int64], shots: int, splits: int) -> list[float]:
    """Return the percentage that is right on the images outside of each split's training part."""
    found = []
    count = shots * len(np.unique(labels))
    for train, rest in StratifiedShuffleSplit(splits, train_size=count, random_state=0).split(features, labels):
        scaler = StandardScaler().fit(features[train])
        fitted = LogisticRegression(C=0.01, max_iter=2000).fit(scaler.transform(features[train]), labels[train])
        found.append(100 * float(fitted.score(scaler.transform(features[rest]), labels[rest])))
    return found


def share_of_oblong(folder: Path, ratio: float = 1.25) -> float:
    """Return the share of images whose longer side is at least `ratio` times the shorter one."""
    sides = [Image.open(path).size for path in folder.rglob("*") if path.is_file()]
    return sum(max(each) >= ratio * min(each) for each in sides) / len(sides)


def main(
    images: Annotated[Path, typer.Argument(help="A folder for each class.")],
    weights: Annotated[Path, typer.Argument(help=f"Weights of {NETWORK}.")],
    side_px: Annotated[int, typer.Option(help="Side of the decoded images.")] = 160,
    shots: int = 20,
    splits: int = 5,
) -> None:
    """Measure, print and keep the figures."""
    dataset = load_dataset(DataConfig(name=str(images)))
    rows, labels = np.arange(len(dataset.labels)), dataset.labels.numpy()
    found: dict[str, list[float]] = {}
    for resize, interpolation in WAYS:
        pixels = np.empty((len(rows), 3, side_px, side_px), np.uint8)
        dataset.decode(rows, InputFormat(side_px, resize, interpolation), pixels, lambda count: None)  # type: ignore[arg-type]
        found[f"{resize}_{interpolation}"] = accuracies(features_of(pixels, weights), labels, shots, splits)
    figures: dict[str, float | Estimate] = {"oblong": share_of_oblong(images)}
    lines = [
        f"{len(rows)} images of {images.name} in {len(dataset.class_names)} classes at {side_px} px, {shots} a class; "
        f"{100 * figures['oblong']:.0f} % have sides in a ratio of at least 1.25:",
        "",
        "| | accuracy | against squash, bicubic |",
        "|---|--:|--:|",
    ]
    base = found["squash_bicubic"]
    for name, values in found.items():
        own = estimate(values)
        gain = estimate([value - other for value, other in zip(values, base, strict=True)])
        figures |= {name: own, f"{name}_gain": gain}
        lines.append(
            f"| {name.replace('_', ', ')} | {own.mean:.1f} | {gain.mean:+.2f} [{gain.low:+.2f}, {gain.high:+.2f}] |"
        )
    show_and_keep(NAME, lines, figures)


if __name__ == "__main__":
    typer.run(main)
