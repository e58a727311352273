"""The order of images and views within an epoch, and the course of the learning rate."""

from collections import Counter

import pytest

from tdmr_ray.training.batches import batches_per_epoch, cycle, epoch_batches, passes_per_epoch, views_per_epoch


@pytest.mark.parametrize(("num_images", "passes"), [(10, 50), (499, 2), (500, 1), (5000, 1)])
def test_few_images_are_shown_several_times_an_epoch(num_images: int, passes: int) -> None:
    assert passes_per_epoch(num_images) == passes


@pytest.mark.parametrize("num_images", [20, 130, 700])
@pytest.mark.parametrize("epoch", [0, 3])
def test_epoch_shows_each_image_equally_often_in_different_views(num_images: int, epoch: int) -> None:
    batches = list(epoch_batches(num_images, batch_size=64, epoch=epoch, seed=0))
    seen = Counter((int(row), int(view)) for b in batches for row, view in zip(b.rows, b.views, strict=True))
    passes = passes_per_epoch(num_images)
    assert set(seen) == {(r, v) for r in range(num_images) for v in range(epoch * passes, (epoch + 1) * passes)}
    assert set(seen.values()) == {1}
    assert len(batches) == batches_per_epoch(num_images, 64)
    assert max(len(b.rows) for b in batches) - min(len(b.rows) for b in batches) <= 1


@pytest.mark.parametrize(("num_images", "length"), [(30, 504), (499, 504), (504, 504), (700, 504)])
def test_an_epoch_of_given_length_has_as_many_batches_for_any_number_of_images(num_images: int, length: int) -> None:
    batches = list(epoch_batches(num_images, batch_size=64, epoch=1, seed=0, length=length))
    assert len(batches) == round(length / 64)
    shown = [(int(row), int(view)) for b in batches for row, view in zip(b.rows, b.views, strict=True)]
    assert len(shown) == len(set(shown)) == length
    assert {row for row, _ in shown} <= set(range(num_images))


@pytest.mark.parametrize(("num_images", "views"), [(42, 504), (499, 998), (500, 500), (700, 700)])
def test_views_of_an_epoch_are_whole_passes(num_images: int, views: int) -> None:
    assert views_per_epoch(num_images) == views


def test_views_are_repeated_in_a_cycle() -> None:
    views = {int(view) for b in epoch_batches(500, batch_size=64, epoch=12, seed=0, num_views=5) for view in b.views}
    assert views == {2}


def test_order_follows_seed_and_epoch() -> None:
    def order(seed: int, epoch: int) -> list[int]:
        return [int(row) for b in epoch_batches(100, batch_size=64, epoch=epoch, seed=seed) for row in b.rows]

    assert order(0, 1) == order(0, 1)
    assert len({tuple(order(seed, epoch)) for seed in (0, 1) for epoch in (0, 1)}) == 4


@pytest.mark.parametrize("count", [1, 2, 3])
def test_workers_share_a_batch_without_overlap(count: int) -> None:
    batch = next(epoch_batches(100, batch_size=64, epoch=0, seed=0))
    parts = [batch.part(rank, count) for rank in range(count)]
    both = sorted((int(r), int(v)) for part in parts for r, v in zip(part.rows, part.views, strict=True))
    assert both == sorted((int(r), int(v)) for r, v in zip(batch.rows, batch.views, strict=True))


def test_learning_rate_warms_up_and_falls_along_a_cosine() -> None:
    assert cycle(0.0) < 0.02
    assert cycle(0.1) == pytest.approx(1.0)
    assert cycle(0.55) == pytest.approx(0.5)
    assert cycle(1.0) == pytest.approx(0.0)
