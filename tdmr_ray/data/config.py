"""The `data` section of a configuration: where the images are, which have labels, and how they are read."""

import re
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from tdmr_ray.data.builtin import DATASETS
from tdmr_ray.data.paths import is_file, is_folder
from tdmr_ray.data.reading import Interpolation, Resize

Grouping = Literal["keep", "group"]
"""Treatment of nearly identical images."""
ARRAYS = "arrays:"
"""Prefix of the name of a data set that lies in a folder as arrays: `arrays:FOLDER`."""
LOOSE = "loose"
"""Value of `data.unlabeled` that takes the images beside class folders."""


class Columns(BaseModel):
    """Names of the columns of a table or hub set."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str | None = None
    """Image files; None is `path` in a table and `image` in a hub set."""
    label: str = "label"
    """Class names; an empty cell means that the image has no label."""
    split: str = "split"
    """Optional: train, val or test."""
    group: str = "group"
    """Optional: images of one group stay in one split."""


class DataConfig(BaseModel):
    """The images, and how many of them have labels."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(default="digits", min_length=1)
    """Built-in set, folder, `csv:FILE`, `torch/NAME`, `hfds/NAME`, `wds/SHARDS`, or `PLUGIN:REST` of a plug-in."""
    layout: Literal["auto", "classes"] = "auto"
    """Meaning of a folder's folders: `auto` takes names such as `train` and `test` as splits, `classes` never does."""
    columns: Columns = Columns()
    """Names of the columns of a table or hub set."""
    shots: int | None = Field(default=None, ge=1)
    """Labelled training images of each class; None uses every label."""
    unlabeled: bool | str | None = None
    """Images that join without labels. None takes those that come without one (a folder `unlabeled/`, empty labels);
    `true` also takes the training images beyond `shots`; `false` takes none. `loose` adds the images beside class
    folders; a folder or `csv:FILE` adds its images. Both include what `true` takes."""
    drop_small_classes: bool = False
    """Whether classes with too few images for train, val and test are left out."""
    group_by: str | None = None
    """Regular expression on an image's path; images with equal matches (or equal first groups) stay in one split."""
    near_duplicates: Grouping = "keep"
    """Treatment of nearly identical images: `keep` only reports them, `group` keeps them in one split."""
    image_px: int | None = Field(default=None, ge=8)
    """Height and width of the images in pixels; None keeps built-in ones as they are and scales others to 224."""
    decode_px: int | None = Field(default=None, ge=8)
    """Height and width to which files are decoded, at least `image_px`; None is the largest of `image_px` and all
    `foundation.image_px` and `target.input_px` of the space."""
    resize: Resize = "squash"
    """Way to a square: `squash` changes the proportions, `crop` cuts the longer side, `pad` adds black borders."""
    interpolation: Interpolation = "bicubic"
    """Interpolation of the resize; `bicubic` is that of nearly all pretrained networks."""
    bit_depth: int | None = Field(default=None, ge=8, le=16)
    """Bits of the brightest grey in images with 16 bits per pixel; None finds one value for the whole set."""
    on_bad_image: Literal["fail", "skip"] = "fail"
    """Effect of an unreadable image: `fail` ends the search with a list of them, `skip` leaves them out."""
    split_seed: int = Field(default=0, ge=0)
    """Seed of the division into train, val and test where the data do not give one."""
    shots_seed: int = Field(default=0, ge=0)
    """Seed of the choice of labelled images for `shots`."""
    draw: int = Field(default=0, ge=0)
    """Number of the draw, which a confirmation sets from its seed. 0 follows `split_seed` and `shots_seed`; any other
    number divides the labelled images outside test anew into train and val, unless the data set gives val, and chooses
    the images for `shots` anew. Test stays."""
    join: Literal["none", "val", "all"] = "none"
    """Splits whose labelled images join train with their labels, and are empty then. A refit sets it: to `val`, or to
    `all` to add test too. `shots` does not cut them."""
    folds: int = Field(default=0, ge=0)
    """Number of folds of a cross-validation over all labelled images, those of val and test included; 0 for none. A
    confirmation sets it. Splits that the data set gives, `shots`, `draw` and `join` have no effect then."""
    fold: int = Field(default=0, ge=0)
    """Fold that is test, from 0 to `folds - 1`; a confirmation sets it. All other labelled images are train, and val is
    empty."""

    @field_validator("name")
    @classmethod
    def _absolute_name(cls, name: str) -> str:
        return absolute(name)

    @field_validator("unlabeled")
    @classmethod
    def _absolute_unlabeled(cls, value: bool | str | None) -> bool | str | None:
        return absolute(value) if isinstance(value, str) and value != LOOSE else value

    @field_validator("group_by")
    @classmethod
    def _compiles(cls, pattern: str | None) -> str | None:
        try:
            re.compile(pattern or "")
        except re.error as error:
            raise ValueError(f"must be a regular expression, got '{pattern}': {error}") from error
        return pattern

    @field_validator("folds")
    @classmethod
    def _more_than_one(cls, folds: int) -> int:
        if folds == 1:
            raise ValueError("must be 0 or at least 2")
        return folds

    @field_validator("fold")
    @classmethod
    def _exists(cls, fold: int, info: ValidationInfo) -> int:
        folds = info.data.get("folds")
        if fold and folds is not None and fold >= folds:
            raise ValueError(f"must be below data.folds ({folds})")
        return fold

    @property
    def base(self) -> "DataConfig":
        """The same images in the splits of a search: no redraw, nothing joined, no fold."""
        return self.model_copy(update={"draw": 0, "join": "none", "folds": 0, "fold": 0})

    @property
    def hides_labels(self) -> bool:
        """Whether the training images beyond `shots` join without their labels."""
        return self.unlabeled not in (None, False)

    def listing_part(self) -> "DataConfig":
        """Return a copy that keeps only what decides which images there are, with which labels and groups."""
        keys = ("name", "layout", "columns", "drop_small_classes", "group_by")
        added = self.unlabeled if isinstance(self.unlabeled, str) else None
        return DataConfig(**{key: getattr(self, key) for key in keys}, unlabeled=added)


def absolute(name: str) -> str:
    """Make the paths in a data set's name absolute, so that processes with other working directories find them."""
    for prefix in ("csv:", "wds/", ARRAYS):
        if name.startswith(prefix):
            return prefix + str(Path(name.removeprefix(prefix)).expanduser().absolute())
    folder = Path(name.removeprefix("hfds/")).expanduser()
    if name.startswith("hfds/") and is_folder(folder):
        return f"hfds/{folder.absolute()}"
    path = Path(name).expanduser()
    if name not in DATASETS and is_folder(path):
        return str(path.absolute())
    plugin, _, rest = name.partition(":")
    own = Path(rest).expanduser()
    return f"{plugin}:{own.absolute()}" if rest and (is_file(own) or is_folder(own)) else name
