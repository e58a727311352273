"""Every mapping keeps its contract, whatever it reads."""

import pytest
import torch
from helpers.registries import check_groups
from helpers.shapes import TASK, foundation_shape

from tdmr_ray.method.component import FoundationFacts, TaskFacts
from tdmr_ray.method.mappings import MAPPINGS, Mapping, PrototypeMapping

LABELS = torch.arange(30) % 3
NEED_SOURCE_CLASSES = [kind for kind, mapping in MAPPINGS.items() if mapping.reads_source_logits]
ONE_TO_ONE = ["random", "frequency", "iterative"]


def build(kind: str) -> Mapping:
    """Build a mapping that is not fitted yet; random initial weights follow from torch's seed."""
    return MAPPINGS[kind](MAPPINGS[kind].Config(), foundation_shape(), TASK, seed=0)


def fitted(kind: str) -> Mapping:
    """Build a mapping that is fitted to 30 images."""
    mapping = build(kind)
    with torch.no_grad():
        mapping.refit(torch.randn(30, 6), torch.randn(30, 5), LABELS)
    return mapping


@pytest.mark.parametrize("kind", MAPPINGS)
def test_outputs_are_an_embedding_and_task_logits(kind: str) -> None:
    mapping = fitted(kind)
    embedding, logits = mapping(torch.randn(4, 6), torch.randn(4, 5))
    assert embedding.shape == (4, mapping.Config().dim if isinstance(mapping, PrototypeMapping) else 6)  # type: ignore[attr-defined]
    assert logits.shape == (4, 3)
    assert torch.isfinite(logits).all()


@pytest.mark.parametrize("kind", MAPPINGS)
def test_outputs_for_an_image_do_not_depend_on_its_batch(kind: str) -> None:
    mapping, features, source_logits = fitted(kind), torch.randn(4, 6), torch.randn(4, 5)
    pairs = zip(features.split(1), source_logits.split(1), strict=True)
    alone = torch.cat([mapping(*pair)[1] for pair in pairs])
    torch.testing.assert_close(mapping(features, source_logits)[1], alone)


@pytest.mark.parametrize("kind", MAPPINGS)
def test_parameter_groups_hold_every_trained_parameter_once(kind: str) -> None:
    mapping = build(kind)
    check_groups(mapping.parameter_groups(), mapping)


@pytest.mark.parametrize("kind", MAPPINGS)
def test_source_logits_count_only_where_they_are_declared(kind: str) -> None:
    """A mapping that does not read them gets an empty tensor from a teacher."""
    mapping, features = fitted(kind), torch.randn(4, 6)
    if mapping.reads_source_logits:
        assert not torch.equal(*(mapping(features, torch.randn(4, 5))[1] for _ in range(2)))
    else:
        mapping.refit(features, features.new_zeros(4, 0), LABELS[:4])
        assert torch.equal(mapping(features, torch.randn(4, 5))[1], mapping(features, features.new_zeros(4, 0))[1])


@pytest.mark.parametrize("kind", MAPPINGS)
def test_source_weights_explain_the_logits_of_mappings_that_read_source_classes(kind: str) -> None:
    mapping, source_logits = fitted(kind), torch.randn(4, 5)
    weights = mapping.source_weights()
    assert (weights is not None) is mapping.reads_source_logits
    if weights is not None:
        assert weights.shape == (5, 3)
        torch.testing.assert_close(mapping(torch.randn(4, 6), source_logits)[1], source_logits @ weights)


@pytest.mark.parametrize("kind", MAPPINGS)
def test_refit_changes_a_mapping_only_if_it_declares_refits(kind: str) -> None:
    mapping = build(kind)
    before = {name: value.clone() for name, value in mapping.state_dict().items()}
    mapping.refit(torch.randn(30, 6), torch.randn(30, 5), LABELS)
    changed = any(not torch.equal(value, before[name]) for name, value in mapping.state_dict().items())
    assert changed is (mapping.refits is not None)


@pytest.mark.parametrize("kind", MAPPINGS)
def test_state_restores_a_mapping(kind: str) -> None:
    mapping, other = fitted(kind), build(kind)
    other.load_state_dict(mapping.state_dict())
    inputs = torch.randn(4, 6), torch.randn(4, 5)
    assert torch.equal(other(*inputs)[1], mapping(*inputs)[1])


@pytest.mark.parametrize("kind", NEED_SOURCE_CLASSES)
def test_foundation_without_a_classifier_is_refused(kind: str) -> None:
    tower = FoundationFacts("tower", 16, 0, takes_tokens=True)
    (problem,) = MAPPINGS[kind].Config().check(tower, TASK)
    assert problem == f"kind: '{kind}' reads source classes, and 'tower' has none; use a mapping of features (linear)"


@pytest.mark.parametrize("kind", MAPPINGS)
def test_only_one_to_one_mappings_need_a_source_class_for_each_task_class(kind: str) -> None:
    problems = MAPPINGS[kind].Config().check(foundation_shape(), TaskFacts(6))
    if kind in ONE_TO_ONE:
        rule = f"kind: '{kind}' needs a source class for each of the 6 task classes, but 'tiny' has 5"
        assert problems == [f"{rule}; use bayesian or linear"]
    else:
        assert problems == []
