"""Each decision of `tdmr init` follows the facts, and its reason says which."""

from dataclasses import replace

import pytest

from tdmr_ray.initial.budget import Workload, budget, confirmation_steps
from tdmr_ray.initial.evaluation import controls, cv_folds, objective
from tdmr_ray.initial.facts import ImageFacts, Machine
from tdmr_ray.initial.images import image_size, near_duplicates, on_bad_image, views_preset
from tdmr_ray.initial.method import fixed_prompt, search_ranges
from tdmr_ray.initial.networks import BUILT_IN
from tdmr_ray.training.controls import CONTROLS

FACTS = ImageFacts(
    class_sizes={"cat": 100, "dog": 100},
    num_train=100,
    num_test=60,
    num_unlabeled=0,
    median_px=480,
    num_near_duplicates=0,
    num_unreadable=0,
    preset="photo",
)
LAPTOP, SERVER, GPU = Machine(2), Machine(16), Machine(8, "H200")


@pytest.mark.parametrize(
    ("median_px", "machine", "size", "reason"),
    [
        (480, LAPTOP, 96, "96 px suit a small network on 2 cores and no GPU"),
        (480, SERVER, 160, "160 px suit a small network on 16 cores"),
        (480, GPU, 160, "a GPU (H200)"),
        (140, GPU, 128, "the median of the shorter sides is 140 px; larger would add no detail"),
        (60, LAPTOP, 64, "60 px"),
        (12, LAPTOP, 32, "12 px"),
        (None, LAPTOP, 96, "the size of the images is unknown"),
    ],
)
def test_the_image_size_follows_the_median_and_the_machine(
    median_px: int | None, machine: Machine, size: int, reason: str
) -> None:
    choice = image_size(replace(FACTS, median_px=median_px), machine)
    assert choice.value == size
    assert reason in choice.reason


@pytest.mark.parametrize(
    ("sizes", "metric", "reason"),
    [
        ({"cat": 31, "dog": 10}, "val/balanced_accuracy", "'cat' has 31 labelled images and 'dog' has 10"),
        ({"cat": 30, "dog": 10}, "val/top1", "similar in size"),
        ({"cat": 10, "dog": 10}, "val/top1", "every class has 10"),
    ],
)
def test_lopsided_classes_get_balanced_accuracy(sizes: dict[str, int], metric: str, reason: str) -> None:
    choice = objective(replace(FACTS, class_sizes=sizes))
    assert choice.value == metric
    assert reason in choice.reason


@pytest.mark.parametrize(
    ("num_test", "smallest", "folds", "reason"),
    [
        (30, 40, None, "30 test images are enough"),
        (29, 40, 5, "only 29 images"),
        (6, 3, 3, "tests on every labelled image"),
        (6, 1, None, "too few images"),
    ],
)
def test_a_small_test_split_gets_folds(num_test: int, smallest: int, folds: int | None, reason: str) -> None:
    choice = cv_folds(replace(FACTS, num_test=num_test, class_sizes={"cat": 60, "dog": smallest}))
    assert choice.value == folds
    assert reason in choice.reason


@pytest.mark.parametrize(
    ("num_unlabeled", "has_weights", "own"),
    [
        (0, False, ["scratch"]),
        (9, False, ["scratch", "self_training"]),
        (0, True, ["fine_tune", "frozen_target"]),
        (9, True, ["fine_tune", "frozen_target", "self_training_pretrained"]),
    ],
)
def test_rivals_suit_weights_and_labels(num_unlabeled: int, has_weights: bool, own: list[str]) -> None:
    choice = controls(replace(FACTS, num_unlabeled=num_unlabeled), has_weights)
    assert choice.value == [*own, "plain_kd", "linear_probe", "majority"]
    assert set(choice.value) <= set(CONTROLS)
    assert ("9 images have no label" in choice.reason) == bool(num_unlabeled)


def test_faults_of_the_images_are_dealt_with_only_if_there_are_any() -> None:
    assert near_duplicates(FACTS).value is None
    assert on_bad_image(FACTS).value is None
    bad = replace(FACTS, num_near_duplicates=1, num_unreadable=2)
    assert near_duplicates(bad).value == "group"
    assert "1 pair of" in near_duplicates(bad).reason
    assert on_bad_image(bad).value == "skip"
    assert "2 images cannot be read" in on_bad_image(bad).reason


def test_the_views_are_those_that_auto_would_choose() -> None:
    assert views_preset(FACTS).value == "photo"
    grey = views_preset(replace(FACTS, preset="document"))
    assert grey.value == "document"
    assert "all images are grey" in grey.reason


def work(macs: float = 1e7, cv_folds: int = 0, num_pairs: int = 1) -> Workload:
    return Workload(1000, macs, ["fine_tune", "plain_kd", "linear_probe"], num_pairs, cv_folds)


@pytest.mark.parametrize(
    ("minutes", "machine", "plan", "steps"),
    [
        (1, LAPTOP, (6, 8), 100),
        (30, LAPTOP, (12, 20), 400),
        (30, GPU, (24, 30), 1500),
        (10_000, LAPTOP, (24, 30), 1500),
    ],
)
def test_the_budget_fills_the_time(minutes: int, machine: Machine, plan: tuple[int, int], steps: int) -> None:
    found = budget(60 * minutes, work(), machine)
    assert (found.trials.value, found.epochs.value) == plan
    assert found.steps.value == steps
    assert ("budget.time may end the search" in found.trials.reason) == (minutes == 1)


def test_more_work_leaves_fewer_steps() -> None:
    cases = (work(), work(cv_folds=5), work(num_pairs=2), work(macs=1e8))
    steps = [confirmation_steps(900, each, LAPTOP).value for each in cases]
    assert steps == sorted(set(steps), reverse=True)


@pytest.mark.parametrize(
    ("chosen", "machine", "size"),
    [([BUILT_IN], LAPTOP, None), (["convnext_tiny"], LAPTOP, 0), (["convnext_tiny"], GPU, None)],
)
def test_prompts_are_searched_where_the_foundation_is_fast(
    chosen: list[str], machine: Machine, size: int | None
) -> None:
    choice = fixed_prompt(chosen, machine)
    assert choice.value == size
    ranges = search_ranges(FACTS, pretrained=True, epochs=3, with_prompt=size is None)
    assert (ranges["prompt.size_px"].value is None) == (size == 0)
    assert ranges["distill.num_stages"].value["high"] == 3


@pytest.mark.parametrize(("pretrained", "highest"), [(True, 0.0003), (False, 0.03)])
def test_learning_rates_follow_the_start_of_the_target(pretrained: bool, highest: float) -> None:
    ranges = search_ranges(FACTS, pretrained, epochs=30, with_prompt=True)
    assert ranges["distill.lr"].value["high"] == highest


def test_only_rivals_that_train_cost_time() -> None:
    assert work().num_trained == 3
