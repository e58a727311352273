"""The user's own images before any is decoded: where they lie, their classes, their parts.

FOLDER             train/ val/ test/, each with a folder for each class; or the classes' layout at once
csv:FILE           a line for each image: path,label[,split]; paths are seen from the file's folder
torch/NAME         torchvision's sets that timm knows, such as torch/cifar100
hfds/OWNER/NAME    Hugging Face datasets with columns image and label; hfds/FOLDER is one that lies here
wds/SHARDS         webdataset's tar files, such as wds/photos-{000..009}.tar, with .cls or .txt beside each image
"""

from pathlib import Path

from tdmr_ray.data.listing.downloads import list_by_timm, list_hub
from tdmr_ray.data.listing.files import list_csv, list_folder
from tdmr_ray.data.listing.listing import ANY, TEST, TRAIN, VAL, Listing, natural_order, some_of
from tdmr_ray.data.listing.shards import list_shards

__all__ = ["ANY", "TEST", "TRAIN", "VAL", "Listing", "is_listed", "list_images", "natural_order", "some_of"]


def is_listed(name: str) -> bool:
    """Whether a data set's name means images of the user's own, or a public collection."""
    return name.startswith(("csv:", "torch/", "hfds/", "wds/", "/", ".", "~")) or Path(name).expanduser().is_dir()


def list_images(name: str, root: str | None = None) -> Listing:
    """List a data set by name; see above.

    Args:
        name: Of the set.
        root: Where torchvision and Hugging Face keep theirs; None is their own place.

    Raises:
        InputError: With all that is wrong with it.
    """
    prefix, _, rest = name.partition(":" if name.startswith("csv:") else "/")
    if prefix == "csv":
        return list_csv(Path(rest).expanduser())
    place = root or str(Path("~/.cache/tdmr_ray/data").expanduser())
    if prefix == "torch":
        return list_by_timm(name, place)
    if prefix == "hfds":
        return list_hub(rest, place)
    if prefix == "wds":
        return list_shards(rest)
    return list_folder(Path(name).expanduser())
