"""The `views` section of a configuration, and the values that its presets stand for."""

from dataclasses import dataclass, fields, replace
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from tdmr_ray.data.preset import Preset


class ViewConfig(BaseModel):
    """Seeded augmentation; None stands for the preset's value."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    preset: Literal["auto", "photo", "document", "none"] = "auto"
    """Values of the settings that are not given: `photo` crops, mirrors and recolours, `document` distorts and never
    mirrors, `none` leaves images as they are. `auto` is `photo` for your own images and public sets unless all of them
    are grey, and `document` otherwise."""
    strength: float = Field(default=1.0, ge=0, le=1)
    """Factor on every other setting except `mirror` and `mix`; lower it for images that vary strongly already."""
    mirror: bool | None = None
    """Whether half of the views are mirrored; false where a mirrored image would belong to another class."""
    crop: float | None = Field(default=None, ge=0, lt=1)
    """Largest share of the image's area that a random crop cuts away; the area is log-uniform."""
    crop_ratio: float | None = Field(default=None, ge=0, le=3)
    """Largest relative change of the crop's proportions, log-uniform; 0.33 is 3:4 to 4:3."""
    rotation_deg: float | None = Field(default=None, ge=0, le=180)
    """Largest rotation, in degrees."""
    scale: float | None = Field(default=None, ge=0, lt=1)
    """Relative size, 1 - scale to 1 + scale; the height also changes by up to a third of it, the width inversely."""
    shear: float | None = Field(default=None, ge=0, lt=1)
    """Largest horizontal shear, as a fraction of the height."""
    shift: float | None = Field(default=None, ge=0, lt=1)
    """Largest shift in each direction, as a fraction of the image's side."""
    contrast: float | None = Field(default=None, ge=0, lt=1)
    """Largest relative change of contrast."""
    brightness: float | None = Field(default=None, ge=0, lt=1)
    """Largest change of brightness, as a fraction of white."""
    saturation: float | None = Field(default=None, ge=0, le=1)
    """Largest relative change of saturation."""
    hue_deg: float | None = Field(default=None, ge=0, le=180)
    """Largest rotation of the hue, in degrees."""
    blur: float | None = Field(default=None, ge=0, le=1)
    """Fraction of views that are blurred, by a Gaussian of up to 1 % of the image's side."""
    erase: float | None = Field(default=None, ge=0, le=1)
    """Fraction of views in which a grey box covers 2 to 20 % of the image."""
    single: float | None = Field(default=None, ge=0, le=1)
    """Fraction of views that undergo one more operation of random strength: rotation, shear, shift, contrast,
    brightness, saturation, posterizing, solarizing, automatic contrast or sharpening."""
    mix: float = Field(default=0.0, ge=0, le=1)
    """Fraction of views that mix two images, half of them by mixup, half by cutmix."""
    seed: int | None = Field(default=0, ge=0)
    """Seed of the views, which all seeds of the confirmation share, so that a foundation sees each view once; None is
    the trial's own seed."""


@dataclass(frozen=True)
class ViewSettings:
    """The value of every setting of `ViewConfig`; the defaults leave an image as it is."""

    strength: float = 1.0
    mirror: bool = False
    crop: float = 0.0
    crop_ratio: float = 0.0
    rotation_deg: float = 0.0
    scale: float = 0.0
    shear: float = 0.0
    shift: float = 0.0
    contrast: float = 0.0
    brightness: float = 0.0
    saturation: float = 0.0
    hue_deg: float = 0.0
    blur: float = 0.0
    erase: float = 0.0
    single: float = 0.0
    mix: float = 0.0

    def unmixed(self) -> "ViewSettings":
        """Return the same settings without mixed views."""
        return replace(self, mix=0.0)


PRESETS: dict[Preset, ViewSettings] = {
    "photo": ViewSettings(
        mirror=True,
        crop=0.6,
        crop_ratio=0.33,
        rotation_deg=5.0,
        contrast=0.3,
        brightness=0.1,
        saturation=0.3,
        hue_deg=10.0,
        blur=0.1,
        erase=0.1,
    ),
    "document": ViewSettings(rotation_deg=15.0, scale=0.2, shear=0.2, shift=0.1, contrast=0.3, brightness=0.1),
    "none": ViewSettings(),
}
"""Values of the settings that a configuration leaves open."""


def resolve_views(config: ViewConfig, preset_of_task: Preset) -> ViewSettings:
    """Fill the settings that are not given from the preset; `auto` is the task's."""
    preset = preset_of_task if config.preset == "auto" else config.preset
    given = {field.name: getattr(config, field.name) for field in fields(ViewSettings)}
    return replace(PRESETS[preset], **{name: value for name, value in given.items() if value is not None})
