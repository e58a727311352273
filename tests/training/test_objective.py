"""The loss of a distillation step: labels of a batch, its terms, and their weighted sum."""

import pytest
import torch

from tdmr_ray.data.task import Images
from tdmr_ray.data.views import ViewBatch
from tdmr_ray.method.alignments import CKAAlignment
from tdmr_ray.method.alignments.cka import cka_distance
from tdmr_ray.method.losses import KLLoss
from tdmr_ray.method.losses.kl import kl_loss
from tdmr_ray.method.stages import TermWeights
from tdmr_ray.method.teacher import ProxySpace
from tdmr_ray.training.objective import BatchLabels, BatchOutputs, loss_terms, weighted_sum
from tdmr_ray.training.workers import ALONE

CPU = torch.device("cpu")
UNMIXED = torch.ones(4)


def test_labels_are_looked_up_for_both_images_of_a_view() -> None:
    images = Images(torch.zeros(5, 3, 1, 1, dtype=torch.uint8), torch.tensor([2, 0, 1, -1, -1]))
    view = ViewBatch(
        rows=torch.tensor([3, 0]),
        numbers=torch.tensor([0, 0]),
        images=torch.zeros(2, 3, 1, 1),
        partner=torch.tensor([2, 4]),
        ratio=torch.tensor([0.25, 0.5]),
    )
    labels = BatchLabels.of(view, images, CPU)
    assert labels.own.tolist() == [-1, 2]
    assert labels.partner.tolist() == [1, -1]
    assert labels.ratio.tolist() == [0.25, 0.5]


@pytest.mark.parametrize(
    ("own", "expected"), [([0, 1, 2, 2], 0.75), ([0, 1, -1, -1], 1.0), ([1, -1, -1, -1], 0.0), ([-1] * 4, 0.0)]
)
def test_accuracy_counts_labelled_views_only(own: list[int], expected: float) -> None:
    labels = BatchLabels(torch.tensor(own), torch.tensor(own), UNMIXED)
    assert labels.top1(torch.eye(3)[[0, 1, 2, 0]]) == pytest.approx(expected)


def test_terms_are_those_of_the_components() -> None:
    features, logits = torch.randn(4, 6), torch.randn(4, 3)
    proxy = ProxySpace(torch.randn(4, 5), torch.randn(4, 3))
    own = torch.tensor([0, 1, 2, -1])
    alignment = CKAAlignment(CKAAlignment.Config(), 6, 5)
    outputs = BatchOutputs(features, logits, BatchLabels(own, own, UNMIXED), proxy)
    terms = loss_terms(outputs, 2.0, alignment=alignment, logit_loss=KLLoss(KLLoss.Config()))
    assert terms.keys() == {"labels", "alignment", "logits"}
    torch.testing.assert_close(terms["labels"], torch.nn.functional.cross_entropy(logits[:3], own[:3]))
    assert torch.equal(terms["alignment"], cka_distance(features, proxy.embedding))
    assert torch.equal(terms["logits"], kl_loss(logits, proxy.logits, temperature=2.0))


def test_only_the_labels_count_without_a_teacher() -> None:
    own = torch.tensor([0, 1])
    outputs = BatchOutputs(torch.randn(2, 6), torch.randn(2, 3), BatchLabels(own, own, torch.ones(2)), proxy=None)
    terms = loss_terms(outputs, 1.0, alignment=None, logit_loss=KLLoss(KLLoss.Config()))
    assert terms.keys() == {"labels"}
    weights = torch.tensor([3.0, 0.5, 1.0])
    weighted = loss_terms(outputs, 1.0, alignment=None, logit_loss=KLLoss(KLLoss.Config()), class_weights=weights)
    each = torch.nn.functional.cross_entropy(outputs.logits, own, reduction="none")
    torch.testing.assert_close(weighted["labels"], (3 * each[0] + 0.5 * each[1]) / 2)


def test_one_process_has_the_whole_batch_already() -> None:
    own = torch.tensor([0, 1])
    proxy = ProxySpace(torch.randn(2, 5), torch.randn(2, 3))
    part = BatchOutputs(torch.randn(2, 6), torch.randn(2, 3), BatchLabels(own, own, torch.ones(2)), proxy)
    whole = part.joined(ALONE, 2)
    assert whole.features is part.features
    assert whole.logits is part.logits
    assert whole.labels.own is own
    assert whole.proxy is not None
    assert whole.proxy.logits is proxy.logits


def test_loss_is_the_weighted_sum_of_its_terms() -> None:
    terms = {"labels": torch.tensor(1.0), "alignment": torch.tensor(10.0), "logits": torch.tensor(100.0)}
    weights = TermWeights(alignment=5.0, logits=0.5, labels=2.0)
    assert weighted_sum(terms, weights, CPU) == 5 * 10 + 0.5 * 100 + 2
    assert weighted_sum({"labels": torch.tensor(3.0)}, weights, CPU) == 6
