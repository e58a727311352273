"""Contract of every teacher, whatever its mapping."""

import pytest
import torch
from conftest import TinyFoundation

from tdmr_ray.method.prompts import PROMPTS, build_prompt
from tdmr_ray.method.teacher import MAPPINGS, Teacher, build_mapping, refit_mapping

OPTIONS = {"num_source_classes": 5, "num_classes": 3, "dim": 4, "smoothing": 1.0, "top_k_fraction": 0.5, "seed": 0}


def build(kind: str, foundation: TinyFoundation, *, prompt: str = "border", size_px: int = 2) -> Teacher:
    mapping = build_mapping(kind, feature_dim=6, **OPTIONS)  # type: ignore[arg-type]
    pixels = build_prompt(prompt, size_px=size_px, image_px=16, token_dim=3)
    teacher = Teacher(pixels, foundation, mapping)
    features, source_logits = teacher.source(torch.rand(30, 3, 16, 16))
    if source_logits.shape[1] == 0:
        source_logits = torch.zeros(30, 5)
    refit_mapping(mapping, features, source_logits, torch.arange(30) % 3)
    return teacher


@pytest.mark.parametrize("kind", MAPPINGS)
@pytest.mark.parametrize("prompt", PROMPTS)
def test_emits_the_proxy_space(kind: str, prompt: str, tiny_foundation: TinyFoundation) -> None:
    proxy = build(kind, tiny_foundation, prompt=prompt)(torch.rand(4, 3, 12, 12))
    assert proxy.logits.shape == (4, 3)
    assert proxy.embedding.shape == (4, 4 if kind == "prototype" else 6)
    assert torch.isfinite(proxy.logits).all()


@pytest.mark.parametrize("kind", MAPPINGS)
@pytest.mark.parametrize("prompt", PROMPTS)
def test_no_gradient_reaches_the_foundation(kind: str, prompt: str, tiny_foundation: TinyFoundation) -> None:
    before = {name: value.clone() for name, value in tiny_foundation.state_dict().items()}
    teacher = build(kind, tiny_foundation, prompt=prompt)
    optimizer = torch.optim.SGD(teacher.parameters(), lr=1.0)
    teacher(torch.rand(4, 3, 16, 16)).logits.square().sum().backward()
    optimizer.step()
    assert all(parameter.grad is None for parameter in tiny_foundation.parameters())
    assert all(torch.equal(value, before[name]) for name, value in tiny_foundation.state_dict().items())
    assert all(parameter.grad is not None for parameter in teacher.prompt.parameters())


@pytest.mark.parametrize("kind", MAPPINGS)
def test_state_restores_the_teacher_without_the_foundation(kind: str, tiny_foundation: TinyFoundation) -> None:
    teacher = build(kind, tiny_foundation)
    other = Teacher(
        build_prompt("border", size_px=2, image_px=16), tiny_foundation, build_mapping(kind, feature_dim=6, **OPTIONS)
    )  # type: ignore[arg-type]
    other.load_state_dict(teacher.state_dict())
    images = torch.rand(4, 3, 16, 16)
    assert torch.equal(other(images).logits, teacher(images).logits)
    assert not any("classifier" in name for name in teacher.state_dict())


@pytest.mark.parametrize("kind", MAPPINGS)
def test_answers_do_not_depend_on_the_batch(kind: str, tiny_foundation: TinyFoundation) -> None:
    teacher, images = build(kind, tiny_foundation), torch.rand(5, 3, 16, 16)
    alone = torch.cat([teacher(image.unsqueeze(0)).logits for image in images])
    torch.testing.assert_close(teacher(images).logits, alone, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("kind", "size_px", "learns"), [("frequency", 0, False), ("frequency", 2, True), ("linear", 0, True)]
)
def test_learns(kind: str, size_px: int, learns: bool, tiny_foundation: TinyFoundation) -> None:
    assert build(kind, tiny_foundation, size_px=size_px).learns is learns


def test_prototypes_start_as_nearest_mean_classifier() -> None:
    means = torch.eye(3, 6) * 5
    features = (means.repeat(20, 1) + 0.3 * torch.randn(60, 6))[torch.randperm(60)]
    labels = features[:, :3].argmax(dim=1)
    mapping = build_mapping("prototype", feature_dim=6, **{**OPTIONS, "dim": 6})  # type: ignore[arg-type]
    refit_mapping(mapping, features, torch.zeros(60, 5), labels)
    assert (mapping(features, torch.zeros(60, 5))[1].argmax(dim=1) == labels).all()


def test_unknown_mapping_is_refused() -> None:
    with pytest.raises(ValueError, match="must be one of"):
        build_mapping("nearest", feature_dim=6, **OPTIONS)  # type: ignore[arg-type]
