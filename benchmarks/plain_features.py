"""Foundation features of whole data sets, without augmentation, for the benchmarks of `tdmr_ray/inspection`.

They are computed once and kept in assets/features. Labels, splits and views have no part in them.
"""

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from shutil import copytree
from tempfile import TemporaryDirectory

import torch
from torch import Tensor

from benchmarks.real_images import ASSETS, NETWORKS
from tdmr_ray.data.config import DataConfig
from tdmr_ray.data.loading import load_task
from tdmr_ray.data.task import Images, Task
from tdmr_ray.training.config import TrialConfig
from tdmr_ray.training.features import PLAIN, ViewFeatures, compute_view, features_keys, load_view, save_view

FOUNDATIONS = {"digits": "glyph_cnn", "fashion": "lite0"}
"""The foundation of each set; fashion has the smallest of the real ones, which is the fastest."""
PHOTO_PX = 64


@dataclass(frozen=True)
class WholeSet:
    """A data set with every label and its foundation's features.

    Attributes:
        task: The images in their splits.
        features: Features of all of them.
    """

    task: Task
    features: ViewFeatures

    def at(self, images: Images) -> Tensor:
        """Return features of images, [N, d]."""
        return self.features.at(ids_of(images).numpy())


def ids_of(images: Images) -> Tensor:
    """Return the numbers of images in their data set, [N]."""
    assert images.ids is not None, "images of a data set have ids"
    return images.ids


@cache
def whole_set(name: str) -> WholeSet:
    """Load `digits` or `fashion` with its features."""
    built_in = name == "digits"
    data = DataConfig(name=name if built_in else str(ASSETS / "sets" / name), image_px=None if built_in else PHOTO_PX)
    task = load_task(data)
    splits = (task.train, task.val, task.test)
    everything = Images(
        torch.cat([each.images for each in splits]),
        torch.cat([each.labels for each in splits]),
        torch.cat([ids_of(each) for each in splits]),
    )
    whole = replace(task, train=everything, num_labeled=len(everything), val=task.val.pick(slice(0)))
    network = NETWORKS[FOUNDATIONS[name]]
    config = TrialConfig().with_values({"data": data.model_dump(mode="json"), "foundation": network})
    folder = ASSETS / "features" / features_keys(config, whole)[0]
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=folder.parent) as written:
            save_view(compute_view(config, whole, PLAIN), Path(written))
            copytree(written, folder)
    return WholeSet(task, load_view(folder))
