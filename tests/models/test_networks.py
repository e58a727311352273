"""Foundations stay frozen; targets are timm networks with a head for the task."""

import pytest
import torch

from tdmr_ray.errors import InputError
from tdmr_ray.models import InputSpec, check_foundation, check_target, load_foundation, load_target
from tdmr_ray.models.cost import measure_target
from tdmr_ray.models.embedded import EMBEDDED
from tdmr_ray.models.names import foundation_facts

TARGETS = ["lcnet_035", "mobilenetv3_small_050", "mobilenetv4_conv_small_035", "resnet10t", "vit_tiny_patch16_224"]


@pytest.mark.parametrize("name", EMBEDDED)
def test_a_foundation_stays_in_evaluation_mode_and_takes_no_gradient(name: str) -> None:
    foundation = load_foundation(name).train()
    assert not any(module.training for module in foundation.modules())
    images = torch.rand(2, 3, 32, 32, requires_grad=True)
    foundation.source_logits(foundation.features(images)).sum().backward()
    assert images.grad is not None
    assert images.grad.abs().sum() > 0
    assert all(parameter.grad is None for parameter in foundation.parameters())


@pytest.mark.parametrize("name", EMBEDDED)
def test_facts_agree_with_the_network(name: str) -> None:
    foundation, facts = load_foundation(name), foundation_facts(name)
    features = foundation.features(torch.rand(2, 3, facts.image_px, facts.image_px))
    assert features.shape == (2, foundation.feature_dim)
    assert foundation.source_logits(features).shape == (2, facts.num_source_classes)
    assert (foundation.spec.size_px, foundation.num_source_classes) == (facts.image_px, facts.num_source_classes)


def test_facts_of_timm_networks_need_no_weights() -> None:
    assert foundation_facts("vit_base_patch16_224").num_source_classes == 1000
    assert foundation_facts("vit_small_patch14_dinov2").num_source_classes == 0


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_gives_features_and_task_logits(name: str) -> None:
    px = 224 if name.endswith("224") else 32
    target = load_target(name, num_classes=7, image_px=px).eval()
    output = target(torch.rand(2, 3, px, px))
    assert output.features.shape == (2, target.feature_dim)
    assert output.logits.shape == (2, 7)


def test_a_detached_head_sends_no_gradient_to_the_body() -> None:
    target = load_target("lcnet_035", num_classes=3, image_px=32)
    target(torch.rand(2, 3, 32, 32), detach_head=True).logits.sum().backward()
    with_gradient = [name for name, parameter in target.named_parameters() if parameter.grad is not None]
    assert with_gradient == ["network.classifier.weight", "network.classifier.bias"]


def test_random_weights_follow_the_seed() -> None:
    weights = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        weights.append(load_target("lcnet_035", num_classes=3, image_px=32).state_dict()["network.classifier.weight"])
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_normalisation() -> None:
    spec = InputSpec(2, (0.5, 0.0, 1.0), (0.25, 1.0, 2.0))
    image = torch.ones(1, 3, 2, 2)
    assert spec.normalize(image)[0, :, 0, 0].tolist() == [2.0, 1.0, 0.0]


@pytest.mark.parametrize(
    ("problems", "hint"),
    [
        (check_foundation("glyph_vit"), None),
        (check_foundation("glyf_vit"), "did you mean 'glyph_vit'"),
        (check_foundation("mobilenetv3_small_050x"), "did you mean"),
        (check_target("mobilenetv3_small_050"), None),
        (check_target("mobilenetv3_smal_050"), "did you mean 'mobilenetv3_small_050'"),
    ],
)
def test_names(problems: list[str], hint: str | None) -> None:
    assert (problems == []) if hint is None else (hint in problems[0])


def test_weights_that_cannot_be_had_are_an_error_that_says_what_to_do() -> None:
    with pytest.raises(InputError, match=r"cannot be had.*HF_HOME"):
        load_foundation("resnet18.a1_in1k")


def test_cost_of_a_target() -> None:
    cost = measure_target("lcnet_035", num_classes=10, image_px=32, repeats=5)
    network = load_target("lcnet_035", num_classes=10, image_px=32)
    assert cost.params == sum(parameter.numel() for parameter in network.parameters())
    assert cost.macs > 100_000
    assert cost.latency_ms > 0
