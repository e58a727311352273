"""A committee joins the features of its members; each of them scales the images for itself."""

import pytest
import torch
from pydantic import ValidationError

from tdmr_ray.method.resize import resize
from tdmr_ray.models.committee import Committee
from tdmr_ray.models.foundation import load_foundation
from tdmr_ray.models.names import RANDOM
from tdmr_ray.training.networks import foundation_digest, resident_foundation
from tdmr_ray.training.sections import FoundationConfig

CNN = FoundationConfig(name="resnet10t", weights=RANDOM, image_px=32)
VIT = FoundationConfig(name="vit_tiny_patch16_224", weights=RANDOM, image_px=48)
BOTH = FoundationConfig(members=(CNN, VIT))


def test_features_are_those_of_the_members() -> None:
    committee, images = resident_foundation(BOTH), torch.rand(2, 3, 40, 40)
    assert isinstance(committee, Committee)
    own = [resident_foundation(part).features(resize(images, side)) for part, side in ((CNN, 32), (VIT, 48))]
    torch.testing.assert_close(committee.features(images), torch.cat(own, dim=1))
    assert committee.feature_dim == sum(each.shape[1] for each in own)


def test_it_has_neither_source_classes_nor_tokens() -> None:
    committee = Committee([load_foundation(CNN.name, weights=RANDOM, image_px=32)])
    assert (committee.has_classifier, committee.token_dim, committee.spec.size_px) == (False, 0, 32)
    assert committee.source_logits(torch.rand(3, committee.feature_dim)).shape == (3, 0)


def test_label_and_digest_name_every_member() -> None:
    assert BOTH.label == f"{CNN.label}+{VIT.label}"
    assert foundation_digest(BOTH) == f"{foundation_digest(CNN)}+{foundation_digest(VIT)}"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"name": "resnet10t", "members": [CNN, VIT]}, "has members alone"),
        ({"members": [CNN]}, "at least two members"),
        ({"members": [BOTH, CNN]}, "each of them one network"),
        ({"members": [FoundationConfig(), CNN]}, "each of them one network"),
    ],
)
def test_a_committee_of_anything_else_is_refused(values: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        FoundationConfig.model_validate(values)
