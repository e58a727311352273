"""Every teacher keeps its contract, whatever its prompt and its mapping."""

from typing import Any

import pytest
import torch
from conftest import TinyFoundation

from tdmr_ray.method.mappings import MAPPINGS
from tdmr_ray.method.prompts import PROMPTS
from tdmr_ray.method.resize import resize
from tdmr_ray.method.teacher import Teacher, to_half
from tdmr_ray.testing.component import TASK, foundation_shape


def new_teacher(mapping: str, foundation: TinyFoundation, *, prompt: str = "border", size_px: int = 2) -> Teacher:
    """Build a teacher that has seen no images."""
    shape, fields = foundation_shape(), PROMPTS[prompt].Config.model_fields
    values: dict[str, Any] = {"size_px": size_px} if "size_px" in fields else {}
    narrow: dict[str, Any] = {"dim": 4} if mapping == "prototype" else {}
    return Teacher(
        PROMPTS[prompt](PROMPTS[prompt].Config(**values), shape),
        foundation,
        MAPPINGS[mapping](MAPPINGS[mapping].Config(**narrow), shape, TASK, seed=0),
    )


def fitted_teacher(mapping: str, foundation: TinyFoundation, *, prompt: str = "border", size_px: int = 2) -> Teacher:
    """Build a teacher whose mapping is fitted to 30 images."""
    teacher = new_teacher(mapping, foundation, prompt=prompt, size_px=size_px)
    with torch.no_grad():
        teacher.mapping.refit(*teacher.source(torch.rand(30, 3, 16, 16)), torch.arange(30) % 3)
    return teacher


@pytest.mark.parametrize("mapping", MAPPINGS)
@pytest.mark.parametrize("prompt", PROMPTS)
def test_outputs_are_the_proxy_space(mapping: str, prompt: str, tiny_foundation: TinyFoundation) -> None:
    proxy = fitted_teacher(mapping, tiny_foundation, prompt=prompt)(torch.rand(4, 3, 12, 12))
    assert proxy.logits.shape == (4, 3)
    assert proxy.embedding.shape == (4, 4 if mapping == "prototype" else 6)
    assert torch.isfinite(proxy.logits).all()


@pytest.mark.parametrize("mapping", MAPPINGS)
@pytest.mark.parametrize("prompt", PROMPTS)
def test_gradients_reach_the_prompt_and_leave_the_foundation_alone(
    mapping: str, prompt: str, tiny_foundation: TinyFoundation
) -> None:
    before = {name: value.clone() for name, value in tiny_foundation.state_dict().items()}
    teacher = fitted_teacher(mapping, tiny_foundation, prompt=prompt)
    optimizer = torch.optim.SGD(teacher.parameters(), lr=1.0)
    teacher(torch.rand(4, 3, 16, 16)).logits.square().sum().backward()
    optimizer.step()
    assert all(parameter.grad is None for parameter in tiny_foundation.parameters())
    assert all(torch.equal(value, before[name]) for name, value in tiny_foundation.state_dict().items())
    assert all(parameter.grad is not None for parameter in teacher.prompt.parameters())


@pytest.mark.parametrize("mapping", MAPPINGS)
@pytest.mark.parametrize("prompt", PROMPTS)
def test_state_restores_a_teacher_without_the_foundation(
    mapping: str, prompt: str, tiny_foundation: TinyFoundation
) -> None:
    teacher = fitted_teacher(mapping, tiny_foundation, prompt=prompt).eval()
    other = new_teacher(mapping, tiny_foundation, prompt=prompt).eval()
    other.load_state_dict(teacher.state_dict())
    images = torch.rand(4, 3, 16, 16)
    assert torch.equal(other(images).logits, teacher(images).logits)
    assert {name.partition(".")[0] for name in teacher.state_dict()} <= {"prompt", "mapping"}


@pytest.mark.parametrize("mapping", MAPPINGS)
def test_outputs_for_an_image_do_not_depend_on_its_batch(mapping: str, tiny_foundation: TinyFoundation) -> None:
    teacher, images = fitted_teacher(mapping, tiny_foundation), torch.rand(5, 3, 16, 16)
    alone = torch.cat([teacher(image.unsqueeze(0)).logits for image in images])
    torch.testing.assert_close(teacher(images).logits, alone, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("prompt", PROMPTS)
def test_source_runs_the_foundation_with_the_prompt_or_without(prompt: str, tiny_foundation: TinyFoundation) -> None:
    teacher, images = new_teacher("bayesian", tiny_foundation, prompt=prompt).eval(), torch.rand(4, 3, 12, 12)
    for parameter in teacher.prompt.parameters():
        torch.nn.init.constant_(parameter, 0.7)
    plain = to_half(tiny_foundation.features(resize(images, 16))).float()
    prompted = tiny_foundation.features(teacher.prompt(images), teacher.prompt.extra_tokens())
    for expected, is_prompted in ((plain, False), (prompted, True)):
        features, source_logits = teacher.source(images, prompted=is_prompted)
        assert torch.equal(features, expected)
        assert torch.equal(source_logits, tiny_foundation.source_logits(expected))
    assert not torch.equal(plain, prompted)


@pytest.mark.parametrize("mapping", MAPPINGS)
def test_source_logits_are_computed_only_for_mappings_that_read_them(
    mapping: str, tiny_foundation: TinyFoundation
) -> None:
    _, source_logits = new_teacher(mapping, tiny_foundation).source(torch.rand(4, 3, 16, 16))
    assert source_logits.shape == (4, 5 if MAPPINGS[mapping].reads_source_logits else 0)


@pytest.mark.parametrize(
    ("mapping", "size_px", "learns"), [("frequency", 0, False), ("frequency", 2, True), ("linear", 0, True)]
)
def test_teacher_learns_if_prompt_or_mapping_have_parameters(
    mapping: str, size_px: int, learns: bool, tiny_foundation: TinyFoundation
) -> None:
    assert new_teacher(mapping, tiny_foundation, size_px=size_px).learns is learns
