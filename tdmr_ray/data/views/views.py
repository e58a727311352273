"""Views of a set of images, in batches on a device."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from tdmr_ray.data.views.colours import change_colours
from tdmr_ray.data.views.draws import Draw, uniform_draws
from tdmr_ray.data.views.geometry import affine_matrices
from tdmr_ray.data.views.patches import blur_some, cut_boxes, erase_some
from tdmr_ray.data.views.settings import ViewSettings
from tdmr_ray.data.views.single import change_pictures, single_amounts


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
        settings: Kinds and strength of the augmentation.
        seed: Determines each view, together with the image's id and the view's number.
        ids: Number of each image, int64 [N]; None numbers them by row.
        device: Device on which the augmentation runs.
    """

    def __init__(
        self,
        images: Tensor,
        settings: ViewSettings,
        *,
        seed: int,
        ids: Tensor | None = None,
        device: torch.device = torch.device("cpu"),  # noqa: B008 - a constant
    ) -> None:
        self.images = images
        self.settings = settings
        self.seed = seed
        self.ids = torch.arange(len(images)) if ids is None else ids
        self.device = device

    def __len__(self) -> int:
        return len(self.images)

    def batch(self, rows: Tensor, view: int | Tensor) -> ViewBatch:
        """Return view number `view` (one, or [B]) of the images in `rows` ([B], int64)."""
        numbers = torch.as_tensor(view, dtype=torch.int64).expand(len(rows))
        draws = self._draws(rows, numbers)
        own = self._augment(rows, draws)
        if self.settings.mix == 0:
            return ViewBatch(rows, numbers, own, rows, torch.ones(len(rows)))
        return self._mix(own, rows, numbers, draws)

    def _draws(self, rows: Tensor, numbers: Tensor) -> Tensor:
        return torch.from_numpy(uniform_draws(self.seed, self.ids[rows].numpy(), numbers.numpy()))

    def _augment(self, rows: Tensor, draws: Tensor) -> Tensor:
        """Augment images; which rows are blurred, erased or changed singly is decided on the CPU, without a wait."""
        settings, single = self.settings, single_amounts(draws, self.settings)
        on_device = draws.to(self.device), single.to(self.device), settings
        images = self.images[rows].to(self.device).float().div_(255.0)
        grid = affine_grid(affine_matrices(*on_device), list(images.shape), align_corners=False)
        seen = grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)
        seen = change_colours(seen, *on_device)
        if settings.single:
            change_pictures(seen, single)
        blur_some(seen, draws, settings)
        erase_some(seen, draws, settings)
        return seen

    def _mix(self, own: Tensor, rows: Tensor, numbers: Tensor, draws: Tensor) -> ViewBatch:
        mixed = draws[:, Draw.MIX] < self.settings.mix
        partner = torch.where(mixed, (draws[:, Draw.PARTNER] * len(self)).long(), rows)
        ratio = torch.where(mixed, draws[:, Draw.RATIO].float(), torch.ones(len(rows)))
        other = self._augment(partner, self._draws(partner, numbers))
        box, box_ratio = cut_boxes(ratio, draws[:, [Draw.CUT_X, Draw.CUT_Y]], own.shape[-1])
        by_cut = draws[:, Draw.CUT] < 0.5
        keep = torch.where(by_cut[:, None, None], box, ratio[:, None, None]).unsqueeze(1).to(self.device)
        seen = own * keep + other * (1 - keep)
        return ViewBatch(rows, numbers, seen, partner, torch.where(by_cut, box_ratio, ratio))
