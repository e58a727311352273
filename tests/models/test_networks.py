"""Foundations stay frozen; targets are timm networks with a head for the task."""

import pytest
import torch
from timm import create_model, get_pretrained_cfg

from tdmr_ray.errors import InputError
from tdmr_ray.models import Foundation, InputSpec, check_foundation, check_target, load_foundation, load_target
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


@pytest.mark.parametrize("name", EMBEDDED)
def test_only_a_transformer_takes_tokens(name: str) -> None:
    foundation = load_foundation(name)
    assert (foundation.token_dim > 0) == foundation_facts(name).takes_tokens == (name != "glyph_cnn")


@pytest.mark.parametrize("name", ["glyph_vit", "glyph_hybrid"])
def test_tokens_join_for_one_call_and_learn(name: str) -> None:
    foundation, images = load_foundation(name), torch.rand(2, 3, 32, 32)
    before = foundation.features(images)
    tokens = torch.randn(4, foundation.token_dim, requires_grad=True)
    with_tokens = foundation.features(images, tokens)
    assert with_tokens.shape == before.shape
    assert not torch.allclose(with_tokens, before, atol=1e-2)
    assert torch.equal(foundation.features(images), before)
    with_tokens.sum().backward()
    assert tokens.grad is not None
    assert (tokens.grad.abs().sum(dim=1) > 0).all()
    assert all(parameter.grad is None for parameter in foundation.parameters())


def test_tokens_stand_behind_the_class_token_and_leave_after_the_last_block() -> None:
    network = create_model("vit_tiny_patch16_224", img_size=32, num_classes=0)
    foundation, seen = Foundation(network, InputSpec(32, (0.5,) * 3, (0.5,) * 3)), []
    network.blocks[0].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach()))
    network.norm.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach()))
    tokens = torch.randn(3, foundation.token_dim)
    foundation.features(torch.rand(1, 3, 32, 32))
    foundation.features(torch.rand(1, 3, 32, 32), tokens)
    plain, _, joined, left = seen
    assert joined.shape[1] == plain.shape[1] + 3
    assert torch.equal(joined[:, 0], plain[:, 0])
    assert torch.equal(joined[0, 1:4], tokens)
    assert left.shape[1] == plain.shape[1]


def test_facts_of_timm_networks_need_no_weights() -> None:
    assert foundation_facts("vit_base_patch16_224").num_source_classes == 1000
    assert foundation_facts("vit_small_patch14_dinov2").num_source_classes == 0
    assert foundation_facts("vit_base_patch16_224").takes_tokens
    assert not foundation_facts("resnet50").takes_tokens


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_gives_features_and_task_logits(name: str) -> None:
    px = 224 if name.endswith("224") else 32
    target = load_target(name, num_classes=7, image_px=px).eval()
    output = target(torch.rand(2, 3, px, px))
    assert output.features.shape == (2, target.feature_dim)
    assert output.logits.shape == (2, 7)


def test_an_empty_target_takes_images_as_a_pretrained_one_and_fetches_nothing() -> None:
    name = "mobilenetv3_small_050"
    assert load_target(name, num_classes=3, image_px=32).spec.mean == (0.5, 0.5, 0.5)
    spec = load_target(name, num_classes=3, image_px=32, pretrained=True, empty=True).spec
    assert spec.mean == get_pretrained_cfg(name).mean


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
