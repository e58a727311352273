"""Where networks run, and in which precision."""

import pytest
import torch
from torch import distributed, nn
from torch.torch_version import TorchVersion

from tdmr_ray.models import load_foundation
from tdmr_ray.training import teacher_artifact
from tdmr_ray.training.config import FoundationConfig, Precision, TrialConfig
from tdmr_ray.training.device import autocast, pick_device, used_precision
from tdmr_ray.training.reprogram import build_teacher


@pytest.mark.parametrize(
    ("cuda", "mps", "torch_version", "processes", "device"),
    [
        (True, False, "2.13.0", 1, "cuda"),
        (True, True, "2.13.0", 2, "cuda"),
        (False, True, "2.13.0", 1, "mps"),
        (False, True, "2.12.1", 1, "cpu"),
        (False, True, "2.13.0", 2, "cpu"),
        (False, False, "2.13.0", 1, "cpu"),
    ],
)
def test_the_device_is_a_gpu_where_there_is_one_that_can_do_it(
    cuda: bool, mps: bool, torch_version: str, processes: int, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    monkeypatch.setattr(torch, "__version__", TorchVersion(torch_version))
    monkeypatch.setattr(distributed, "is_initialized", lambda: processes > 1)
    monkeypatch.setattr(distributed, "get_world_size", lambda: processes)
    assert pick_device().type == device


def test_a_foundation_that_stays_in_memory_is_on_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a teacher whose artifact comes from the store finds it there; 'meta' plays the GPU."""
    monkeypatch.setattr(teacher_artifact, "pick_device", lambda: torch.device("meta"))
    foundation = teacher_artifact.resident_foundation.__wrapped__(FoundationConfig(name="glyph_cnn"))
    assert {parameter.device.type for parameter in foundation.parameters()} == {"meta"}


@pytest.mark.parametrize(
    ("asked", "device", "made_for_bf16", "used"),
    [
        ("auto", "cuda", True, "bf16"),
        ("auto", "cuda", False, "fp32"),
        ("auto", "cpu", True, "fp32"),
        ("auto", "mps", True, "fp32"),
        ("fp32", "cuda", True, "fp32"),
        ("bf16", "cuda", False, "bf16"),
        ("bf16", "cpu", False, "bf16"),
    ],
)
def test_auto_is_bf16_only_on_a_gpu_that_is_made_for_it(
    asked: Precision, device: str, made_for_bf16: bool, used: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: made_for_bf16)
    assert used_precision(asked, torch.device(device)) == used


@pytest.mark.parametrize(
    ("asked", "dtype"), [("auto", torch.float32), ("fp32", torch.float32), ("bf16", torch.bfloat16)]
)
def test_networks_run_in_the_precision_while_the_context_lasts(asked: Precision, dtype: torch.dtype) -> None:
    layer, images = nn.Linear(3, 2), torch.rand(4, 3)
    with autocast(asked, torch.device("cpu")):
        assert layer(images).dtype == dtype
    assert layer(images).dtype == layer.weight.dtype == torch.float32


@pytest.mark.parametrize(
    ("foundation", "prompt"), [("glyph_cnn", "border"), ("glyph_cnn", "masked"), ("glyph_vit", "tokens")]
)
def test_a_teacher_in_bf16_answers_in_fp32_and_nearly_the_same(foundation: str, prompt: str) -> None:
    values = {"prompt.kind": prompt, "prompt.size_px": 2, "mapping.kind": "bayesian"}
    config, network = TrialConfig().with_values(values), load_foundation(foundation)
    images, said = torch.rand(4, 3, 32, 32), {}
    for precision in ("fp32", "bf16"):
        teacher = build_teacher(config.replace(precision=precision), network, num_classes=3).eval()
        with torch.no_grad():
            said[precision] = [*teacher.source(images), *teacher(images)]
    for exact, rounded in zip(said["fp32"], said["bf16"], strict=True):
        assert rounded.dtype == torch.float32
        torch.testing.assert_close(rounded, exact, rtol=0.1, atol=0.1 * float(exact.std()))
    assert not torch.equal(said["bf16"][0], said["fp32"][0])
