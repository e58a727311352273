"""Files of weights load whatever wraps their tensors; files of another network, or of none, are refused."""

import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from timm import create_model
from torch import Tensor, nn

from tdmr_ray.errors import InputError
from tdmr_ray.models import load_foundation, load_target
from tdmr_ray.models.names import check_foundation, check_target
from tdmr_ray.models.weight_file import find_tensors, layout_of

VIT, CNN, SMALL = "test_vit", "test_resnet", "lcnet_035"
State = dict[str, Tensor]


def state_of(name: str, **options: Any) -> State:
    """Return the weights of a network of this architecture."""
    torch.manual_seed(3)
    return dict(create_model(name, **options).state_dict())


def under(prefix: str, state: State) -> State:
    """Return the weights under names with a prefix."""
    return {prefix + key: value for key, value in state.items()}


def older(state: State) -> State:
    """Return weights of an earlier moment, which must not be taken."""
    return {key: torch.zeros_like(value) for key, value in state.items()}


WRAPPERS: dict[str, Callable[[State], Any]] = {
    "plain": lambda state: state,
    "DDP": lambda state: under("module.", state),
    "compiled": lambda state: under("_orig_mod.", state),
    "compiled in DDP": lambda state: under("module._orig_mod.", state),
    "Lightning": lambda state: {"epoch": 3, "state_dict": under("model.", state), "hyper_parameters": {"lr": 0.1}},
    "Lightning, with a loss and a metric": lambda state: {
        "state_dict": {**under("net.", state), "loss.weight": torch.ones(3), "metric.total": torch.ones(())},
    },
    "a backbone beside another head": lambda state: {**under("backbone.", state), "head.0.weight": torch.ones(2, 2)},
    "model": lambda state: {"model": state, "optimizer": {"state": {}}},
    "averaged": lambda state: {"model": older(state), "ema": under("module.", state)},
    "averaged, as timm stores it": lambda state: {"state_dict": older(state), "state_dict_ema": state},
    "without batch counters": lambda state: {k: v for k, v in state.items() if not k.endswith("num_batches_tracked")},
    "with two more tensors": lambda state: {**state, "auxiliary.weight": torch.ones(1), "total_ops": torch.ones(1)},
}


@pytest.mark.parametrize("name", [VIT, CNN, SMALL])
@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_weights_load_whatever_wraps_them(wrapper: str, name: str, tmp_path: Path) -> None:
    state = {key: value + 1 for key, value in state_of(name, num_classes=7).items()}
    torch.save(WRAPPERS[wrapper](state), tmp_path / "own.pth")
    foundation = load_foundation(name, weights=str(tmp_path / "own.pth"))
    target = load_target(name, num_classes=3, image_px=160, weights=str(tmp_path / "own.pth"))
    body = [key for key in state if not layout_of(name).is_of_head(key) and "num_batches" not in key]
    for network in (foundation.network, target.network):
        loaded = network.state_dict()
        assert all(torch.equal(loaded[key], state[key]) for key in body)
    assert foundation.num_source_classes == 7
    assert "state_dict" not in foundation.network.pretrained_cfg


def test_safetensors_with_a_prefix_load_under_any_suffix(tmp_path: Path) -> None:
    state = state_of(SMALL, num_classes=5)
    save_file(under("module.", state), tmp_path / "own.pth")
    torch.save(state, tmp_path / "own.safetensors")
    for file in ("own.pth", "own.safetensors"):
        tensors, classes = find_tensors(SMALL, tmp_path / file)
        assert classes == 5
        assert torch.equal(tensors["conv_stem.weight"], state["conv_stem.weight"])


@pytest.mark.parametrize(
    "head", [{}, {"classifier.1.weight": torch.ones(4, 9)}, {"classifier.weight": torch.ones(4, 9)}]
)
def test_a_missing_or_foreign_classifier_is_left_out(head: State, tmp_path: Path) -> None:
    save_file({**state_of(SMALL, num_classes=0), **head}, tmp_path / "own.safetensors")
    assert load_foundation(SMALL, weights=str(tmp_path / "own.safetensors")).num_source_classes == 0
    target = load_target(SMALL, num_classes=3, image_px=32, weights=str(tmp_path / "own.safetensors"))
    assert target.network.classifier.weight.shape[0] == 3


def test_position_embeddings_of_another_size_are_resized(tmp_path: Path) -> None:
    save_file(state_of(VIT, img_size=96, num_classes=7), tmp_path / "own.safetensors")
    foundation = load_foundation(VIT, weights=str(tmp_path / "own.safetensors"))
    assert (foundation.spec.size_px, foundation.num_source_classes) == (160, 7)


def test_layout_of_a_publisher_is_converted(tmp_path: Path) -> None:
    state = state_of("convnext_atto", num_classes=7)
    renames = {
        "stem.": "downsample_layers.0.",
        ".conv_dw.": ".dwconv.",
        ".mlp.fc1.": ".pwconv1.",
        ".mlp.fc2.": ".pwconv2.",
        "head.norm.": "norm.",
        "head.fc.": "head.",
    }
    published = {}
    for key, value in state.items():
        name = key
        for ours, theirs in renames.items():
            name = name.replace(ours, theirs)
        if name.startswith("stages."):
            _, stage, part, rest = name.split(".", 3)
            name = f"downsample_layers.{stage}.{rest}" if part == "downsample" else f"stages.{stage}.{rest}"
        published[name] = value
    torch.save({"model": published}, tmp_path / "own.pth")
    target = load_target("convnext_atto", num_classes=3, image_px=32, weights=str(tmp_path / "own.pth"))
    loaded = target.network.state_dict()
    assert torch.equal(loaded["stages.1.blocks.0.conv_dw.weight"], state["stages.1.blocks.0.conv_dw.weight"])


def without(state: State, *keys: str) -> State:
    return {key: value for key, value in state.items() if key not in keys}


MISFITS: list[tuple[str, Callable[[], Any], str]] = [
    (
        SMALL,
        lambda: state_of(CNN),
        r"1 of 174 tensors fit 'lcnet_035'; missing for example conv_stem.weight, .*; unexp",
    ),
    ("resnet18", lambda: state_of("resnet34"), r"122 of 122 tensors fit 'resnet18'; unexpected for example layer1.2"),
    ("resnet34", lambda: state_of("resnet18"), r"122 of 218 tensors fit 'resnet34'; missing for example layer1.2"),
    (SMALL, lambda: state_of("lcnet_050"), r"of another shape for example .*; name the network that this file was"),
    (
        SMALL,
        lambda: without(state_of(SMALL), "conv_stem.weight"),
        r"173 of 174 tensors fit .*; missing conv_stem.weight;",
    ),
    (SMALL, lambda: {"epoch": 3, "loss": 0.1}, "holds no tensors"),
    (SMALL, lambda: [torch.ones(3)], "holds no tensors"),
    (SMALL, lambda: torch.ones(3), "holds no tensors"),
    (SMALL, lambda: {}, "holds no tensors"),
    (SMALL, lambda: {0: torch.ones(3)}, "holds no tensors"),
    (SMALL, lambda: {"state_dict": {"a": torch.ones(3)}}, r"0 of 174 tensors fit .*; unexpected a"),
]


@pytest.mark.parametrize(("name", "content", "message"), MISFITS)
def test_file_of_another_network_is_refused_with_counts(
    name: str, content: Callable[[], Any], message: str, tmp_path: Path
) -> None:
    torch.save(content(), tmp_path / "own.pth")
    weights = str(tmp_path / "own.pth")
    (of_foundation,), (of_target,) = check_foundation(name, weights), check_target(name, weights)
    assert of_foundation == of_target
    with pytest.raises(InputError, match=message):
        load_foundation(name, weights=weights)
    with pytest.raises(InputError, match=message):
        load_target(name, num_classes=3, image_px=32, weights=weights)


def cut(path: Path, part: float) -> None:
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * part)])


def write(path: Path, content: bytes) -> None:
    path.write_bytes(content)


DAMAGED: list[tuple[str, Callable[[Path], object], str]] = [
    ("own.pth", lambda path: write(path, b""), "the file is empty"),
    ("own.safetensors", lambda path: write(path, b""), "the file is empty"),
    ("own.pth", lambda path: write(path, b"no weights"), "neither safetensors nor torch's format"),
    ("own.safetensors", lambda path: write(path, b"version https://git-lfs.github.com/spec/v1"), "version https://git"),
    ("own.pth", lambda path: write(path, b"<!DOCTYPE html><html>"), 'it begins with "<!DOCTYPE html'),
    ("own.safetensors", lambda path: write(path, bytes(2000)), "neither safetensors nor torch's format"),
    ("own.safetensors", lambda path: cut(path, 0.5), "damaged or cut short"),
    ("own.safetensors", lambda path: cut(path, 0.01), "damaged or cut short"),
    ("own.pth", lambda path: cut(path, 0.5), "damaged, cut short, or not torch's"),
    ("own.pth", lambda path: write(path, b"PK\x03\x04 a document"), "damaged, cut short, or not torch's"),
    ("own.pth", lambda path: write(path, b"\x80\x02 a pickle"), r"damaged, cut short|needs unpickling"),
]


@pytest.mark.parametrize(("file", "damage", "message"), DAMAGED)
def test_damaged_file_is_one_clear_message(
    file: str, damage: Callable[[Path], object], message: str, tmp_path: Path
) -> None:
    path, state = tmp_path / file, state_of(SMALL)
    save_file(state, path) if path.suffix == ".safetensors" else torch.save(state, path)
    damage(path)
    for problems in (check_foundation(SMALL, str(path)), check_target(SMALL, str(path))):
        (problem,) = problems
        assert message in problem or "|" in message
        assert problem.startswith(f"the weights in {path} cannot be loaded into '{SMALL}': the file ")
        assert "\n" not in problem


@pytest.mark.slow
@pytest.mark.parametrize("wrap", [lambda net: net, lambda net: {"state_dict": net.state_dict(), "args": Unknown()}])
def test_file_that_needs_unpickling_says_how_to_strip_it(wrap: Callable[[nn.Module], Any], tmp_path: Path) -> None:
    network = create_model(SMALL, num_classes=5)
    path = tmp_path / "own.pth"
    torch.save(wrap(network), path)
    (problem,) = check_target(SMALL, str(path))
    assert "needs unpickling" in problem
    command = problem[problem.index("python -c") :].replace("python", sys.executable, 1)
    env = {"PYTHONPATH": str(Path(__file__).parent)}
    subprocess.run(command, shell=True, check=True, env=env, capture_output=True)
    assert check_target(SMALL, str(tmp_path / "own.safetensors")) == []
    assert torch.equal(load_file(tmp_path / "own.safetensors")["conv_stem.weight"], network.conv_stem.weight)


class Unknown:
    """A class that torch does not load without unpickling."""


def test_torchscript_archive_is_refused(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.trace(nn.Linear(2, 2), torch.ones(1, 2)).save(str(tmp_path / "own.pth"))
    (problem,) = check_target(SMALL, str(tmp_path / "own.pth"))
    assert "TorchScript" in problem
