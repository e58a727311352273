"""Mappings that read features: standardisation, a layer that starts at zero, prototypes at the class means."""

import dataclasses
from functools import partial

import pytest
import torch

from tdmr_ray.method.discriminant import fit_discriminant, held_out_temperature
from tdmr_ray.method.mappings import DiscriminantMapping, LinearMapping, PrototypeMapping
from tdmr_ray.method.mappings.feature_scaler import FeatureScaler
from tdmr_ray.testing.component import TASK, foundation_shape

NO_SOURCE = torch.zeros(60, 0)


def test_scaler_by_hand() -> None:
    scaler = FeatureScaler(2)
    scaler.refit(torch.tensor([[1.0, 5.0], [3.0, 5.0]]))
    # mean 2 and standard deviation sqrt(2) of the first; the second is constant and only centred
    expected = torch.tensor([[-1 / 2**0.5, 0.0], [2 / 2**0.5, 2.0]])
    torch.testing.assert_close(scaler(torch.tensor([[1.0, 5.0], [4.0, 7.0]])), expected)


def test_scaler_treats_each_dimension_by_itself_and_keeps_its_statistics() -> None:
    """A later image that is moved and stretched is moved and stretched after scaling too, only there."""
    scaler, features = FeatureScaler(3), torch.randn(80, 3) * torch.tensor([1.0, 10.0, 0.1]) + 4
    scaler.refit(features)
    scaled = scaler(features)
    torch.testing.assert_close(scaled.std(dim=0), torch.ones(3))
    torch.testing.assert_close(scaled.mean(dim=0), torch.zeros(3), atol=1e-5, rtol=0)
    later = features.clone()
    later[:, 1] = 2 * features[:, 1] + 5
    torch.testing.assert_close(scaler(later)[:, [0, 2]], scaled[:, [0, 2]])
    assert scaler(later)[:, 1].std().item() == pytest.approx(2, rel=1e-4)
    assert scaler(later)[:, 1].mean().item() == pytest.approx(
        (features[:, 1].mean().item() + 5) / scaler.std[1].item(), rel=1e-3
    )


def test_floored_scaler_does_not_blow_up_features_that_hardly_vary() -> None:
    scaler, features = FeatureScaler(3, floored=True), torch.randn(200, 3) * torch.tensor([1.0, 4.0, 1e-3])
    scaler.refit(features)
    torch.testing.assert_close(scaler(features).std(dim=0), torch.tensor([1.0, 1.0, 1e-3]), rtol=0.2, atol=0)


def test_linear_mapping_starts_with_equal_logits_of_standardised_features() -> None:
    mapping, features = LinearMapping(LinearMapping.Config(), foundation_shape(), TASK, seed=0), torch.randn(60, 6)
    mapping.refit(3 * features + 1, NO_SOURCE, torch.arange(60) % 3)
    embedding, logits = mapping(3 * features + 1, NO_SOURCE)
    torch.testing.assert_close(embedding.std(dim=0), torch.ones(6))
    torch.testing.assert_close(embedding.mean(dim=0), torch.zeros(6), atol=1e-6, rtol=0)
    assert torch.equal(logits, torch.zeros(60, 3))


def test_prototype_mapping_starts_as_a_nearest_mean_classifier() -> None:
    means = torch.eye(3, 6) * 5
    features = (means.repeat(20, 1) + 0.3 * torch.randn(60, 6))[torch.randperm(60)]
    labels = features[:, :3].argmax(dim=1)
    mapping = PrototypeMapping(PrototypeMapping.Config(dim=6), foundation_shape(), TASK, seed=0)
    mapping.refit(features, NO_SOURCE, labels)
    embedding, logits = mapping(features, NO_SOURCE)
    assert torch.equal(logits.argmax(dim=1), labels)
    torch.testing.assert_close(embedding.norm(dim=1), torch.ones(60))
    own_mean = torch.stack([embedding[labels == task].mean(dim=0) for task in range(3)])
    cosines = embedding @ torch.nn.functional.normalize(own_mean, dim=1).T
    torch.testing.assert_close(logits, 10 * cosines)


def test_prototype_of_a_class_without_images_stays_at_zero() -> None:
    mapping = PrototypeMapping(PrototypeMapping.Config(dim=6), foundation_shape(), TASK, seed=0)
    mapping.refit(torch.randn(10, 6), torch.zeros(10, 0), torch.arange(10) % 2)
    assert torch.equal(mapping.prototypes[2], torch.zeros(6))
    assert torch.isfinite(mapping(torch.randn(4, 6), torch.zeros(4, 0))[1]).all()


def test_discriminant_mapping_is_the_mean_of_its_members_calibrated_log_odds() -> None:
    features, labels = torch.randn(60, 6), torch.arange(60) % 3
    features[:, :3] += torch.nn.functional.one_hot(labels, 3)
    shape = dataclasses.replace(foundation_shape(), member_dims=(4, 2))
    mapping = DiscriminantMapping(DiscriminantMapping.Config(), shape, TASK, seed=0)
    mapping.refit(features, NO_SOURCE, labels)
    embedding, logits = mapping(features, NO_SOURCE)
    expected = torch.zeros(60, 3).double()
    for part in (embedding[:, :4], embedding[:, 4:]):
        own = fit_discriminant(part, labels, 3).logits(part.double())
        expected += own / held_out_temperature(partial(fit_discriminant, num_classes=3), part, labels) / 2
    torch.testing.assert_close(logits, expected.float())


def test_discriminant_mapping_never_answers_a_class_without_images() -> None:
    mapping = DiscriminantMapping(DiscriminantMapping.Config(), foundation_shape(), TASK, seed=0)
    mapping.refit(torch.randn(30, 6), torch.zeros(30, 0), 2 * (torch.arange(30) % 2))
    logits = mapping(torch.randn(50, 6), torch.zeros(50, 0))[1]
    assert torch.isfinite(logits).all()
    assert set(logits.argmax(dim=1).tolist()) == {0, 2}


@pytest.mark.parametrize("mapping", [LinearMapping, PrototypeMapping])
def test_learning_rate_and_decay_come_from_the_config(
    mapping: type[LinearMapping] | type[PrototypeMapping],
) -> None:
    config = mapping.Config(lr=0.3, weight_decay=0.2)
    (group,) = mapping(config, foundation_shape(), TASK, seed=0).parameter_groups()  # type: ignore[arg-type]
    assert (group.lr, group.weight_decay) == (0.3, 0.2)
