"""Label mappings match their definitions, worked out by hand."""

import pytest
import torch

from tdmr_ray.method.component import TaskFacts
from tdmr_ray.method.mappings import MAPPINGS, BayesianMapping, BayesianPlusMapping, RandomMapping
from tdmr_ray.method.mappings.bayesian import bayesian_mapping
from tdmr_ray.method.mappings.frequency import frequency_mapping
from tdmr_ray.method.mappings.label_mapping import LabelMapping, count_table, probability_table
from tdmr_ray.method.mappings.random import random_mapping
from tdmr_ray.testing.component import foundation_shape

ARG_MAX = [0, 0, 1, 2, 2, 2]
LABELS = torch.tensor([0, 0, 0, 1, 1, 0])
LOGITS = 9.0 * torch.nn.functional.one_hot(torch.tensor(ARG_MAX), 4).float()
FEATURES = torch.zeros(6, 6)
TWO = TaskFacts(2)
KINDS = [kind for kind, mapping in MAPPINGS.items() if issubclass(mapping, LabelMapping)]


def fitted(kind: str) -> LabelMapping:
    """Fit a label mapping of four source classes and two task classes to the six images."""
    mapping = MAPPINGS[kind](MAPPINGS[kind].Config(), foundation_shape(num_source_classes=4), TWO, seed=0)
    assert isinstance(mapping, LabelMapping)
    mapping.refit(FEATURES, LOGITS, LABELS)
    return mapping


def test_count_table_by_hand() -> None:
    expected = torch.tensor([[2.0, 0.0], [1.0, 0.0], [1.0, 2.0], [0.0, 0.0]])
    assert torch.equal(count_table(LOGITS, LABELS, 2), expected)


@pytest.mark.parametrize("cut", [1, 3, 5])
def test_count_table_does_not_depend_on_batches(cut: int) -> None:
    parts = count_table(LOGITS[:cut], LABELS[:cut], 2) + count_table(LOGITS[cut:], LABELS[cut:], 2)
    assert torch.equal(parts, count_table(LOGITS, LABELS, 2))


def test_probability_table_keeps_the_top_k_only() -> None:
    logits = torch.tensor([[0.6, 0.3, 0.1]]).log()
    table = probability_table(logits, torch.tensor([1]), 2, top_k=2)
    torch.testing.assert_close(table, torch.tensor([[0.0, 0.6], [0.0, 0.3], [0.0, 0.0]]))


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        # the largest count (5) takes source 0 for task 1, so task 0 must go on to source 1
        ([[4, 5], [2, 0], [0, 1]], {0: 1, 1: 0}),
        # a task class without any image takes a free source class and does not shift the other
        ([[0, 0], [0, 3], [0, 0]], {0: 0, 1: 1}),
    ],
)
def test_frequency_mapping_is_greedy(table: list[list[int]], expected: dict[int, int]) -> None:
    matrix = frequency_mapping(torch.tensor(table, dtype=torch.float32))
    assert {task: int(matrix[:, task].argmax()) for task in range(2)} == expected


@pytest.mark.parametrize("missing", [0, 1, 2])
def test_missing_task_class_does_not_shift_the_others(missing: int) -> None:
    table = 10.0 * torch.eye(5, 3)
    whole = frequency_mapping(table)
    table[:, missing] = 0
    rest = [task for task in range(3) if task != missing]
    assert torch.equal(frequency_mapping(table)[:, rest], whole[:, rest])


def test_bayesian_mapping_by_hand() -> None:
    table = torch.tensor([[2.0, 0.0], [1.0, 2.0], [0.0, 0.0]])
    # rows over (sum + 1): [2/3, 0], [1/4, 2/4], [0, 0]; then columns to sum 1: 11/12 and 1/2
    expected = torch.tensor([[8 / 11, 0.0], [3 / 11, 1.0], [0.0, 0.0]])
    torch.testing.assert_close(bayesian_mapping(table, smoothing=1.0), expected)


def test_bayesian_mapping_of_an_unseen_class_is_zero_and_finite() -> None:
    assert torch.equal(bayesian_mapping(torch.zeros(3, 2), smoothing=1.0), torch.zeros(3, 2))


def test_bayesian_mappings_use_their_smoothing_and_top_k() -> None:
    shape = foundation_shape(num_source_classes=4)
    counted = BayesianMapping(BayesianMapping.Config(smoothing=3.0), shape, TWO, seed=0)
    counted.refit(FEATURES, LOGITS, LABELS)
    torch.testing.assert_close(counted.matrix, bayesian_mapping(count_table(LOGITS, LABELS, 2), smoothing=3.0))
    summed = BayesianPlusMapping(BayesianPlusMapping.Config(smoothing=2.0, top_k_fraction=0.6), shape, TWO, seed=0)
    logits = torch.randn(6, 4)
    summed.refit(FEATURES, logits, LABELS)
    table = probability_table(logits, LABELS, 2, top_k=2)  # 0.6 of 4 source classes, rounded
    torch.testing.assert_close(summed.matrix, bayesian_mapping(table, smoothing=2.0))


def test_frequency_and_iterative_mapping_differ_only_in_when_they_are_fitted() -> None:
    assert torch.equal(fitted("frequency").matrix, fitted("iterative").matrix)
    assert fitted("frequency").matrix.argmax(dim=0).tolist() == [0, 2]
    once, often = MAPPINGS["frequency"].refits, MAPPINGS["iterative"].refits
    assert once is not None and (once.prompted, once.each_epoch) == (False, False)
    assert often is not None and (often.prompted, often.each_epoch) == (True, True)


def test_random_mapping_follows_the_seed() -> None:
    first, again, other = (random_mapping(50, 10, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    mapping = RandomMapping(RandomMapping.Config(), foundation_shape(num_source_classes=50), TaskFacts(10), seed=1)
    assert torch.equal(mapping.matrix, first)


@pytest.mark.parametrize("kind", KINDS)
def test_columns_of_a_label_mapping_sum_to_one(kind: str) -> None:
    mapping = fitted(kind)
    torch.testing.assert_close(mapping.matrix.sum(dim=0), torch.ones(2))
    if kind in ("random", "frequency", "iterative"):
        assert set(mapping.matrix.flatten().tolist()) == {0.0, 1.0}
        assert mapping.matrix.sum(dim=1).max() == 1


@pytest.mark.parametrize("kind", KINDS)
def test_embedding_of_a_label_mapping_is_the_features(kind: str) -> None:
    features = torch.randn(3, 6)
    assert torch.equal(fitted(kind)(features, torch.randn(3, 4))[0], features)


def test_too_few_source_classes_for_a_one_to_one_mapping_are_refused() -> None:
    with pytest.raises(ValueError, match=r"source=2, task=3"):
        random_mapping(2, 3, seed=0)
    with pytest.raises(ValueError, match=r"source=2, task=3"):
        frequency_mapping(torch.zeros(2, 3))


@pytest.mark.parametrize("kind", ["bayesian", "bayesian_plus"])
def test_many_to_many_mappings_take_fewer_source_classes_than_task_classes(kind: str) -> None:
    shape = foundation_shape(num_source_classes=2)
    mapping = MAPPINGS[kind](MAPPINGS[kind].Config(), shape, TaskFacts(3), seed=0)
    mapping.refit(torch.zeros(9, 6), torch.randn(9, 2), torch.arange(9) % 3)
    assert mapping(torch.zeros(1, 6), torch.randn(1, 2))[1].shape == (1, 3)
