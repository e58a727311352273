"""Linear probe of a glyph foundation on a few handwritten digits a class.

The digits are scikit-learn's (8 x 8), scaled to 32 x 32, white on black. They are split once: shots are drawn from a
pool of one half, 20 % is unused, and 30 % is the test split.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from torch import Tensor, nn

from tdmr_ray.data.distort import IMAGE_SIZE_PX
from tdmr_ray.models.embedded import MEAN, STD

SHOTS = (5, 10)
SEEDS = (0, 1, 2)


@dataclass(frozen=True)
class Digits:
    """Pool and test split: images uint8 [N, 3, 32, 32] with labels [N]."""

    pool_images: Tensor
    pool_labels: NDArray[np.int64]
    test_images: Tensor
    test_labels: NDArray[np.int64]


def load_probe_digits() -> Digits:
    """Load the fixed split of the digits."""
    data = load_digits()
    small = torch.tensor(data.images, dtype=torch.float32)[:, None] * (255 / 16)
    large = F.interpolate(small, size=IMAGE_SIZE_PX, mode="bilinear", align_corners=False)
    images = large.round().to(torch.uint8).expand(-1, 3, -1, -1)
    labels = data.target
    indices = np.arange(len(labels))
    pool, rest = train_test_split(indices, test_size=0.5, stratify=labels, random_state=0)
    _, test = train_test_split(rest, test_size=0.6, stratify=labels[rest], random_state=0)
    return Digits(images[pool], labels[pool], images[test], labels[test])


def probe_accuracy(model: nn.Module, digits: Digits, shots: int, seed: int) -> float:
    """Return the test accuracy, 0..1, of logistic regression on standardised features of `shots` images a class."""
    chosen = choose_shots(digits.pool_labels, shots, seed)
    train = extract_features(model, digits.pool_images[chosen])
    test = extract_features(model, digits.test_images)
    probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    probe.fit(train, digits.pool_labels[chosen])
    return float(probe.score(test, digits.test_labels))


def svm_accuracy(digits: Digits, shots: int, seed: int) -> float:
    """Return the test accuracy of a support vector machine on raw pixels, the baseline for a probe."""
    chosen = choose_shots(digits.pool_labels, shots, seed)
    svm = SVC(C=10.0)
    svm.fit(_pixels(digits.pool_images[chosen]), digits.pool_labels[chosen])
    return float(svm.score(_pixels(digits.test_images), digits.test_labels))


def probe_figures(model: nn.Module, build_random: Callable[[], nn.Module]) -> dict[str, dict[str, float]]:
    """Return mean test accuracies over three subsets, as figures["10_shots"]["pretrained"].

    Args:
        model: The pretrained network.
        build_random: Builds the same network with random weights from torch's global generator, which is seeded
            for every subset and restored afterwards. The network is probed before and after `calibrate`.
    """
    digits = load_probe_digits()
    figures = {}
    for shots in SHOTS:
        pretrained = [probe_accuracy(model, digits, shots, seed) for seed in SEEDS]
        random = [_random_accuracy(build_random, digits, shots, seed, calibrated=False) for seed in SEEDS]
        calibrated = [_random_accuracy(build_random, digits, shots, seed, calibrated=True) for seed in SEEDS]
        svm = [svm_accuracy(digits, shots, seed) for seed in SEEDS]
        runs = {
            "pretrained": pretrained,
            "random_weights": random,
            "random_weights_calibrated": calibrated,
            "pixel_svm": svm,
        }
        figures[f"{shots}_shots"] = {key: round(float(np.mean(run)), 4) for key, run in runs.items()}
    return figures


def choose_shots(labels: NDArray[np.int64], shots: int, seed: int) -> NDArray[np.int64]:
    """Draw the rows of `shots` images of every class without replacement."""
    generator = np.random.default_rng(seed)
    chosen = [generator.choice(np.flatnonzero(labels == c), shots, replace=False) for c in np.unique(labels)]
    return np.concatenate(chosen)


@torch.no_grad()
def extract_features(model: nn.Module, images: Tensor) -> NDArray[np.float32]:
    """Return penultimate features [N, d] of uint8 images [N, 3, 32, 32], in eval mode."""
    model.eval()
    network: Any = model
    batches = [normalise(batch.float() / 255) for batch in torch.split(images, 256)]
    features = [network.forward_head(network.forward_features(batch), pre_logits=True) for batch in batches]
    result: NDArray[np.float32] = torch.cat(features).numpy()
    return result


def normalise(images: Tensor) -> Tensor:
    """Normalise images [B, 3, 32, 32] in 0..1 for the foundations; channels last, which is faster on a CPU."""
    mean = torch.tensor(MEAN).view(3, 1, 1)
    std = torch.tensor(STD).view(3, 1, 1)
    return ((images - mean) / std).contiguous(memory_format=torch.channels_last)


@torch.no_grad()
def calibrate(model: nn.Module, images: Tensor) -> nn.Module:
    """Give batch norms unit gain and the statistics of uint8 images, for a fair comparison with random weights.

    timm initialises residual branches to zero, and batch norms have no statistics yet, so most of a random network is
    inactive. Pretrained weights would look better than they are without this.
    """
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None
            nn.init.ones_(module.weight)
    model.train()
    model(normalise(images.float() / 255))
    return model.eval()


def _random_accuracy(
    build_random: Callable[[], nn.Module], digits: Digits, shots: int, seed: int, *, calibrated: bool
) -> float:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = build_random()
    if calibrated:
        model = calibrate(model, digits.pool_images)
    return probe_accuracy(model, digits, shots, seed)


def _pixels(images: Tensor) -> NDArray[np.float32]:
    result: NDArray[np.float32] = (images[:, 0].flatten(1).float() / 255).numpy()
    return result
