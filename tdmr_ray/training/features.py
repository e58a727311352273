"""Features of a frozen foundation, computed once for all teachers that leave the images as they are.

Without a learned prompt, the features of a view depend neither on the mapping nor on the division into train and val.
"""

import hashlib
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.lib.format import open_memmap
from numpy.typing import NDArray
from torch import Tensor

from tdmr_ray.code_digest import source_digest
from tdmr_ray.data.task import Images, Task
from tdmr_ray.data.views import Views, ViewSettings, resolve_views
from tdmr_ray.method.resize import resize
from tdmr_ray.method.teacher import to_half
from tdmr_ray.models import Foundation
from tdmr_ray.training.activity import doing
from tdmr_ray.training.config import TrialConfig, hash_json
from tdmr_ray.training.device import pick_device
from tdmr_ray.training.networks import InPrecision, foundation_digest, resident_foundation
from tdmr_ray.training.workers import ALONE, Workers

FEATURES, IDS = "features.npy", "ids.npy"
NUM_SHARED_VIEWS = 8
"""Views of an image on which a mapping without a learned prompt is trained, and that enter the image's average."""


@dataclass(frozen=True)
class Features:
    """Foundation features of all images that are not in test, in half precision.

    Attributes:
        ids: Number of each image in its data set, ascending, [P].
        values: [1 + V, P, d]: of the images as they are, then of their unmixed views 0 .. V - 1.
    """

    ids: NDArray[np.int64]
    values: NDArray[np.float16]

    @property
    def num_views(self) -> int:
        """V."""
        return len(self.values) - 1

    def plain(self, ids: Tensor) -> Tensor:
        """Return the features of images without augmentation, [N, d]."""
        return torch.from_numpy(self.values[0, self._places(ids)]).float()

    def views(self, ids: Tensor, numbers: Tensor) -> Tensor:
        """Return the features of views: image ids [B] and view numbers [B] to [B, d]."""
        return torch.from_numpy(self.values[1 + numbers.numpy(), self._places(ids)]).float()

    def _places(self, ids: Tensor) -> NDArray[np.int64]:
        places: NDArray[np.int64] = np.searchsorted(self.ids, ids.numpy())
        return places


FeaturesProvider = Callable[[TrialConfig, Task], Features]
"""Gives a teacher its foundation's features: computes them (`compute_features`), or takes them from a store."""


def unmixed_views(config: TrialConfig, task: Task) -> ViewSettings:
    """Return the settings of the views whose features are shared."""
    return resolve_views(config.views, task.preset).unmixed()


def num_feature_views(config: TrialConfig) -> int:
    """Return V, which covers the views that a target is trained on unless those are mixed."""
    return max(NUM_SHARED_VIEWS, 0 if config.views.mix else config.outputs.num_views)


def with_ids(task: Task) -> Task:
    """Number the images of train and val if they were put together by hand."""
    train, val = task.train, task.val
    ids = torch.arange(len(train)) if train.ids is None else train.ids
    after = int(ids.max()) + 1 + torch.arange(len(val)) if val.ids is None else val.ids
    return replace(task, train=replace(train, ids=ids), val=replace(val, ids=after))


def features_key(config: TrialConfig, task: Task) -> str:
    """Hash all that features depend on; the division into train and val does not count.

    Args:
        config: The trial.
        task: Its images, with ids.
    """
    parts = {
        "images": _images_digest(task),
        "foundation": config.foundation.model_dump(mode="json"),
        "weights": foundation_digest(config.foundation),
        "precision": config.precision,
        "views": asdict(unmixed_views(config, task)),
        "seed": config.view_seed,
        "num_views": num_feature_views(config),
        "code": source_digest(__name__),
    }
    return f"features-{hash_json(parts)}"


def _images_digest(task: Task) -> str:
    """Return the SHA-256 of the images of train and val and their ids, in the order of the ids."""
    digest = hashlib.sha256()
    ids = torch.cat([_ids(task.train), _ids(task.val)])
    order = ids.argsort()
    digest.update(ids[order].numpy().tobytes())
    for rows in order.split(1024):
        in_train = rows < len(task.train)
        images = task.train.images.new_empty(len(rows), *task.train.images.shape[1:])
        images[in_train] = task.train.images[rows[in_train]]
        images[~in_train] = task.val.images[rows[~in_train] - len(task.train)]
        digest.update(images.numpy().tobytes())
    return digest.hexdigest()


def _ids(images: Images) -> Tensor:
    if images.ids is None:
        raise ValueError("images need ids; see with_ids")
    return images.ids


def compute_features(config: TrialConfig, task: Task, workers: Workers = ALONE, folder: Path | None = None) -> Features:
    """Run the foundation on all images of train and val and on their views.

    Args:
        config: The trial.
        task: Its images, with ids.
        workers: Processes that share the work; each returns all features.
        folder: Existing folder to which they are written as they are made; None keeps them in memory.
    """
    foundation = resident_foundation(config.foundation)
    places = np.argsort(ids := np.concatenate([_ids(split).numpy() for split in (task.train, task.val)]))
    values = _allocate((1 + num_feature_views(config), len(ids), foundation.feature_dim), folder)
    column = np.empty_like(places)
    column[places] = np.arange(len(places))
    columns = (column[: len(task.train)], column[len(task.train) :])
    for split, own in zip((task.train, task.val), columns, strict=True):
        if len(split):
            _fill(values, own, split, foundation, config, unmixed_views(config, task), workers)
    features = Features(ids[places], values)
    if folder is not None:
        np.save(folder / IDS, features.ids)
    return features


def _allocate(shape: tuple[int, ...], folder: Path | None) -> NDArray[np.float16]:
    if folder is None:
        return np.empty(shape, np.float16)
    values: NDArray[np.float16] = open_memmap(folder / FEATURES, mode="w+", dtype=np.float16, shape=shape)
    return values


def _fill(
    values: NDArray[np.float16],
    columns: NDArray[np.int64],
    split: Images,
    foundation: Foundation,
    config: TrialConfig,
    settings: ViewSettings,
    workers: Workers,
) -> None:
    """Write the features of a split's images into their columns."""
    device = pick_device()
    views = Views(split.images, settings, seed=config.view_seed, ids=_ids(split), device=device)
    network = InPrecision(foundation.to(device), config.precision)

    @torch.no_grad()
    def run(number: int, rows: Tensor) -> tuple[Tensor, ...]:
        doing(f"features, view {number + 2} of {len(values)}, image {int(rows[0]) + 1} of {len(split)}")
        images = split.images[rows].to(device).float().div(255.0) if number < 0 else views.batch(rows, number).images
        return (to_half(network.features(resize(images, foundation.spec.size_px))).cpu(),)

    for number in range(len(values)):
        (found,) = workers.map_rows(len(split), partial(run, number - 1))
        values[number, columns] = found.numpy()


def write_features(config: TrialConfig, task: Task, folder: Path) -> None:
    """Compute features into files of an existing folder; they need not fit into memory."""
    compute_features(config, task, folder=folder)


def save_features(features: Features, folder: Path) -> None:
    """Write features into an existing folder."""
    np.save(folder / IDS, features.ids)
    np.save(folder / FEATURES, features.values)


def load_features(folder: Path) -> Features:
    """Open saved features; they stay on disk, mapped into memory."""
    return Features(np.load(folder / IDS), np.load(folder / FEATURES, mmap_mode="r"))
