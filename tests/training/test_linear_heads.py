"""Linear heads: the standardisation is folded in, missing classes are never predicted, and the best kind is chosen."""

import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor
from torch.nn.functional import cross_entropy, one_hot

from tdmr_ray.training.linear_heads import Kind, choose_by_cross_validation, fit_head, kinds_for
from tdmr_ray.training.metrics import measure, preference


def clusters(counts: list[int], *, spread: float = 1.0) -> tuple[Tensor, Tensor]:
    """Gaussian clusters in 8 dimensions of very different scales; one for each class."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.cat([torch.full((count,), index) for index, count in enumerate(counts)])
    centres = torch.randn(len(counts), 8, generator=generator)
    noise = spread * torch.randn(len(labels), 8, generator=generator)
    return (centres[labels] + noise) * torch.logspace(-3, 3, 8) + 5.0, labels


def score(logits: Tensor, labels: Tensor) -> tuple[float, float]:
    return preference(measure(logits, labels), "top1")


@pytest.mark.parametrize("balanced", [False, True])
@pytest.mark.parametrize("counts", [[20, 30, 10], [20, 7]], ids=["three classes", "two classes"])
@pytest.mark.parametrize("penalty", [0.01, 1.0])
def test_log_odds_are_those_of_scikit_learn_but_for_a_temperature(
    penalty: float, counts: list[int], balanced: bool
) -> None:
    features, labels = clusters(counts)
    head = fit_head(Kind(penalty), features, labels, len(counts), balanced=balanced)
    model = LogisticRegression(C=penalty, class_weight="balanced" if balanced else None, max_iter=1000)
    scale = features.std(dim=0, correction=0)
    scaled = ((features - features.mean(dim=0)) / scale.clamp(min=float(scale.median()))).numpy()
    expected = log_odds(torch.from_numpy(model.fit(scaled, labels.numpy()).predict_log_proba(scaled)).float())
    found = log_odds(head.logits(features))
    temperature = float((expected * found).sum() / found.square().sum())
    torch.testing.assert_close(found * temperature, expected, atol=2e-2, rtol=1e-2)


def log_odds(logits: Tensor) -> Tensor:
    """Log odds against the first class, whatever constant each row of logits has."""
    return logits - logits[:, :1]


@pytest.mark.parametrize("penalty", [1e-4, 1.0, None], ids=["underconfident", "overconfident", "discriminant"])
def test_probabilities_are_credible_for_new_images(penalty: float | None) -> None:
    generator = torch.Generator().manual_seed(1)
    labels = torch.arange(360) % 3
    features = 0.3 * one_hot(labels, 3)[:, torch.arange(300) // 100] + torch.randn(360, 300, generator=generator)
    new, right = features[60:], labels[60:]
    head = fit_head(Kind(penalty), features[:60], labels[:60], 3)
    loss = cross_entropy(head.logits(new), right)
    assert loss < cross_entropy(3 * head.logits(new), right)
    assert loss < cross_entropy(head.logits(new) / 3, right)


@pytest.mark.parametrize("penalty", [0.01, None])
def test_feature_that_hardly_varies_over_the_labelled_images_gets_no_great_weight(penalty: float | None) -> None:
    features, labels = torch.randn(60, 8, generator=torch.Generator().manual_seed(0)), torch.arange(60) % 3
    features[:, 0] *= 1e-4
    features[labels == 0, 0] += 1e-4
    weight = fit_head(Kind(penalty), features, labels, 3).weight.abs()
    assert weight[:, 0].max() < 2 * weight[:, 1:].max()


@pytest.mark.parametrize("penalty", [0.01, None])
@pytest.mark.parametrize("counts", [[20, 0, 20], [20, 0, 0]], ids=["one missing", "two missing"])
def test_class_without_images_is_never_predicted(penalty: float | None, counts: list[int]) -> None:
    features, labels = clusters(counts)
    logits = fit_head(Kind(penalty), features, labels, 3).logits(features)
    assert torch.isfinite(logits).all()
    assert set(logits.argmax(dim=1).tolist()) == set(labels.tolist())


@pytest.mark.parametrize(("smallest", "has_lda"), [(1, False), (2, False), (3, True)])
def test_discriminant_analysis_needs_three_images_a_class(smallest: int, has_lda: bool) -> None:
    assert (Kind(None) in kinds_for(clusters([9, smallest])[1])) is has_lda


def test_cross_validation_prefers_a_strong_penalty_in_noise_and_a_weak_one_for_a_small_difference() -> None:
    noisy = clusters([30, 30, 30], spread=3.0)
    labels, common = torch.arange(90) % 3, torch.randn(90, 1, generator=torch.Generator().manual_seed(0))
    hidden = (torch.cat([common + 0.2 * labels[:, None], common], dim=1), labels)
    strong = choose_by_cross_validation(*noisy, 3, score, seed=0)
    weak = choose_by_cross_validation(*hidden, 3, score, seed=0)
    assert strong.inverse_penalty is None or strong.inverse_penalty <= 0.1
    assert weak.inverse_penalty == 1.0
    assert choose_by_cross_validation(*noisy, 3, score, seed=0) == strong


@pytest.mark.parametrize("counts", [[8, 3], [8, 2], [8, 1]])
def test_cross_validation_works_with_few_images_of_a_class(counts: list[int]) -> None:
    assert choose_by_cross_validation(*clusters(counts), 2, score, seed=0) in kinds_for(clusters(counts)[1])


def test_kinds_say_what_they_are() -> None:
    assert str(Kind(0.01)) == "logistic regression with C = 0.01"
    assert str(Kind(None)) == "linear discriminant analysis"
