"""ONNX Runtime computes the features of large convolutional foundations, and only if they stay the same."""

import sys

import pytest
import torch

from tdmr_ray.models import onnx_features
from tdmr_ray.models.foundation import Foundation, load_foundation
from tdmr_ray.models.names import RANDOM
from tdmr_ray.models.onnx_features import export_features, worth_exporting


@pytest.fixture(scope="module")
def foundation() -> Foundation:
    return load_foundation("resnet10t", weights=RANDOM, image_px=64)


def test_exported_features_are_those_of_torch(foundation: Foundation) -> None:
    exported = export_features(foundation)
    assert exported is not None
    for count in (1, 5):
        images = torch.rand(count, 3, 64, 64)
        torch.testing.assert_close(exported(images), foundation.features(images), rtol=1e-4, atol=1e-4)


def test_a_foundation_whose_features_would_change_is_not_exported(
    foundation: Foundation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx_features, "TOLERANCE", 0.0)
    assert export_features(foundation) is None


def test_without_onnxruntime_nothing_is_exported(foundation: Foundation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert export_features(foundation) is None


@pytest.mark.parametrize(
    ("name", "num_images", "expected"),
    [
        ("resnet10t", 100_000, True),
        ("resnet10t", 1_000, False),
        ("tf_efficientnet_lite0", 100_000, True),
        ("vit_tiny_patch16_224", 100_000, False),
        ("convnext_tiny", 100_000, False),
    ],
)
def test_only_much_work_in_convolutions_is_worth_an_export(name: str, num_images: int, expected: bool) -> None:
    assert worth_exporting(load_foundation(name, weights=RANDOM, image_px=64), num_images) is expected
