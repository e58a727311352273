"""Features of a frozen foundation, computed once for all teachers that leave the images as they are.

Without a learned prompt, the features of a view depend neither on the mapping nor on the division into train and val.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tdmr_ray.code_digest import source_digest
from tdmr_ray.data.task import Images, Task
from tdmr_ray.data.views import Views, ViewSettings, resolve_views
from tdmr_ray.method.resize import resize
from tdmr_ray.method.teacher import to_half
from tdmr_ray.models.onnx_features import worth_exporting
from tdmr_ray.training.activity import doing
from tdmr_ray.training.config import TrialConfig, hash_json
from tdmr_ray.training.device import pick_device, used_precision
from tdmr_ray.training.networks import InPrecision, foundation_digest, resident_export, resident_foundation
from tdmr_ray.training.workers import ALONE, Workers

FEATURES, IDS = "features.npy", "ids.npy"
NUM_SHARED_VIEWS = 8
"""Views of an image on which a mapping without a learned prompt is trained, and that enter the image's average."""
PLAIN = -1
"""Number of the images as they are among their views."""


@dataclass(frozen=True)
class ViewFeatures:
    """Foundation features of one view of all images that are not in test, in half precision.

    Attributes:
        ids: Number of each image in its data set, ascending, [P].
        values: [P, d].
    """

    ids: NDArray[np.int64]
    values: NDArray[np.float16]

    def at(self, ids: NDArray[np.int64]) -> Tensor:
        """Return the features of some images, by id: [N] to [N, d]."""
        return torch.from_numpy(self.values[np.searchsorted(self.ids, ids)]).float()


@dataclass(frozen=True)
class Features:
    """Foundation features of images and of their unmixed views, those of a committee side by side.

    Attributes:
        networks: For each network, features of the images as they are, then of views 0 .. V - 1.
    """

    networks: Sequence[Sequence[ViewFeatures]]

    @property
    def num_views(self) -> int:
        """V."""
        return len(self.networks[0]) - 1

    def plain(self, ids: Tensor) -> Tensor:
        """Return the features of images without augmentation, [N, d]."""
        return torch.cat([parts[0].at(ids.numpy()) for parts in self.networks], dim=1)

    def views(self, ids: Tensor, numbers: Tensor) -> Tensor:
        """Return the features of views: image ids [B] and view numbers [B] to [B, d]."""
        return torch.cat([_of_views(parts, ids, numbers) for parts in self.networks], dim=1)


def _of_views(parts: Sequence[ViewFeatures], ids: Tensor, numbers: Tensor) -> Tensor:
    """Return one network's features of views, [B, d]."""
    found = torch.empty(len(ids), parts[0].values.shape[1])
    for number in numbers.unique().tolist():
        rows = numbers == number
        found[rows] = parts[1 + number].at(ids[rows].numpy())
    return found


FeaturesProvider = Callable[[TrialConfig, Task], Features]
"""Gives a teacher its foundation's features: computes them (`compute_features`), or takes them from a store."""


def unmixed_views(config: TrialConfig, task: Task) -> ViewSettings:
    """Return the settings of the views whose features are shared."""
    return resolve_views(config.views, task.preset).unmixed()


def num_feature_views(config: TrialConfig) -> int:
    """Return V, which covers the views that need outputs of their own, unless those are mixed."""
    return max(NUM_SHARED_VIEWS, 0 if config.views.mix else config.outputs.num_different_views or 0)


def with_ids(task: Task) -> Task:
    """Number the images of train and val if they were put together by hand."""
    train, val = task.train, task.val
    ids = torch.arange(len(train)) if train.ids is None else train.ids
    after = int(ids.max()) + 1 + torch.arange(len(val)) if val.ids is None else val.ids
    return replace(task, train=replace(train, ids=ids), val=replace(val, ids=after))


def view_numbers(config: TrialConfig) -> range:
    """Return the numbers of the views whose features a teacher needs, `PLAIN` first."""
    return range(PLAIN, num_feature_views(config))


def one_network_each(config: TrialConfig) -> list[TrialConfig]:
    """Return a trial's configuration with each member of its committee as its only foundation."""
    return [config.model_copy(update={"foundation": network}) for network in config.foundation.networks]


def features_keys(config: TrialConfig, task: Task) -> list[str]:
    """Hash all that the features of each of `view_numbers` depend on; the division into train and val does not count.

    Args:
        config: The trial, with a single network as foundation.
        task: Its images, with ids.
    """
    parts = {
        "images": _images_digest(task),
        "foundation": config.foundation.model_dump(mode="json", exclude={"members"}),
        "weights": foundation_digest(config.foundation),
        "precision": config.precision,
        "views": asdict(unmixed_views(config, task)),
        "seed": config.view_seed,
        "code": source_digest(__name__),
    }
    return [f"features-{hash_json({**parts, 'view': number})}" for number in view_numbers(config)]


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


def compute_features(config: TrialConfig, task: Task, workers: Workers = ALONE) -> Features:
    """Run the foundation on all images of train and val and on their views; see `compute_view`."""
    return Features(
        [
            [compute_view(each, task, number, workers) for number in view_numbers(each)]
            for each in one_network_each(config)
        ]
    )


@torch.no_grad()
def compute_view(config: TrialConfig, task: Task, number: int, workers: Workers = ALONE) -> ViewFeatures:
    """Run the foundation on one view of all images of train and val.

    Args:
        config: The trial, with a single network as foundation.
        task: Its images, with ids.
        number: The view's, or `PLAIN`.
        workers: Processes that share the work; each returns all features.
    """
    splits = [split for split in (task.train, task.val) if len(split)]
    values = np.concatenate([_run(split, number, config, task, workers) for split in splits])
    ids = np.concatenate([_ids(split).numpy() for split in splits])
    order = np.argsort(ids)
    return ViewFeatures(ids[order], values[order])


def _run(split: Images, number: int, config: TrialConfig, task: Task, workers: Workers) -> NDArray[np.float16]:
    """Return the features of one view of a split's images, [N, d]."""
    device = pick_device()
    views = Views(split.images, unmixed_views(config, task), seed=config.view_seed, ids=_ids(split), device=device)
    size_px = resident_foundation(config.foundation).spec.size_px
    features = _engine(config, device, num_images=len(view_numbers(config)) * (len(task.train) + len(task.val)))

    def run(rows: Tensor) -> tuple[Tensor, ...]:
        place = f"view {number + 2} of {len(view_numbers(config))}"
        doing(f"features, {place}, image {int(rows[0]) + 1} of {len(split)}")
        plain = number == PLAIN
        images = split.images[rows].to(device).float().div(255.0) if plain else views.batch(rows, number).images
        return (to_half(features(resize(images, size_px))).cpu(),)

    found: NDArray[np.float16] = workers.map_rows(len(split), run)[0].numpy()
    return found


def _engine(config: TrialConfig, device: torch.device, num_images: int) -> Callable[[Tensor], Tensor]:
    """Return what maps images to features: ONNX Runtime where it is faster, otherwise torch.

    The choice depends on the network and the images of all views, never on a measured time, so that a replay makes it
    again.
    """
    foundation = resident_foundation(config.foundation).to(device)
    on_cpu = device.type == "cpu" and used_precision(config.precision, device) == "fp32"
    if on_cpu and worth_exporting(foundation, num_images):
        doing("exporting the foundation to ONNX Runtime")
        if exported := resident_export(config.foundation):
            return exported
    return InPrecision(foundation, config.precision).features


def save_view(features: ViewFeatures, folder: Path) -> None:
    """Write the features of a view into an existing folder."""
    np.save(folder / IDS, features.ids)
    np.save(folder / FEATURES, features.values)


def load_view(folder: Path) -> ViewFeatures:
    """Open saved features; they stay on disk, mapped into memory."""
    return ViewFeatures(np.load(folder / IDS), np.load(folder / FEATURES, mmap_mode="r"))


def half_from_views(plain: Tensor, views: Sequence[Tensor]) -> Tensor:
    """Return the mean of outputs for images [N, k] and of their mean over views: half comes from the images."""
    return (plain + torch.stack([*views]).mean(dim=0)) / 2
