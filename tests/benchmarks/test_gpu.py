"""Pieces of the GPU benchmark that need no GPU."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from benchmarks.gpu.batching import first_step_gap, make_trials
from benchmarks.gpu.material import train_epoch
from benchmarks.gpu.recorder import Recorder, as_markdown, read_lines
from benchmarks.gpu.sizes import TINY
from benchmarks.gpu.stacked import StackedTraining
from benchmarks.gpu.whole_search import space_of
from benchmarks.images import make_images
from tdmr_ray.space.reading import check_tree

fallback = pytest.mark.filterwarnings("ignore:There is a performance drop:UserWarning")


@fallback
@pytest.mark.parametrize("products", [False, True])
def test_a_step_of_stacked_trials_is_that_of_each_trial(products: bool) -> None:
    assert first_step_gap(TINY, products=products) < 1e-3


@fallback
def test_running_statistics_of_stacked_trials_are_those_of_each_trial() -> None:
    short = replace(TINY, steps=1)
    trials = make_trials(short, 2, "fp32")
    together = StackedTraining(make_trials(short, 2, "fp32"), products=False)
    together.train_epoch()
    for number, trial in enumerate(trials):
        train_epoch(trial)
        own, stacked = trial.learner.target.state_dict(), together.state_of(number)
        assert own.keys() == stacked.keys()
        for name in (name for name in own if "running" in name or "tracked" in name):
            torch.testing.assert_close(stacked[name], own[name], rtol=1e-3, atol=1e-4)


@fallback
@pytest.mark.parametrize("target", ["mobilenetv3_large_100", "tf_efficientnet_lite0"])
def test_stacked_trials_take_steps_in_bf16(target: str) -> None:
    trials = make_trials(replace(TINY, steps=1, targets=(target,)), 2, "bf16")
    losses = StackedTraining(trials, products=True).train_epoch()
    assert losses.shape == (2,) and losses.isfinite().all()


def test_a_failed_measurement_is_a_remark(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "part", {})
    with recorder.attempt("the compiled target"):
        raise ValueError("no\ncompiler")
    assert read_lines(recorder.path).notes == ["the compiled target failed: ValueError: no compiler"]


def test_lines_before_a_cut_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "part"
    recorder = Recorder(path, {"gemm_tflops_bf16": 800.0})
    recorder.figure("speed", 2.0)
    recorder.row(processes=1, trials_per_minute=3.14159)
    recorder.row(processes=2, trials_per_minute=1234.5)
    recorder.note("two do not help")
    with path.open("a") as file:
        file.write('{"figure": "cut')
    found = read_lines(path)
    assert found.figures == {"speed": 2.0}
    assert as_markdown("Packing", "ended", found) == [
        *("## Packing", "", "Status: ended.", ""),
        *("| processes | trials per minute |", "|---|--:|", "| 1 | 3.14 |", "| 2 | 1234 |", ""),
        *("- two do not help", ""),
    ]
    assert recorder.share_of_gemm_peak(400.0, "bf16") == 0.5
    assert recorder.share_of_gemm_peak(400.0, "fp32") is None


def test_the_space_of_the_search_is_valid(tmp_path: Path) -> None:
    make_images(tmp_path / "photos", 40, (32, 48), TINY.num_classes)
    space, problems = check_tree(space_of(TINY, tmp_path))
    assert space is not None, problems
