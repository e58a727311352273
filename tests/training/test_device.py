"""The device that networks run on, and their precision."""

import pytest
import torch
from torch import distributed, nn
from torch.torch_version import TorchVersion

from tdmr_ray.models import load_foundation
from tdmr_ray.training import networks
from tdmr_ray.training.config import Precision, TrialConfig
from tdmr_ray.training.device import autocast, pick_device, used_precision
from tdmr_ray.training.reprogram import build_teacher
from tdmr_ray.training.sections import FoundationConfig


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
def test_device_is_a_gpu_if_one_is_usable(
    cuda: bool, mps: bool, torch_version: str, processes: int, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    monkeypatch.setattr(torch, "__version__", TorchVersion(torch_version))
    monkeypatch.setattr(distributed, "is_initialized", lambda: processes > 1)
    monkeypatch.setattr(distributed, "get_world_size", lambda: processes)
    assert pick_device().type == device


def test_resident_foundation_is_on_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """A teacher from the store expects it there; 'meta' plays the GPU."""
    monkeypatch.setattr(networks, "pick_device", lambda: torch.device("meta"))
    foundation = networks.resident_foundation.__wrapped__(FoundationConfig(name="glyph_cnn"))
    assert {parameter.device.type for parameter in foundation.parameters()} == {"meta"}


@pytest.mark.parametrize(
    ("configured", "device", "has_bf16", "used"),
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
def test_auto_is_bf16_only_on_a_gpu_with_bf16_hardware(
    configured: Precision, device: str, has_bf16: bool, used: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: has_bf16)
    assert used_precision(configured, torch.device(device)) == used


@pytest.mark.parametrize(
    ("configured", "dtype"), [("auto", torch.float32), ("fp32", torch.float32), ("bf16", torch.bfloat16)]
)
def test_networks_run_in_the_precision_within_the_context(configured: Precision, dtype: torch.dtype) -> None:
    layer, images = nn.Linear(3, 2), torch.rand(4, 3)
    with autocast(configured, torch.device("cpu")):
        assert layer(images).dtype == dtype
    assert layer(images).dtype == layer.weight.dtype == torch.float32


@pytest.mark.parametrize(
    ("foundation", "prompt"), [("glyph_cnn", "border"), ("glyph_cnn", "masked"), ("glyph_vit", "tokens")]
)
def test_teacher_in_bf16_returns_fp32_close_to_an_fp32_teacher(foundation: str, prompt: str) -> None:
    width = {} if prompt == "tokens" else {"prompt.size_px": 2}
    values = {"prompt.kind": prompt, "mapping.kind": "bayesian", **width}
    config, network = TrialConfig().with_values(values), load_foundation(foundation)
    images, outputs = torch.rand(4, 3, 32, 32), {}
    for precision in ("fp32", "bf16"):
        teacher = build_teacher(config.replace(precision=precision), network, num_classes=3).eval()
        with torch.no_grad():
            outputs[precision] = [*teacher.source(images), *teacher(images)]
    for exact, rounded in zip(outputs["fp32"], outputs["bf16"], strict=True):
        assert rounded.dtype == torch.float32
        torch.testing.assert_close(rounded, exact, rtol=0.1, atol=0.1 * float(exact.std()))
    assert not torch.equal(outputs["bf16"][0], outputs["fp32"][0])
