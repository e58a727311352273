"""Listings of the user's images before they are decoded: paths, classes and splits.

FOLDER             train/ val/ test/, each with a folder for each class; or the class folders directly
csv:FILE           a line for each image: path,label[,split][,group]; paths are relative to the file's folder
torch/NAME         torchvision's sets that timm knows, such as torch/cifar100
hfds/OWNER/NAME    Hugging Face datasets with columns image and label; hfds/FOLDER is a local one
wds/SHARDS         webdataset's tar files, such as wds/photos-{000..009}.tar, with .cls or .txt beside each image
"""

from pathlib import Path

from tdmr_ray.data.config import DataConfig
from tdmr_ray.data.listing.downloads import list_by_timm, list_hub
from tdmr_ray.data.listing.folders import list_folder
from tdmr_ray.data.listing.listing import Listing, natural_order, some_of
from tdmr_ray.data.listing.shards import list_shards
from tdmr_ray.data.listing.tables import list_csv
from tdmr_ray.data.paths import is_folder

__all__ = [
    "Listing",
    "is_listed",
    "list_images",
    "natural_order",
    "some_of",
]


def is_listed(name: str) -> bool:
    """Return whether a name means files of the user or a public collection, rather than a built-in set."""
    return name.startswith(("csv:", "torch/", "hfds/", "wds/", "/", ".", "~")) or is_folder(Path(name).expanduser())


def list_images(config: DataConfig, root: str | None = None) -> Listing:
    """List a data set, in one of the forms above.

    Args:
        config: Its name, and what decides which images there are.
        root: Download folder for torchvision and Hugging Face; None is ~/.cache/tdmr_ray/data.

    Raises:
        InputError: With every problem of the data set.
    """
    name = config.name
    prefix, _, rest = name.partition(":" if name.startswith("csv:") else "/")
    if prefix == "csv":
        return list_csv(Path(rest).expanduser(), config.columns)
    folder = root or str(Path("~/.cache/tdmr_ray/data").expanduser())
    if prefix == "torch":
        return list_by_timm(name, folder)
    if prefix == "hfds":
        return list_hub(rest, folder, config.columns)
    if prefix == "wds":
        return list_shards(rest)
    return list_folder(Path(name).expanduser(), config)
