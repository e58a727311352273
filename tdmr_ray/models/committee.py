"""Several foundations as one."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from tdmr_ray.models.foundation import Foundation
from tdmr_ray.models.spec import InputSpec


class Committee(Foundation):
    """Foundations whose features are joined: [B, d1], [B, d2], ... to [B, d1 + d2 + ...].

    A mapping that standardises features hears every member, and one linear layer on joined features covers all weighted
    sums of the members' own linear layers. A committee has no source classes and takes no tokens.

    Args:
        members: Foundations, each of which scales and normalises the images for itself.
    """

    def __init__(self, members: Sequence[Foundation]) -> None:
        nn.Module.__init__(self)
        self.members, self._members = nn.ModuleList(members), tuple(members)
        largest = max(members, key=lambda member: member.spec.size_px).spec.size_px
        self.spec = InputSpec(largest, (0.0,) * 3, (1.0,) * 3)
        self.feature_dim = sum(self.member_dims)
        self.num_source_classes = 0

    @property
    def token_dim(self) -> int:
        """0: no tokens."""
        return 0

    @property
    def member_dims(self) -> tuple[int, ...]:
        """d1, d2, ..."""
        return tuple(member.feature_dim for member in self._members)

    def features(self, images: Tensor, tokens: Tensor | None = None) -> Tensor:
        """Return the members' features side by side, [B, d], for images [B, 3, H, W] in 0..1."""
        return torch.cat([member.features(images) for member in self._members], dim=1)

    def source_logits(self, features: Tensor) -> Tensor:
        """Return [B, 0]."""
        return features.new_zeros(len(features), 0)
