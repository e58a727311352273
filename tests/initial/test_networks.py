"""Pairs of `tdmr init`: given files first, then the hub's cache, then the hub, then what is built in."""

from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file

from tdmr_ray.errors import InputError
from tdmr_ray.initial.facts import Machine
from tdmr_ray.initial.networks import BUILT_IN, RANDOM_TARGET, foundation_px, foundations, has_weights, targets
from tdmr_ray.initial.weights import Network, Reachable, cached_networks, given_files

LAPTOP, GPU = Machine(2), Machine(8, "H200")
DINO = Network("vit_small_patch14_dinov2.lvd142m", 22_000_000)
SWIN = Network("swin_tiny_patch4_window7_224.ms_in22k", 28_000_000)
OTHER = Network("resnet50.a1_in1k", 25_000_000)
SMALL = Network("mobilenetv3_small_100.lamb_in1k", 2_500_000)
LITE2 = Network("tf_efficientnet_lite2", 6_100_000, "/w/lite2.safetensors")
LITE0 = Network("tf_efficientnet_lite0", 4_700_000, "/w/lite0.safetensors")
VIT = Network("vit_tiny_patch16_224", 7_000_000, "/w/vit.pth")
PRETRAINED_SMALL = [{"name": "mobilenetv3_small_100", "weights": "pretrained"}]
DINO_ENTRY = {"name": DINO.name, "image_px": 168}


def entry(network: Network) -> dict[str, str]:
    return {"name": network.name, "weights": network.file}


@pytest.mark.parametrize(
    ("reachable", "teach", "why_teach", "ship", "why_ship"),
    [
        (Reachable(), [BUILT_IN], "glyphs and not on photographs", [RANDOM_TARGET], "random weights"),
        (Reachable(offline=False), [DINO_ENTRY], "downloaded", PRETRAINED_SMALL, "downloaded"),
        (Reachable(cached=(OTHER, SWIN, SMALL)), [SWIN.name], "cache", PRETRAINED_SMALL, "cache"),
        (Reachable(cached=(SWIN, DINO)), [DINO_ENTRY], "cache", [RANDOM_TARGET], "random weights"),
        (Reachable(cached=(OTHER,), offline=False), [OTHER.name], "cache", PRETRAINED_SMALL, "downloaded"),
        (Reachable(files=(LITE2, LITE0)), [entry(LITE2)], "given", [entry(LITE0)], "given"),
        (Reachable(files=(LITE0,)), [entry(LITE0)], "although it is a small one", [RANDOM_TARGET], "random"),
        (Reachable(files=(LITE0,), offline=False), [DINO_ENTRY], "downloaded", [entry(LITE0)], "given"),
        (Reachable(files=(LITE2, VIT)), [[entry(VIT), entry(LITE2)]], "a committee", [RANDOM_TARGET], "random"),
    ],
)
def test_the_nearest_weights_are_taken(
    reachable: Reachable, teach: list[Any], why_teach: str, ship: list[Any], why_ship: str
) -> None:
    foundation = foundations(reachable, LAPTOP)
    target = targets(reachable, foundation.value)
    assert foundation.value == teach
    assert why_teach in foundation.reason
    assert target.value == ship
    assert why_ship in target.reason
    assert has_weights(target.value) == (ship != [RANDOM_TARGET])


@pytest.mark.parametrize(
    ("name", "machine", "px"),
    [(DINO.name, LAPTOP, 168), (DINO.name, GPU, 224), (SWIN.name, LAPTOP, None), ("unknown", LAPTOP, None)],
)
def test_only_large_inputs_are_made_smaller(name: str, machine: Machine, px: int | None) -> None:
    assert foundation_px(name, machine) == px


def save_weights(path: Path, name: str = "lcnet_035") -> Path:
    torch.manual_seed(0)
    save_file(timm.create_model(name).state_dict(), path)
    return path


def test_the_name_of_a_file_may_be_that_of_its_network(tmp_path: Path) -> None:
    file = save_weights(tmp_path / "lcnet_035.safetensors")
    (own,) = given_files([str(file)])
    assert (own.name, own.file) == ("lcnet_035", str(file))
    assert 1_000_000 < own.params < 2_000_000
    assert given_files([f"lcnet_035={file}"]) == (own,)


def test_unusable_files_are_told_together(tmp_path: Path) -> None:
    file = save_weights(tmp_path / "mine.safetensors")
    with pytest.raises(InputError) as refused:
        given_files([str(file), f"resnet18={file}", str(tmp_path / "none.pth")])
    for part in (f"give NAME={file}", "cannot be loaded into 'resnet18'", "there is no file"):
        assert part in str(refused.value)


def test_the_cache_counts_where_it_holds_weights(tmp_path: Path) -> None:
    for name, files in (("lcnet_050.ra2_in1k", ["config.json", "model.safetensors"]), ("lcnet_075.ra2_in1k", [])):
        folder = tmp_path / f"models--timm--{name}"
        (folder / "refs").mkdir(parents=True)
        (folder / "refs" / "main").write_text("abc")
        (folder / "snapshots" / "abc").mkdir(parents=True)
        for file in files:
            (folder / "snapshots" / "abc" / file).touch()
    (tmp_path / "models--timm--no_such_network").mkdir()
    assert [each.name for each in cached_networks(tmp_path)] == ["lcnet_050.ra2_in1k"]
    assert cached_networks(tmp_path / "missing") == ()
