"""Every mapping keeps its contract, whatever it reads."""

import pytest
import torch
from helpers.contracts import contract_of

from tdmr_ray.method.component import FoundationFacts, TaskFacts
from tdmr_ray.method.mappings import MAPPINGS, Mapping, PrototypeMapping
from tdmr_ray.testing import MappingContract
from tdmr_ray.testing.component import TASK, foundation_shape

LABELS = torch.arange(30) % 3
NEED_SOURCE_CLASSES = [kind for kind, mapping in MAPPINGS.items() if mapping.reads_source_logits]
ONE_TO_ONE = ["random", "frequency", "iterative"]


@contract_of(MAPPINGS)
class TestContract(MappingContract):
    pass


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
def test_source_weights_explain_the_logits_of_mappings_that_read_source_classes(kind: str) -> None:
    mapping, source_logits = fitted(kind), torch.randn(4, 5)
    weights = mapping.source_weights()
    assert (weights is not None) is mapping.reads_source_logits
    if weights is not None:
        assert weights.shape == (5, 3)
        torch.testing.assert_close(mapping(torch.randn(4, 6), source_logits)[1], source_logits @ weights)


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
