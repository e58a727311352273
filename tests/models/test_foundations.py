"""Foundations from files, of other sizes or without a classifier; random weights are never a silent fallback."""

import sys
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from huggingface_hub import constants
from safetensors.torch import load_file, save_file
from timm.models import save_for_hf

sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks.local_hub import add_to_hub, make_hub, use_hub
from tdmr_ray.errors import InputError
from tdmr_ray.models.foundation import facts_of, load_foundation
from tdmr_ray.models.names import RANDOM
from tdmr_ray.training.sections import FoundationConfig

SMALL = "resnet10t"


def weights_of(name: str, path: Path, **options: Any) -> dict[str, torch.Tensor]:
    """Save the weights of a network of this architecture."""
    torch.manual_seed(3)
    tensors = timm.create_model(name, **options).state_dict()
    save_file(tensors, path) if path.suffix == ".safetensors" else torch.save(tensors, path)
    return tensors


@pytest.mark.parametrize("file", ["own.safetensors", "own.pth"])
def test_weights_and_number_of_classes_come_from_a_file(file: str, tmp_path: Path) -> None:
    tensors = weights_of(SMALL, tmp_path / file, num_classes=7)
    foundation = load_foundation(SMALL, weights=str(tmp_path / file))
    assert foundation.num_source_classes == 7
    assert facts_of(SMALL, weights=str(tmp_path / file)).num_source_classes == 7
    loaded = foundation.network.state_dict()
    assert all(torch.equal(value, loaded[name]) for name, value in tensors.items())


def test_a_file_without_a_classifier_is_an_image_tower(tmp_path: Path) -> None:
    weights_of(SMALL, tmp_path / "tower.safetensors", num_classes=0)
    foundation = load_foundation(SMALL, weights=str(tmp_path / "tower.safetensors"))
    assert (foundation.has_classifier, foundation.num_source_classes) == (False, 0)
    assert foundation.features(torch.rand(1, 3, 176, 176)).shape == (1, foundation.feature_dim)


def test_file_of_another_network_is_an_error(tmp_path: Path) -> None:
    weights_of("lcnet_035", tmp_path / "other.safetensors")
    with pytest.raises(InputError, match="cannot be loaded into 'resnet10t'"):
        load_foundation(SMALL, weights=str(tmp_path / "other.safetensors"))
    (tmp_path / "text.pth").write_text("no weights")
    with pytest.raises(InputError, match="cannot be loaded"):
        load_foundation(SMALL, weights=str(tmp_path / "text.pth"))
    with pytest.raises(InputError, match="there is no file"):
        load_foundation(SMALL, weights=str(tmp_path / "nothing.pth"))


@pytest.fixture
def _own_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HF_HOME", "HF_HUB_CACHE", "HF_HUB_OFFLINE"):
        monkeypatch.setenv(name, "1")  # `use_hub` sets them, and this puts them back
        monkeypatch.setattr(constants, name, getattr(constants, name))


@pytest.mark.usefixtures("_own_hub")
def test_pretrained_weights_of_timm_load_from_the_cache(tmp_path: Path) -> None:
    make_hub(tmp_path, (f"{SMALL}.c3_in1k",))
    (file,) = tmp_path.rglob("*.safetensors")
    loaded = load_foundation(f"{SMALL}.c3_in1k").network.state_dict()
    assert all(torch.equal(value, loaded[name]) for name, value in load_file(file).items())


@pytest.mark.usefixtures("_own_hub")
def test_model_of_a_hub_user_loads_from_the_cache(tmp_path: Path) -> None:
    torch.manual_seed(3)
    network = timm.create_model(SMALL, num_classes=7)
    add_to_hub(tmp_path, "someone/photos", network)
    use_hub(tmp_path)
    name = "hf-hub:someone/photos"
    foundation = load_foundation(name)
    assert (foundation.num_source_classes, foundation.spec.size_px) == (7, 176)
    loaded = foundation.network.state_dict()
    assert all(torch.equal(value, loaded[name]) for name, value in network.state_dict().items())
    assert load_foundation(name, image_px=64).spec.size_px == facts_of(name, image_px=64).image_px == 64
    with pytest.raises(InputError, match=r"weights of 'hf-hub:someone/else' are unavailable: .*connect once"):
        load_foundation("hf-hub:someone/else")
    with pytest.raises(InputError, match="has weights of its own"):
        load_foundation(name, weights=RANDOM)


def test_folder_in_the_layout_of_the_hub_describes_itself(tmp_path: Path) -> None:
    torch.manual_seed(3)
    save_for_hf(timm.create_model(SMALL, num_classes=7), tmp_path, model_args={"in_chans": 3}, safe_serialization=True)
    foundation = load_foundation(f"local-dir:{tmp_path}")
    assert (foundation.num_source_classes, foundation.spec.size_px) == (7, 176)
    assert facts_of(f"local-dir:{tmp_path}").num_source_classes == 7


@pytest.mark.parametrize("name", ["resnetv2_50x1_bit.goog_in21k", "levit_128s", "vit_tiny_patch16_224"])
def test_heads_reproduce_the_logits_of_the_network(name: str) -> None:
    foundation = load_foundation(name, weights=RANDOM)
    px = foundation.spec.size_px
    images = torch.rand(2, 3, px, px)
    with torch.no_grad():
        split = foundation.source_logits(foundation.features(images))
        whole = foundation.network(foundation.spec.normalize(images))
    torch.testing.assert_close(split, whole, rtol=1e-3, atol=1e-4)
    assert split.shape[1] == foundation.num_source_classes > 0


def test_unavailable_weights_give_three_remedies() -> None:
    with pytest.raises(InputError, match=r"connect once, or set HF_HOME .*, or name a file"):
        load_foundation("resnet18.a1_in1k")


@pytest.mark.parametrize(
    ("name", "px"), [("vit_tiny_patch16_224", 96), (SMALL, 64), ("swin_tiny_patch4_window7_224", 112)]
)
def test_foundation_takes_other_image_sizes(name: str, px: int) -> None:
    foundation = load_foundation(name, weights=RANDOM, image_px=px)
    assert foundation.spec.size_px == facts_of(name, weights=RANDOM, image_px=px).image_px == px
    assert foundation.features(torch.rand(1, 3, px, px)).shape == (1, foundation.feature_dim)


def test_label_names_what_differs_from_the_default() -> None:
    assert FoundationConfig(name="a").label == "a"
    assert FoundationConfig(name="a", weights=RANDOM).label == "a@random"
    assert FoundationConfig(name="a", weights="/x/own.pth", image_px=96).label == "a@own@96px"
    assert FoundationConfig(name="a", weights="/x/a.pth").label == "a"
