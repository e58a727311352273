"""The contract of mappings."""

import torch

from tdmr_ray.method.mappings import Mapping, MappingConfig
from tdmr_ray.testing.component import TASK, ComponentContract, check_groups, foundation_shape

LABELS = torch.arange(30) % 3


class MappingContract(ComponentContract):
    """Contract of a mapping."""

    base, shapes_teacher = Mapping, True

    @staticmethod
    def build(component: type[Mapping], config: MappingConfig) -> Mapping:
        """Build the mapping for 6 features, 5 source classes and 3 task classes; it is not fitted yet."""
        return component(config, foundation_shape(), TASK, seed=0)

    def fitted(self, component: type[Mapping], config: MappingConfig) -> Mapping:
        """Build the mapping and fit it to 30 images."""
        mapping = self.build(component, config)
        with torch.no_grad():
            mapping.refit(torch.randn(30, 6), torch.randn(30, 5), LABELS)
        return mapping

    def test_outputs_are_an_embedding_and_task_logits(self, component: type[Mapping], config: MappingConfig) -> None:
        embedding, logits = self.fitted(component, config)(torch.randn(4, 6), torch.randn(4, 5))
        assert embedding.ndim == 2 and len(embedding) == 4
        assert logits.shape == (4, 3)
        assert torch.isfinite(logits).all()

    def test_outputs_for_an_image_do_not_depend_on_its_batch(
        self, component: type[Mapping], config: MappingConfig
    ) -> None:
        mapping, features, source_logits = self.fitted(component, config), torch.randn(4, 6), torch.randn(4, 5)
        pairs = zip(features.split(1), source_logits.split(1), strict=True)
        alone = torch.cat([mapping(*pair)[1] for pair in pairs])
        torch.testing.assert_close(mapping(features, source_logits)[1], alone)

    def test_parameter_groups_hold_every_trained_parameter_once(
        self, component: type[Mapping], config: MappingConfig
    ) -> None:
        mapping = self.build(component, config)
        check_groups(mapping.parameter_groups(), mapping)

    def test_source_logits_count_only_where_they_are_declared(
        self, component: type[Mapping], config: MappingConfig
    ) -> None:
        """A mapping that does not read them gets an empty tensor from a teacher."""
        mapping, features = self.fitted(component, config), torch.randn(4, 6)
        if mapping.reads_source_logits:
            assert not torch.equal(*(mapping(features, torch.randn(4, 5))[1] for _ in range(2)))
        else:
            mapping.refit(features, features.new_zeros(4, 0), LABELS[:4])
            assert torch.equal(mapping(features, torch.randn(4, 5))[1], mapping(features, features.new_zeros(4, 0))[1])

    def test_source_weights_explain_the_logits(self, component: type[Mapping], config: MappingConfig) -> None:
        mapping, source_logits = self.fitted(component, config), torch.randn(4, 5)
        weights = mapping.source_weights()
        if weights is not None:
            assert weights.shape == (5, 3)
            torch.testing.assert_close(mapping(torch.randn(4, 6), source_logits)[1], source_logits @ weights)

    def test_refit_changes_a_mapping_only_if_it_declares_refits(
        self, component: type[Mapping], config: MappingConfig
    ) -> None:
        mapping = self.build(component, config)
        before = {name: value.clone() for name, value in mapping.state_dict().items()}
        mapping.refit(torch.randn(30, 6), torch.randn(30, 5), LABELS)
        changed = any(not torch.equal(value, before[name]) for name, value in mapping.state_dict().items())
        assert changed is (mapping.refits is not None)

    def test_state_restores_a_mapping(self, component: type[Mapping], config: MappingConfig) -> None:
        mapping, other = self.fitted(component, config), self.build(component, config)
        other.load_state_dict(mapping.state_dict())
        inputs = torch.randn(4, 6), torch.randn(4, 5)
        assert torch.equal(other(*inputs)[1], mapping(*inputs)[1])
