"""The built-in digits as a task."""

from pathlib import Path

import pytest
import torch
from pictures import make_folder

from tdmr_ray.data.builtin import DATASETS
from tdmr_ray.data.config import DataConfig
from tdmr_ray.data.dataset import scale_images
from tdmr_ray.data.datasets import load_dataset
from tdmr_ray.data.loading import load_task
from tdmr_ray.data.reading import InputFormat
from tdmr_ray.data.splits import UNLABELED
from tdmr_ray.errors import InputError


@pytest.mark.parametrize("name", DATASETS)
def test_contract_of_every_data_set(name: str) -> None:
    dataset = load_dataset(DataConfig(name=name))
    assert dataset.images.dtype == torch.uint8
    assert dataset.images.shape[1] == 3
    assert len(dataset.images) == len(dataset.labels)
    assert sorted(dataset.labels.unique().tolist()) == list(range(len(dataset.class_names)))


def test_digits_are_the_1797_of_scikit_learn_and_use_the_whole_range() -> None:
    images = load_dataset(DataConfig(name="digits")).images
    assert images.shape == (1797, 3, 32, 32)
    assert images.min() == 0
    assert images.max() == 255


@pytest.mark.parametrize(("unlabeled", "count"), [(False, 50), (True, 898)])
def test_unlabelled_images_join_without_their_labels(unlabeled: bool, count: int) -> None:
    task = load_task(DataConfig(name="digits", shots=5, unlabeled=unlabeled))
    assert len(task.train) == count
    assert task.num_labeled == len(task.labeled) == 50
    assert (task.train.labels[50:] == UNLABELED).all()
    assert (task.labeled.labels >= 0).all()
    assert task.num_classes == 10
    assert task.image_px == 32


def test_fingerprint_changes_with_images_and_labels() -> None:
    configs = [
        DataConfig(shots=5),
        DataConfig(shots=5, unlabeled=True),
        DataConfig(shots=6),
        DataConfig(shots=5, shots_seed=1),
        DataConfig(shots=5, split_seed=1),
    ]
    prints = {load_task(config).fingerprint for config in configs}
    assert len(prints) == len(configs)
    assert load_task(configs[0]).fingerprint in prints


def test_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(InputError, match="did you mean 'digits'"):
        load_task(DataConfig(name="digit"))


def test_images_are_scaled_to_the_requested_size() -> None:
    plain, large = load_task(DataConfig(shots=2)), load_task(DataConfig(shots=2, image_px=48))
    assert (plain.image_px, large.image_px) == (32, 48)
    assert large.train.images.dtype == torch.uint8
    assert torch.equal(plain.train.labels, large.train.labels)
    assert plain.fingerprint != large.fingerprint
    back = scale_images(large.train.images, InputFormat(32)).float()
    assert (back - plain.train.images.float()).abs().mean() < 4


def test_a_large_foundation_sees_large_images_and_the_target_keeps_its_size(tmp_path: Path) -> None:
    name = str(make_folder(tmp_path / "set", 8))
    task = load_task(DataConfig(name=name, image_px=160, decode_px=168))
    assert task.train.images.shape[-2:] == (168, 168)
    assert (task.image_px, task.input_format.size_px) == (168, 168)
    assert (task.target_px(None), task.target_px(96)) == (160, 96)


def test_small_pictures_in_memory_are_not_decoded_larger() -> None:
    task = load_task(DataConfig(shots=2, decode_px=168))
    assert (task.image_px, task.target_px(None)) == (32, 32)


@pytest.mark.parametrize("prefix", ["", "/", "csv:", "hfds/", "wds/", "torch/"])
def test_a_name_too_long_for_a_path_is_one_message(prefix: str) -> None:
    with pytest.raises(InputError):
        load_task(DataConfig(name=prefix + "x" * 5000))
    with pytest.raises(InputError, match=r"data\.unlabeled"):
        load_task(DataConfig(name="digits", unlabeled="x" * 5000))
