"""The contract of logit losses."""

import pytest
import torch
from torch import Tensor

from tdmr_ray.method.component import TaskFacts
from tdmr_ray.method.losses import LogitLoss, LogitLossConfig
from tdmr_ray.testing.component import ComponentContract, foundation_shape


class LossContract(ComponentContract):
    """Contract of a logit loss."""

    base = LogitLoss

    @staticmethod
    def logits(seed: int, classes: int = 4) -> Tensor:
        """Draw random logits for six images."""
        return 2 * torch.randn(6, classes, generator=torch.Generator().manual_seed(seed))

    @pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0])
    def test_loss_is_a_finite_scalar_and_least_when_both_agree(
        self, component: type[LogitLoss], config: LogitLossConfig, temperature: float
    ) -> None:
        loss = component(config)
        agreeing = loss(self.logits(2), self.logits(2), temperature)
        assert agreeing.shape == () and torch.isfinite(agreeing)
        assert loss(self.logits(1), self.logits(2), temperature) > agreeing

    def test_gradients_reach_the_target_and_not_the_teacher(
        self, component: type[LogitLoss], config: LogitLossConfig
    ) -> None:
        target, teacher = self.logits(1).requires_grad_(), self.logits(2).requires_grad_()
        component(config)(target, teacher, 2.0).backward()
        assert target.grad is not None and target.grad.abs().sum() > 0
        assert torch.isfinite(target.grad).all()
        assert teacher.grad is None

    @pytest.mark.parametrize("num_classes", [2, 3])
    def test_a_number_of_classes_that_is_not_refused_works(
        self, component: type[LogitLoss], config: LogitLossConfig, num_classes: int
    ) -> None:
        if not config.check(foundation_shape(), TaskFacts(num_classes)):
            pair = self.logits(1, num_classes), self.logits(2, num_classes)
            assert torch.isfinite(component(config)(*pair, 2.0))
