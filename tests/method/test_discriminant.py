"""Linear discriminant analysis against scikit-learn's, and its temperature."""

from functools import partial

import numpy as np
import pytest
import torch
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from torch import Tensor
from torch.nn.functional import cross_entropy

from tdmr_ray.method.discriminant import fit_discriminant, held_out_temperature


def clusters(counts: list[int], dim: int, *, distance: float = 1.0, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Return Gaussian classes around random centres."""
    chance = torch.Generator().manual_seed(seed)
    labels = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    centers = distance * torch.randn(len(counts), dim, generator=chance)
    return centers[labels] + torch.randn(len(labels), dim, generator=chance), labels


@pytest.mark.parametrize("balanced", [False, True])
@pytest.mark.parametrize("dim", [5, 80], ids=["more images than dimensions", "fewer"])
def test_probabilities_are_those_of_scikit_learn_with_the_same_shrinkage(dim: int, balanced: bool) -> None:
    counts = [20, 20, 20] if balanced else [20, 30, 10]
    features, labels = clusters(counts, dim)
    model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.3)
    expected = model.fit(features.double().numpy(), labels.numpy()).predict_proba(features.double().numpy())
    found = fit_discriminant(features, labels, 3, shrinkage=0.3, balanced=balanced)
    np.testing.assert_allclose(found.logits(features.double()).softmax(dim=1).numpy(), expected, atol=1e-6)


def test_balanced_analysis_prefers_no_class_for_its_number_of_images() -> None:
    features, labels = clusters([50, 5], dim=4)
    own = fit_discriminant(features, labels, 2)
    fair = fit_discriminant(features, labels, 2, balanced=True)
    torch.testing.assert_close(own.bias - fair.bias, torch.tensor([50 / 55, 5 / 55]).double().log())


def test_temperature_makes_new_images_likelier() -> None:
    features, labels = clusters([8] * 6, dim=200, distance=0.3)
    new, right = clusters([50] * 6, dim=200, distance=0.3)
    logits = fit_discriminant(features, labels, 6).logits(new.double())
    temperature = held_out_temperature(partial(fit_discriminant, num_classes=6), features, labels)
    assert temperature > 1
    assert cross_entropy(logits / temperature, right) < cross_entropy(logits, right)


@pytest.mark.parametrize(("counts", "is_known"), [([1, 1, 1], False), ([1, 4, 4], True)])
def test_single_images_are_never_held_out(counts: list[int], is_known: bool) -> None:
    features, labels = clusters(counts, dim=6, distance=2.0)
    fit = partial(fit_discriminant, num_classes=3)
    assert (held_out_temperature(fit, features, labels) != 1.0) is is_known


def test_identical_images_are_no_obstacle() -> None:
    features, labels = torch.tensor([[0.0, 1.0]] * 3 + [[1.0, 0.0]] * 3), torch.tensor([0] * 3 + [1] * 3)
    logits = fit_discriminant(features, labels, 2).logits(features.double())
    assert torch.isfinite(logits).all()
    assert logits.argmax(dim=1).tolist() == labels.tolist()
