"""Foundations stay frozen; targets are timm networks with a head for the task."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from timm import create_model, get_pretrained_cfg
from torch.nn.functional import interpolate

from tdmr_ray.errors import InputError
from tdmr_ray.models import Foundation, InputSpec, check_foundation, check_target, load_foundation, load_target
from tdmr_ray.models.cost import measure_target
from tdmr_ray.models.embedded import EMBEDDED
from tdmr_ray.models.names import PRETRAINED, RANDOM, foundation_facts

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
def test_tokens_act_on_one_call_and_receive_gradients(name: str) -> None:
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


def test_tokens_follow_the_class_token_and_are_removed_after_the_last_block() -> None:
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


def test_empty_target_normalises_like_a_pretrained_one_without_a_download() -> None:
    name = "mobilenetv3_small_050"
    assert load_target(name, num_classes=3, image_px=32).spec.mean == (0.5, 0.5, 0.5)
    spec = load_target(name, num_classes=3, image_px=32, weights=PRETRAINED, empty=True).spec
    assert spec.mean == get_pretrained_cfg(name).mean


@pytest.mark.parametrize("name", ["lcnet_035", "vit_tiny_patch16_224"])
def test_a_target_scales_images_to_the_size_that_it_was_given(name: str) -> None:
    torch.manual_seed(0)
    target = load_target(name, num_classes=3, image_px=64).eval()
    images = torch.rand(2, 3, 96, 96)
    scaled = interpolate(images, size=(64, 64), mode="bilinear", align_corners=False, antialias=True)
    torch.testing.assert_close(target(images).logits, target(scaled).logits)


@pytest.mark.parametrize("num_classes", [0, 3, 7])
def test_a_target_starts_from_a_file_of_any_number_of_classes(num_classes: int, tmp_path: Path) -> None:
    torch.manual_seed(3)
    saved = create_model("lcnet_035", num_classes=num_classes).state_dict()
    save_file(saved, tmp_path / "own.safetensors")
    target = load_target("lcnet_035", num_classes=3, image_px=32, weights=str(tmp_path / "own.safetensors"))
    loaded = target.network.state_dict()
    assert torch.equal(loaded["conv_stem.weight"], saved["conv_stem.weight"])
    assert loaded["classifier.weight"].shape[0] == 3
    assert target.spec.mean == get_pretrained_cfg("lcnet_050").mean


@pytest.mark.parametrize(
    ("content", "message"), [("", "there is no file"), ("resnet10t", "cannot be loaded into 'lcnet_035'")]
)
def test_file_that_does_not_fit_a_target_is_an_error(content: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "own.safetensors"
    if content:
        save_file(create_model(content).state_dict(), path)
    with pytest.raises(InputError, match=message):
        load_target("lcnet_035", num_classes=3, image_px=32, weights=str(path))


def test_random_weights_of_a_foundation_are_the_same_everywhere() -> None:
    states = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        states.append(load_foundation("resnet10t", weights=RANDOM).network.state_dict())
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())


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
        (check_target("mobilenetv3_small_050", PRETRAINED), None),
        (check_target("lcnet_035", PRETRAINED), "timm has no weights for 'lcnet_035'; name a file"),
        (check_target("lcnet_035", "nowhere.pth"), "there is no file nowhere.pth"),
        (check_target("mobilenetv3_smal_050"), "did you mean 'mobilenetv3_small_050'"),
    ],
)
def test_names(problems: list[str], hint: str | None) -> None:
    assert (problems == []) if hint is None else (hint in problems[0])


def test_unavailable_weights_are_an_error_with_advice() -> None:
    with pytest.raises(InputError, match=r"are unavailable.*HF_HOME"):
        load_foundation("resnet18.a1_in1k")


def test_cost_of_a_target() -> None:
    cost = measure_target("lcnet_035", num_classes=10, image_px=32, repeats=5)
    network = load_target("lcnet_035", num_classes=10, image_px=32)
    assert cost.params == sum(parameter.numel() for parameter in network.parameters())
    assert cost.macs > 100_000
    assert cost.latency_ms > 0


@pytest.mark.parametrize("name", ["levit_128s", "efficientformerv2_s0"])
def test_a_target_without_one_linear_classifier_is_refused(name: str) -> None:
    with pytest.raises(InputError, match=f"must end in one linear layer, got '{name}', which does not"):
        load_target(name, num_classes=3, image_px=64)
