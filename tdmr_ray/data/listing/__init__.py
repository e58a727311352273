"""Listings of the user's images before they are decoded: paths, classes and splits.

FOLDER             train/ val/ test/, each with a folder for each class; or the class folders directly
csv:FILE           a line for each image: path,label[,split][,group]; paths are relative to the file's folder
torch/NAME         torchvision's sets that timm knows, such as torch/cifar100
hfds/OWNER/NAME    Hugging Face datasets with columns image and label; hfds/FOLDER is a local one
wds/SHARDS         webdataset's tar files, such as wds/photos-{000..009}.tar, with .cls or .txt beside each image
PLUGIN:REST        whatever the plug-in called PLUGIN makes of REST
"""

from collections.abc import Callable
from pathlib import Path

from tdmr_ray.data.config import ARRAYS, DataConfig
from tdmr_ray.data.listing.downloads import list_by_timm, list_hub
from tdmr_ray.data.listing.folders import list_folder
from tdmr_ray.data.listing.listing import Listing, natural_order, some_of
from tdmr_ray.data.listing.shards import list_shards
from tdmr_ray.data.listing.tables import list_csv
from tdmr_ray.data.paths import is_folder
from tdmr_ray.plugins import Registry

__all__ = [
    "SOURCES",
    "Listing",
    "Source",
    "is_listed",
    "list_images",
    "natural_order",
    "some_of",
    "source_of",
]

Source = Callable[[str, DataConfig], Listing]
"""Lists a data set, given what follows the plug-in's name and a colon in `data.name`, and the section `data`."""


def _source_problem(name: str, found: object) -> str:
    return "" if callable(found) else f"must be a function, got {found!r}"


SOURCES: Registry[Source] = Registry(
    "tdmr_ray.sources", {}, _source_problem, reserved=("csv", "torch", "hfds", "wds", ARRAYS.rstrip(":"))
)
"""The data sources of plug-ins."""


def is_listed(name: str) -> bool:
    """Return whether a name means files of the user or a public collection, rather than a built-in set."""
    return _is_own(name) or source_of(name) is not None


def _is_own(name: str) -> bool:
    """Return whether a name is one of the forms above without that of plug-ins."""
    return name.startswith(("csv:", "torch/", "hfds/", "wds/", "/", ".", "~")) or is_folder(Path(name).expanduser())


def source_of(name: str) -> Source | None:
    """Return the plug-in that lists a data set; None if none does."""
    prefix, colon, _ = name.partition(":")
    return SOURCES[prefix] if colon and prefix in SOURCES and not _is_own(name) else None


def list_images(config: DataConfig, root: str | None = None) -> Listing:
    """List a data set, in one of the forms above.

    Args:
        config: Its name, and what decides which images there are.
        root: Download folder for torchvision and Hugging Face; None is ~/.cache/tdmr_ray/data.

    Raises:
        InputError: With every problem of the data set.
    """
    name = config.name
    source = source_of(name)
    if source is not None:
        return source(name.partition(":")[2], config)
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
