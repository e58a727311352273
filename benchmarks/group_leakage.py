"""Measure how much val overstates accuracy if bursts straddle the split, with the project's own division.

Run:    python benchmarks/group_leakage.py FOLDER --weights WEIGHTS       (without --weights: pixels alone)
Cost:   2 to 5 minutes on one core.
Result: results/group_leakage.json and .md.

FOLDER holds images, one class a folder, and WEIGHTS is EfficientNet-Lite2 with ImageNet weights. Both come from
`real_assets.sh`. Every image stands for an object and becomes a burst of six shots with other crops, noise
and brightness. `split_dataset` divides the shots in three ways:

- val and test by shots: the project without groups;
- val by shots, test by objects: test shows what val hides;
- val and test by objects: the project with groups.

The last two share their test images. A classifier, logistic regression, learns from train: on pixels, and on frozen
features of the network. Figures are top-1 in percent, means over seeds, which redraw the divisions; bursts, objects
and features are the same for all seeds.
"""

import sys
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from numpy.typing import NDArray
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.results_file import show_and_keep
from tdmr_ray.data.split_names import ANY, TEST
from tdmr_ray.data.splits import Split, split_dataset
from tdmr_ray.models import load_foundation
from tdmr_ray.report.statistics import Estimate, estimate

NAME = "group_leakage"
NETWORK = "tf_efficientnet_lite2"
IMAGE_PX, PIXELS_PX = 96, 16
SHOTS = 6
MOST_OBJECTS = 12
"""Objects of each class."""
SEEDS = range(10)
DIVISIONS = ("val and test by shots", "val by shots, test by objects", "val and test by objects")

Rows = NDArray[np.int64]
Features = NDArray[np.float32]


def main(
    folder: Annotated[Path, typer.Argument(help="Images, one class a folder.")],
    weights: Annotated[str, typer.Option(help=f"Weights of {NETWORK}; pixels alone without them.")] = "",
) -> None:
    """Print accuracy on val and test by division."""
    shots, labels, objects = make_bursts(folder)
    features = {"pixels": pixels_of(shots)} | ({NETWORK: embed(shots, weights)} if weights else {})
    lines = ["| features | division | val | test | val less test |", "|---|---|--:|--:|--:|"]
    figures: dict[str, Estimate] = {}
    for kind, values in features.items():
        for division in DIVISIONS:
            splits = [divide(labels, objects, division, seed) for seed in SEEDS]
            scores = 100 * np.array([evaluate(values, labels, split) for split in splits])
            columns = {"val": scores[:, 0], "test": scores[:, 1], "gap": scores[:, 0] - scores[:, 1]}
            found = {name: estimate(column.tolist()) for name, column in columns.items()}
            figures |= {f"{kind}/{division}/{name}": value for name, value in found.items()}
            cells = [_percent(found["val"]), _percent(found["test"]), _percent(found["gap"], sign=True)]
            lines.append(f"| {kind} | {division} | {' | '.join(cells)} |")
    show_and_keep(NAME, lines, figures, notes={"set": folder.name, "objects": len(np.unique(objects))})


def make_bursts(folder: Path) -> tuple[torch.Tensor, Rows, Rows]:
    """Return shots [N, 3, H, W] in 0..1, their labels and their objects."""
    rng, shots, labels, objects = np.random.default_rng(0), [], [], []
    for label, part in enumerate(sorted(path for path in folder.iterdir() if path.is_dir())):
        files = sorted(part.iterdir())
        for index in rng.permutation(len(files))[:MOST_OBJECTS]:
            picture = Image.open(files[index]).convert("RGB")
            number = len(set(objects))
            for _ in range(SHOTS):
                shots.append(take_shot(picture, rng))
                labels.append(label)
                objects.append(number)
    return torch.from_numpy(np.stack(shots)).permute(0, 3, 1, 2), np.array(labels), np.array(objects)


def take_shot(picture: Image.Image, rng: np.random.Generator) -> NDArray[np.float32]:
    """Return a shot [H, W, 3] in 0..1: a crop to 94 % of the sides, 10 % brighter or darker, with noise."""
    width, height = picture.size
    left, top = rng.uniform(0, 0.06, 2)
    box = (left * width, top * height, (left + 0.94) * width, (top + 0.94) * height)
    cropped = picture.resize((IMAGE_PX, IMAGE_PX), Image.Resampling.BILINEAR, box=box)
    pixels = np.asarray(cropped, dtype=np.float32) / 255 * rng.uniform(0.9, 1.1)
    return np.clip(pixels + rng.normal(0, 0.02, pixels.shape), 0, 1).astype(np.float32)


def pixels_of(shots: torch.Tensor) -> Features:
    """Return the pixels of small shots, [N, d]."""
    small = torch.nn.functional.interpolate(shots, size=PIXELS_PX, mode="area")
    return np.asarray(small.flatten(1).numpy(), dtype=np.float32)


def embed(shots: torch.Tensor, weights: str) -> Features:
    """Return frozen features of the network, [N, d]."""
    foundation = load_foundation(NETWORK, weights=weights, image_px=IMAGE_PX)
    with torch.inference_mode():
        return torch.cat([foundation.features(batch) for batch in shots.split(64)]).numpy()


def divide(labels: Rows, objects: Rows, division: str, seed: int) -> Split:
    """Divide the shots in one of the three ways."""
    if division == DIVISIONS[0]:
        return split_dataset(labels, shots=None, split_seed=seed, shots_seed=0)
    whole = split_dataset(labels, shots=None, split_seed=seed, shots_seed=0, groups=objects)
    if division == DIVISIONS[2]:
        return whole
    given = np.full(len(labels), ANY, np.int8)
    given[whole.test] = TEST
    return split_dataset(labels, shots=None, split_seed=seed, shots_seed=0, given=given)


def evaluate(features: Features, labels: Rows, split: Split) -> tuple[float, float]:
    """Return top-1 on val and on test."""
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=100))
    model.fit(features[split.labeled], labels[split.labeled])
    val, test = (float(model.score(features[rows], labels[rows])) for rows in (split.val, split.test))
    return val, test


def _percent(value: Estimate, *, sign: bool = False) -> str:
    form = "{:+.1f}" if sign else "{:.1f}"
    mean, *ends = (form.format(each) for each in (value.mean, value.low, value.high) if each is not None)
    return f"{mean} [{', '.join(ends)}]" if ends else mean


if __name__ == "__main__":
    typer.run(main)
