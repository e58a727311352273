"""`tdmr init` writes a space file that the search accepts, with a reason for each line."""

import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
from PIL import Image
from safetensors.torch import save_file
from typer.testing import CliRunner

import tdmr_ray.init
import tdmr_ray.search
from tdmr_ray.cli import app, run_command
from tdmr_ray.errors import InputError
from tdmr_ray.initial.choice import Choice
from tdmr_ray.initial.networks import BUILT_IN
from tdmr_ray.initial.rendering import WIDTH, render
from tdmr_ray.initial.weights import constants
from tdmr_ray.space.reading import read_space


def write_images(folder: Path, count: int, *, seed: int, size: tuple[int, int] = (70, 50)) -> None:
    folder.mkdir(parents=True)
    generator = np.random.default_rng(seed)
    for number in range(count):
        coarse = generator.integers(0, 256, (5, 7, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC).save(folder / f"{number}.png")


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two classes of unequal size, images without labels, and no weights nearby."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "my photos"
    write_images(folder / "good", 24, seed=1)
    write_images(folder / "crack\n#2", 6, seed=2)
    write_images(folder / "unlabeled", 8, seed=3)
    (folder / "good" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    return folder


def run(monkeypatch: pytest.MonkeyPatch, command: Any, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["tdmr", *arguments])
    with pytest.raises(SystemExit) as ended:
        run_command(command)
    assert not ended.value.code


def test_the_file_fits_images_and_machine_and_can_be_searched(
    photos: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(monkeypatch, tdmr_ray.init.init, "my photos", "--time", "20m")
    shown = capsys.readouterr().out
    assert "glyphs and not on photographs" in shown
    assert shown.splitlines()[-1] == "  tdmr search --space space.yaml"
    space = read_space(Path("space.yaml"))
    assert (space.name, space.data.name) == ("my_photos", str(photos))
    assert (space.data.image_px, space.data.on_bad_image) == (64, "skip")
    assert space.objective.metric == "val/balanced_accuracy"
    assert (space.budget.time, space.confirm.cv_folds) == (1200, 5)
    assert space.fixed["views.preset"] == "photo"
    assert "self_training" in [control.kind for control in space.confirm.controls]
    assert "pseudo_labels.rounds" in space.search
    run(monkeypatch, tdmr_ray.search.search, "--space", "space.yaml", "--dry-run")
    assert f"{BUILT_IN} -> mobilenetv3_small_050" in capsys.readouterr().out


def test_every_line_has_its_reason(photos: Path) -> None:
    tdmr_ray.init.init("my photos", out=Path("space.yaml"), time="20m", weights=[], pins=[])
    lines = Path("space.yaml").read_text(encoding="utf-8").splitlines()
    for before, line in pairwise(lines):
        is_heading = line.startswith("#") or line.endswith(":")
        assert is_heading or "# " in line or before.lstrip().startswith("# "), line


def test_keys_of_the_data_section_may_be_given(photos: Path) -> None:
    tdmr_ray.init.init("my photos", out=Path("a.yaml"), time="1h", weights=[], pins=["image_px=48", "unlabeled=false"])
    space = read_space(Path("a.yaml"))
    assert (space.data.image_px, space.data.unlabeled) == (48, False)
    assert "pseudo_labels.rounds" not in space.search


def test_given_weights_make_a_valid_pair(photos: Path) -> None:
    files = ["resnet18.safetensors", "lcnet_035.safetensors"]
    for file in files:
        save_file(timm.create_model(Path(file).stem).state_dict(), file)
    tdmr_ray.init.init("my photos", out=Path("a.yaml"), time="1h", weights=files, pins=[])
    space = read_space(Path("a.yaml"))
    (foundation,), (target,) = space.pairs.by_label.values(), space.pairs.by_name.values()
    assert [foundation.weights, target.weights] == [str(Path(file).absolute()) for file in files]
    assert "fine_tune" in [control.kind for control in space.confirm.controls]
    assert space.fixed["prompt.size_px"] == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["my photos", "--out", "taken.yaml"], "taken.yaml exists"),
        (["my photos", "--out", "none/space.yaml"], "there is no folder none"),
        (["my photos", "--time", "soon"], "must be a duration"),
        (["my photos", "--time", "0s"], "must be positive"),
        (["my photos", "--weights", "none.pth"], "there is no file none.pth"),
        (["my photos", "--set", "image_px=0"], "image_px"),
        (["no folder"], "no folder"),
        (["digits"], "'digits' is built in"),
    ],
)
def test_wrong_input_is_told_and_nothing_is_written(photos: Path, arguments: list[str], message: str) -> None:
    Path("taken.yaml").write_text("mine")
    result = CliRunner().invoke(app, ["init", *arguments])
    assert isinstance(result.exception, InputError)
    assert message in str(result.exception)
    assert Path("taken.yaml").read_text() == "mine"
    assert not Path("space.yaml").exists()


def test_a_long_reason_stands_above_its_line_and_odd_characters_are_replaced() -> None:
    sections = {"name": Choice("a", "short\n\x07 \udcff"), "budget": {"trials": Choice(3, "why " * 40)}, "empty": {}}
    lines = render(sections).splitlines()
    assert lines[:2] == ["name: a   # short ? ?", "budget:"]
    assert lines[-1] == "  trials: 3"
    assert all(len(line) <= WIDTH for line in lines)
    assert not any("empty" in line for line in lines)
