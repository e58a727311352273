"""Seeded augmentation: view k of image i is the same picture in every batch.

Teacher outputs can therefore be stored, and a target is trained on exactly the views that the teacher saw.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

_NUM_DRAWS = 16
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


class ViewConfig(BaseModel):
    """Seeded augmentation; with 0 everywhere a view is the image itself."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    strength: float = Field(default=1.0, ge=0, le=1)
    """Factor on every other setting except `mix`; lower it for images that vary strongly already."""
    rotation_deg: float = Field(default=15.0, ge=0, le=180)
    """Largest rotation, in degrees."""
    scale: float = Field(default=0.2, ge=0, lt=1)
    """Relative size, 1 - scale to 1 + scale; the width also changes by up to a third of it, the height inversely."""
    shear: float = Field(default=0.2, ge=0, lt=1)
    """Largest horizontal shear, as a fraction of the height."""
    shift: float = Field(default=0.1, ge=0, lt=1)
    """Largest shift in each direction, as a fraction of the image's side."""
    contrast: float = Field(default=0.3, ge=0, lt=1)
    """Largest relative change of contrast."""
    brightness: float = Field(default=0.1, ge=0, lt=1)
    """Largest change of brightness, as a fraction of white."""
    mix: float = Field(default=0.0, ge=0, le=1)
    """Fraction of views that mix two images, half of them by mixup, half by cutmix."""


@dataclass(frozen=True)
class ViewBatch:
    """A batch of views.

    Attributes:
        rows: Row of each image, int64 [B].
        numbers: View number of each image, int64 [B].
        images: The views, float in 0..1, [B, 3, H, W], on the device of `Views`; the rest stays on the CPU.
        partner: Row of the image that is mixed in, [B]; the image's own row if none is.
        ratio: Share of the image's own content, in 0..1, [B]; 1 if no image is mixed in.
    """

    rows: Tensor
    numbers: Tensor
    images: Tensor
    partner: Tensor
    ratio: Tensor


class Views:
    """Views of a set of images.

    Args:
        images: uint8, [N, 3, H, W].
        config: Strength of the augmentation.
        seed: Determines each view, together with row and view number.
        mirror: Whether half of the views are mirrored.
        device: Device on which the augmentation runs.
    """

    def __init__(
        self,
        images: Tensor,
        config: ViewConfig,
        *,
        seed: int,
        mirror: bool,
        device: torch.device = torch.device("cpu"),  # noqa: B008 - a constant
    ) -> None:
        self.images = images
        self.config = config
        self.seed = seed
        self.mirror = mirror
        self.device = device

    def __len__(self) -> int:
        return len(self.images)

    def batch(self, rows: Tensor, view: int | Tensor) -> ViewBatch:
        """Return view number `view` (one, or [B]) of the images in `rows` ([B], int64)."""
        numbers = torch.as_tensor(view, dtype=torch.int64).expand(len(rows))
        draws = torch.from_numpy(uniform_draws(self.seed, rows.numpy(), numbers.numpy()))
        own = self._augment(rows, draws)
        if self.config.mix == 0:
            return ViewBatch(rows, numbers, own, rows, torch.ones(len(rows)))
        return self._mix(own, rows, numbers, draws)

    def _augment(self, rows: Tensor, draws: Tensor) -> Tensor:
        config, draws = self.config, draws.to(self.device)
        images = self.images[rows].to(self.device).float().div_(255.0)
        spread = (draws * 2 - 1) * config.strength
        theta = _affine_matrices(spread, config)
        if self.mirror:
            theta[:, :, 0] *= torch.where(draws[:, 8] < 0.5, -1.0, 1.0)[:, None]
        grid = affine_grid(theta, list(images.shape), align_corners=False)
        moved = grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)
        gain = (1 + config.contrast * spread[:, 6])[:, None, None, None]
        lift = (config.brightness * spread[:, 7])[:, None, None, None]
        return ((moved - 0.5) * gain + 0.5 + lift).clamp_(0, 1)

    def _mix(self, own: Tensor, rows: Tensor, numbers: Tensor, draws: Tensor) -> ViewBatch:
        mixed = draws[:, 9] < self.config.mix
        partner = torch.where(mixed, (draws[:, 10] * len(self)).long(), rows)
        ratio = torch.where(mixed, draws[:, 11].float(), torch.ones(len(rows)))
        other_draws = torch.from_numpy(uniform_draws(self.seed, partner.numpy(), numbers.numpy()))
        other = self._augment(partner, other_draws)
        box, box_ratio = _cut_boxes(ratio, draws[:, 12:14], own.shape[-1])
        by_cut = draws[:, 14] < 0.5
        keep = torch.where(by_cut[:, None, None], box, ratio[:, None, None]).unsqueeze(1).to(self.device)
        seen = own * keep + other * (1 - keep)
        return ViewBatch(rows, numbers, seen, partner, torch.where(by_cut, box_ratio, ratio))


def _affine_matrices(spread: Tensor, config: ViewConfig) -> Tensor:
    """Return matrices [B, 2, 3] for `affine_grid` from draws in -1..1, [B, >= 6]."""
    angle = spread[:, 0] * (config.rotation_deg * np.pi / 180)
    size = 1 / (1 + config.scale * spread[:, 1])
    aspect = 1 + config.scale / 3 * spread[:, 2]
    cos, sin = angle.cos(), angle.sin()
    shear = config.shear * spread[:, 3]
    shift = 2 * config.shift * spread[:, 4:6]
    top = torch.stack([cos * size * aspect, (shear * cos - sin) * size, shift[:, 0]], dim=1)
    bottom = torch.stack([sin * size, (shear * sin + cos) * size / aspect, shift[:, 1]], dim=1)
    return torch.stack([top, bottom], dim=1).float()


def _cut_boxes(ratio: Tensor, centre: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """Return masks [B, H, W], 0 in the box that the partner fills, and the fraction of 1s in each, [B]."""
    half = (1 - ratio).clamp(min=0).sqrt()[:, None] * side / 2
    middle = centre.float() * side
    low, high = (middle - half).round().clamp(0, side), (middle + half).round().clamp(0, side)
    place = torch.arange(side)
    inside = (place >= low[:, :, None]) & (place < high[:, :, None])
    mask = 1 - (inside[:, 0, :, None] & inside[:, 1, None, :]).float()
    return mask, mask.mean(dim=(1, 2))


def uniform_draws(seed: int, rows: NDArray[np.int64], views: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return numbers in [0, 1) that depend only on seed, row and view, [B, 16].

    The generator is counter-based: SplitMix64's output function over a key of the three.

    Source: Steele, Lea, Flood 2014, "Fast splittable pseudorandom number generators".
    """
    with np.errstate(over="ignore"):
        key = _scramble(np.uint64(seed) + _GOLDEN)
        key = _scramble(rows.astype(np.uint64) * _GOLDEN + key)
        key = _scramble(views.astype(np.uint64) * _GOLDEN + key)
        counter = np.arange(1, _NUM_DRAWS + 1, dtype=np.uint64) * _GOLDEN
        bits = _scramble(key[:, None] + counter[None, :])
    draws: NDArray[np.float32] = (bits >> np.uint64(40)).astype(np.float32) / np.float32(2**24)
    return draws


def _scramble(state: Any) -> Any:
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))
