"""Linear heads: the standardisation is folded in, missing classes are never predicted, and the best kind is chosen."""

import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

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
def test_head_gives_the_probabilities_of_scikit_learns_pipeline(
    penalty: float, counts: list[int], balanced: bool
) -> None:
    features, labels = clusters(counts)
    head = fit_head(Kind(penalty), features, labels, len(counts), balanced=balanced)
    model = LogisticRegression(C=penalty, class_weight="balanced" if balanced else None, max_iter=1000)
    expected = make_pipeline(StandardScaler(), model).fit(features.double().numpy(), labels.numpy())
    probabilities = torch.from_numpy(expected.predict_proba(features.double().numpy())).float()
    torch.testing.assert_close(head.logits(features).softmax(dim=1), probabilities, atol=2e-3, rtol=1e-2)


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


def test_cross_validation_prefers_a_strong_penalty_in_noise_and_a_weak_one_without() -> None:
    noisy, clean = clusters([30, 30, 30], spread=3.0), clusters([30, 30, 30], spread=0.05)
    strong = choose_by_cross_validation(*noisy, 3, score, seed=0)
    weak = choose_by_cross_validation(*clean, 3, score, seed=0)
    assert strong.inverse_penalty is None or strong.inverse_penalty <= 0.1
    assert weak.inverse_penalty is None or weak.inverse_penalty == 1.0
    assert choose_by_cross_validation(*noisy, 3, score, seed=0) == strong


@pytest.mark.parametrize("counts", [[8, 3], [8, 2], [8, 1]])
def test_cross_validation_works_with_few_images_of_a_class(counts: list[int]) -> None:
    assert choose_by_cross_validation(*clusters(counts), 2, score, seed=0) in kinds_for(clusters(counts)[1])


def test_kinds_say_what_they_are() -> None:
    assert str(Kind(0.01)) == "logistic regression with C = 0.01"
    assert str(Kind(None)) == "linear discriminant analysis"
