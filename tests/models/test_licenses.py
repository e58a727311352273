"""Licences of pretrained weights."""

import pytest

from tdmr_ray.models.licenses import describe_license, foundation_license, target_license


@pytest.mark.parametrize(
    ("name", "weights", "expected"),
    [
        ("glyph_cnn", "", "apache-2.0"),
        ("vit_small_patch14_dinov2.lvd142m", "", "apache-2.0"),
        ("vit_small_patch14_dinov2.lvd142m", "random", None),
        ("vit_small_patch14_dinov2.lvd142m", "weights.pth", None),
        ("hf-hub:somebody/network", "", None),
        ("deit_tiny_patch16_224", "", "apache-2.0"),
    ],
)
def test_a_foundation_has_the_licence_that_timm_states(name: str, weights: str, expected: str | None) -> None:
    assert foundation_license(name, weights) == expected


@pytest.mark.parametrize(
    ("weights", "expected"), [("", None), ("weights.pth", None), ("pretrained", "fastvit-license")]
)
def test_a_target_has_a_licence_if_it_begins_with_timms_weights(weights: str, expected: str | None) -> None:
    assert target_license("fastvit_t8", weights) == expected


def test_an_unknown_licence_is_said_to_be_unknown() -> None:
    assert describe_license(None, "random") == "random weights"
    assert describe_license(None, "a.pth") == "unknown, from a file"
    assert describe_license(None, "") == "unknown"
    assert describe_license("mit", "") == "mit"
