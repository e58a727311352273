"""Label mappings against their definitions, worked out by hand."""

import pytest
import torch
from tdmr_ray.method.label_mapping import (
    LABEL_RULES,
    LabelMapping,
    bayesian_mapping,
    count_table,
    frequency_mapping,
    probability_table,
    random_mapping,
)

ARG_MAX = [0, 0, 1, 2, 2, 2]
LABELS = torch.tensor([0, 0, 0, 1, 1, 0])
LOGITS = 9.0 * torch.nn.functional.one_hot(torch.tensor(ARG_MAX), 4).float()


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
def test_a_missing_task_class_does_not_shift_the_others(missing: int) -> None:
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


def test_bayesian_mapping_of_an_unseen_class_is_zero_not_nan() -> None:
    assert torch.equal(bayesian_mapping(torch.zeros(3, 2), smoothing=1.0), torch.zeros(3, 2))


def test_random_mapping_follows_the_seed() -> None:
    first, again, other = (random_mapping(50, 10, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("kind", LABEL_RULES)
def test_contract_of_every_label_mapping(kind: str) -> None:
    mapping = LabelMapping(kind, num_source_classes=4, num_classes=2, seed=0)
    mapping.refit(LOGITS, LABELS)
    features = torch.randn(3, 7)
    embedding, logits = mapping(features, torch.randn(3, 4))
    assert torch.equal(embedding, features)
    assert logits.shape == (3, 2)
    assert list(mapping.parameters()) == []
    columns = mapping.matrix.sum(dim=0)
    torch.testing.assert_close(columns, torch.ones(2))
    if LABEL_RULES[kind].one_to_one:
        assert mapping.matrix.sum(dim=1).max() == 1


@pytest.mark.parametrize("kind", [kind for kind, rule in LABEL_RULES.items() if rule.one_to_one])
def test_too_few_source_classes_are_refused(kind: str) -> None:
    with pytest.raises(ValueError, match=r"source=2, task=3"):
        LabelMapping(kind, num_source_classes=2, num_classes=3)


def test_many_to_many_mappings_take_fewer_source_classes() -> None:
    mapping = LabelMapping("bayesian", num_source_classes=2, num_classes=3)
    mapping.refit(torch.randn(9, 2), torch.arange(9) % 3)
    assert mapping(torch.zeros(1, 1), torch.randn(1, 2))[1].shape == (1, 3)
