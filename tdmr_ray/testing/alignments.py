"""The contract of feature alignments."""

import torch

from tdmr_ray.method.alignments import Alignment, AlignmentConfig
from tdmr_ray.testing.component import ComponentContract, check_groups


class AlignmentContract(ComponentContract):
    """Contract of a feature alignment."""

    base = Alignment

    @staticmethod
    def build(component: type[Alignment], config: AlignmentConfig) -> Alignment:
        """Build the alignment of 4 features with an embedding of width 7."""
        return component(config, 4, 7)

    def test_distance_is_a_scalar_of_at_least_0(self, component: type[Alignment], config: AlignmentConfig) -> None:
        alignment = self.build(component, config)
        for _ in range(20):
            distance = alignment(torch.randn(5, 4), torch.randn(5, 7))
            assert distance.shape == () and torch.isfinite(distance)
            assert distance >= 0

    def test_gradients_reach_features_and_projection_and_not_the_teacher(
        self, component: type[Alignment], config: AlignmentConfig
    ) -> None:
        alignment = self.build(component, config)
        features, embedding = torch.randn(5, 4).requires_grad_(), torch.randn(5, 7).requires_grad_()
        alignment(features, embedding).backward()
        assert features.grad is not None and features.grad.abs().sum() > 0
        assert embedding.grad is None
        assert all(parameter.grad is not None for parameter in alignment.parameters())

    def test_calling_an_alignment_is_projecting_and_comparing(
        self, component: type[Alignment], config: AlignmentConfig
    ) -> None:
        alignment, features, embedding = self.build(component, config), torch.randn(5, 4), torch.randn(5, 7)
        assert torch.equal(alignment(features, embedding), alignment.distance(alignment.project(features), embedding))

    def test_parameter_groups_hold_every_parameter_at_the_targets_rates(
        self, component: type[Alignment], config: AlignmentConfig
    ) -> None:
        alignment = self.build(component, config)
        groups = alignment.parameter_groups(lr=0.3, weight_decay=0.2)
        check_groups(groups, alignment)
        assert {(group.lr, group.weight_decay) for group in groups} <= {(0.3, 0.2)}

    def test_a_few_steps_bring_features_closer_to_the_embedding(
        self, component: type[Alignment], config: AlignmentConfig
    ) -> None:
        alignment, embedding = self.build(component, config), torch.randn(8, 7)
        features = torch.randn(8, 4).requires_grad_()
        optimizer = torch.optim.SGD([features, *alignment.parameters()], lr=1.0)
        distances = []
        for _ in range(30):
            optimizer.zero_grad()
            distance = alignment(features, embedding)
            distance.backward()
            optimizer.step()
            distances.append(distance.item())
        assert distances[-1] < 0.7 * distances[0]
