"""Pretrained weights: loaded where a search starts, copied to other machines by the store."""

from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file

from tdmr_ray.errors import InputError
from tdmr_ray.models import load_foundation, load_target
from tdmr_ray.models.weights import use_copies
from tdmr_ray.runner.leases import LeaseTable
from tdmr_ray.runner.shared_store import SharedStore
from tdmr_ray.runner.weights import check_weights, copies_in, share_weights_of_space
from tdmr_ray.space import Space
from tdmr_ray.space.reading import check_tree
from tdmr_ray.storage import StoragePath
from tdmr_ray.store import Store
from tdmr_ray.training.networks import digest_of, foundation_digest, start_digest
from tdmr_ray.training.sections import FoundationConfig

BIG, SMALL = "resnet10t", "lcnet_035"


def weights_file(name: str, folder: Path, num_classes: int) -> Path:
    torch.manual_seed(3)
    path = folder / f"{name}.safetensors"
    save_file(timm.create_model(name, num_classes=num_classes).state_dict(), path)
    return path


def space_of(big: Path, small: Path, **changes: Any) -> Space:
    tree = {
        "name": "test",
        "data": {"name": "digits", "shots": 5},
        "pairs": {
            "foundations": [{"name": BIG, "weights": str(big)}, "glyph_cnn"],
            "targets": [{"name": SMALL, "weights": str(small)}],
        },
        **changes,
    }
    space, problems = check_tree(tree)
    assert space is not None and not problems, problems
    return space


def test_another_machine_loads_the_same_weights_from_the_store(tmp_path: Path) -> None:
    big, small = weights_file(BIG, tmp_path, 7), weights_file(SMALL, tmp_path, 5)
    space, shared = space_of(big, small), StoragePath(tmp_path / "shared")
    digests = (
        digest_of(load_foundation(BIG, weights=str(big))),
        foundation_digest(FoundationConfig(name=BIG, weights=str(big))),
    )
    stem = load_target(SMALL, num_classes=3, image_px=32, weights=str(small)).network.conv_stem.weight
    copies = share_weights_of_space(space, Store(tmp_path / "here", shared))
    assert [(copy.name, copy.weights) for copy in copies] == [(SMALL, str(small)), (BIG, str(big))]
    big.unlink()
    small.unlink()
    with pytest.raises(InputError, match="there is no file"):
        load_foundation(BIG, weights=str(big))
    with use_copies(copies_in(SharedStore(Store(tmp_path / "there", shared), LeaseTable()), copies)):
        foundation = load_foundation(BIG, weights=str(big), image_px=64)
        target = load_target(SMALL, num_classes=3, image_px=32, weights=str(small))
    assert (digest_of(foundation), foundation.num_source_classes, foundation.spec.size_px) == (digests[0], 7, 64)
    assert digests[0] == digests[1]
    assert torch.equal(target.network.conv_stem.weight, stem)
    assert target.network.get_classifier().out_features == 3
    with pytest.raises(InputError, match="there is no file"):
        load_foundation(BIG, weights=str(big))


def test_start_digest_identifies_the_weights_a_target_starts_from(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    one, same = (str(weights_file(SMALL, tmp_path / part, 5)) for part in (".", "other"))
    assert start_digest(SMALL, one) == start_digest(SMALL, same)
    assert start_digest(SMALL, one) != start_digest("lcnet_050", str(weights_file("lcnet_050", tmp_path, 5)))
    assert start_digest(SMALL, "") == ""


def test_weights_are_not_copied_without_shared_storage(tmp_path: Path) -> None:
    space = space_of(weights_file(BIG, tmp_path, 7), weights_file(SMALL, tmp_path, 5))
    assert share_weights_of_space(space, Store(tmp_path / "here")) == ()


def test_unavailable_weights_are_listed_in_one_error(tmp_path: Path) -> None:
    space = space_of(weights_file(BIG, tmp_path, 7), weights_file(SMALL, tmp_path, 5))
    save_file({"other": torch.zeros(1)}, tmp_path / f"{BIG}.safetensors")
    (tmp_path / f"{SMALL}.safetensors").write_bytes(b"no weights")
    with pytest.raises(InputError) as raised:
        check_weights(space)
    assert len(raised.value.problems) == 2


def test_a_space_with_weights_of_another_network_is_refused_when_it_is_read(tmp_path: Path) -> None:
    wrong = weights_file("resnet18", tmp_path, 7)
    pairs = {"foundations": [{"name": BIG, "weights": str(wrong)}], "targets": [{"name": SMALL, "weights": str(wrong)}]}
    tree = {"name": "test", "data": {"name": "digits", "shots": 5}, "pairs": pairs}
    _, problems = check_tree(tree)
    assert len(problems) == 2
    for problem, part, name in zip(problems, ("foundations", "targets"), (BIG, SMALL), strict=True):
        assert problem.startswith(f"pairs.{part}: the weights in {wrong} cannot be loaded into '{name}': ")
        assert f"tensors fit '{name}'; missing for example" in problem or "of another shape for example" in problem


def test_weights_of_the_control_are_checked_before_the_search(tmp_path: Path) -> None:
    pairs = {"foundations": ["glyph_cnn"], "targets": ["mobilenetv3_small_050"]}
    space = space_of(tmp_path, tmp_path, pairs=pairs, confirm={"controls": ["fine_tune"]})
    asked_for = (
        r"the weights of 'mobilenetv3_small_050' are unavailable.*; only 'fine_tune' under confirm.controls needs"
    )
    with pytest.raises(InputError, match=asked_for):
        check_weights(space)
    check_weights(space_of(tmp_path, tmp_path, pairs=pairs, confirm={"controls": ["fine_tune"], "top": 0}))
