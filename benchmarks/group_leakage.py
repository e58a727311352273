"""How much val overstates accuracy if bursts straddle the split, measured with logistic regression.

    python benchmarks/group_leakage.py /tmp/assets/sets/clipart [--weights /tmp/assets/lite2.safetensors]

The folder holds images, one class a folder; they are laid out by `../shared/tools/real_assets.py`. Every image stands
for an object and becomes a burst of six shots with other crops, noise and brightness. A quarter of the objects is test.
The rest is divided into train and val, by shots or by objects (`StratifiedGroupKFold`), and a classifier learns from
train: on features of EfficientNet-Lite2 if its weights are given, else on pixels. Figures are top-1 in percent, means
over seeds, which redraw both divisions.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.results_file import show_and_keep
from tdmr_ray.models import load_foundation
from tdmr_ray.report.statistics import Estimate, estimate

NETWORK = "tf_efficientnet_lite2"
IMAGE_PX = 96
SHOTS = 6
MOST_OBJECTS = 12
"""Objects of each class."""
SEEDS = range(5)


def main() -> None:
    """Print accuracy on val and test by division."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--weights", default="", help=f"weights of {NETWORK}; pixels without them")
    given = parser.parse_args()
    shots, labels, objects = make_bursts(given.folder)
    features = embed(shots, given.weights)
    lines = ["| division of train and val | val | test (unseen objects) | val - test |", "|---|--:|--:|--:|"]
    figures: dict[str, Estimate] = {}
    for division in ("by shots", "by objects"):
        scores = np.array([evaluate(features, labels, objects, division == "by objects", seed) for seed in SEEDS])
        columns = {"val": scores[:, 0], "test": scores[:, 1], "gap": scores[:, 0] - scores[:, 1]}
        found = {name: estimate((100 * values).tolist()) for name, values in columns.items()}
        figures.update({f"{division}/{name}": value for name, value in found.items()})
        lines.append(f"| {division} | " + " | ".join(f"{value.mean:.1f}" for value in found.values()) + " |")
    notes = {"set": given.folder.name, "features": NETWORK if given.weights else "pixels", "objects": len(set(objects))}
    show_and_keep("group_leakage", lines, figures, notes=notes)


def make_bursts(folder: Path) -> tuple[torch.Tensor, NDArray[np.int64], NDArray[np.int64]]:
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


def embed(shots: torch.Tensor, weights: str) -> NDArray[np.float32]:
    """Return frozen features [N, d], or pixels at 16 px without weights."""
    if not weights:
        small = torch.nn.functional.interpolate(shots, size=16, mode="area")
        return np.asarray(small.flatten(1).numpy(), dtype=np.float32)
    foundation = load_foundation(NETWORK, weights=weights, image_px=IMAGE_PX)
    with torch.inference_mode():
        return torch.cat([foundation.features(batch) for batch in shots.split(64)]).numpy()


def evaluate(
    features: NDArray[np.float32], labels: NDArray[np.int64], objects: NDArray[np.int64], grouped: bool, seed: int
) -> tuple[float, float]:
    """Return top-1 on val and on test for one division."""
    outer = StratifiedGroupKFold(4, shuffle=True, random_state=seed)
    known, test = next(outer.split(features, labels, objects))
    inner = (StratifiedGroupKFold if grouped else StratifiedKFold)(4, shuffle=True, random_state=seed)
    train, val = (known[rows] for rows in next(inner.split(features[known], labels[known], objects[known])))
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=100))
    model.fit(features[train], labels[train])
    return float(model.score(features[val], labels[val])), float(model.score(features[test], labels[test]))


if __name__ == "__main__":
    main()
