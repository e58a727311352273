"""Bad input: one message with every problem, the nearest legal key, exit code 2, no traceback, no Ray."""

import copy
import errno
import os
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

import tdmr_ray.leaderboard
import tdmr_ray.predict
import tdmr_ray.search
import tdmr_ray.train
from tdmr_ray.cli import run_command
from tdmr_ray.errors import InputError
from tdmr_ray.space.reading import check_tree, read_space
from tdmr_ray.training.metrics import METRICS

GOOD: dict[str, Any] = {
    "name": "test",
    "data": {"name": "digits", "shots": 5},
    "pairs": {"foundations": ["glyph_cnn"], "targets": ["lcnet_035"]},
    "objective": {"metric": "val/top1"},
    "budget": {"trials": 4, "epochs": 4},
    "search": {"prompt.size_px": {"low": 0, "high": 4}},
    "fixed": {"loss.kind": "kl"},
}


def problems_with(path: str, value: Any) -> list[str]:
    """Return the problems of a good file in which one value is changed; `path` is separated by '/'."""
    tree = copy.deepcopy(GOOD)
    *parents, leaf = path.split("/")
    node = tree
    for parent in parents:
        node = node.setdefault(parent, {})
    node[leaf] = value
    return check_tree(tree)[1]


def test_the_good_file_is_good() -> None:
    assert check_tree(GOOD)[1] == []


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_can_be_the_objective(name: str) -> None:
    assert problems_with("objective/metric", f"val/{name}") == []


RANGE = {"low": 1.0, "high": 2.0}

CASES = [
    ("serach", {}, "serach: unknown section; did you mean 'search'?"),
    ("data/shot", 5, "data.shot: unknown key; did you mean 'shots'?"),
    ("data/shots", "many", "data.shots: input should be a valid integer"),
    ("data/shots", 500, "data.shots: must be at most"),
    ("data/name", "digit", "data.name: must be a known data set, got 'digit'; did you mean 'digits'?"),
    ("budget/trials", 0, "budget.trials: input should be greater than 0, got 0"),
    ("budget/trials", None, "budget.trials: input should be a valid integer"),
    ("objective/minimize", "latency", "objective.minimize.0: input should be 'latency_ms', 'params' or 'macs'"),
    (
        "objective/constraints",
        ["weight <= 5"],
        "objective.constraints.0: must be like 'params <= 2e6', with one of latency_ms, params, macs, got 'weight",
    ),
    ("objective/constraints", ["params >= 5"], "objective.constraints.0: must be like 'params <= 2e6'"),
    ("budget/time", "20 minutes", "budget.time: must be a duration such as '90s', '20m' or '1h30m', got '20 minutes'"),
    ("budget/time", "0s", "budget.time: input should be greater than 0"),
    ("data/join", "val", "data.join: is set by the confirmation; leave it out"),
    ("confirm/control_steps", 800, "confirm.control_steps: unknown key; it is now 'confirm.steps'"),
    ("confirm/cv_folds", 1, "confirm.cv_folds: input should be greater than or equal to 2, got 1"),
    ("confirm/patience", 0, "confirm.patience: input should be greater than 0"),
    ("budget/usd", -1, "budget.usd: input should be greater than 0, got -1"),
    ("budget/allocation", "fair", "budget.allocation: input should be 'equal' or 'adaptive', got 'fair'"),
    ("sampler", "cmaes", "sampler: input should be 'tpe', 'gp', 'nsga2' or 'random', got 'cmaes'"),
    ("pairs/foundations", [], "pairs.foundations: tuple should have at least 1 item"),
    ("pairs/foundations", ["glyph_vti"], "got 'glyph_vti'; did you mean 'glyph_vit'?"),
    ("pairs/targets", ["mobilenetv3_smal_050"], "did you mean 'mobilenetv3_small_050'?"),
    ("pairs/targets", ["lcnet_035", {"name": "lcnet_035", "input_px": 64}], "a name must not come twice"),
    ("pairs/targets", [{"name": "lcnet_035", "weights": "pretrained"}], "timm has no weights for 'lcnet_035'"),
    ("pairs/targets", [{"name": "lcnet_035", "weights": "none.pth"}], "there is no file none.pth"),
    ("fixed/target.weights", "pretrained", "timm has no weights for 'lcnet_035'"),
    ("search/target.input_px", {"low": 32, "high": 224}, "at most 16 sizes"),
    ("objective/metric", "test/top1", "must start with 'val/', got 'test/top1'; test is read after the search"),
    ("objective/metric", "top1", "must start with 'val/', got 'top1'"),
    ("objective/metric", "val/balanced_acc", "did you mean 'val/balanced_accuracy'?"),
    ("objective/maximize", "val/top1", "objective.maximize: unknown key; it is now 'objective.metric'"),
    ("confirm/controls", ["scrach"], "unknown control 'scrach'; did you mean 'scratch'?"),
    ("confirm/controls", ["fine_tune"], "'fine_tune' needs weights of 'lcnet_035'"),
    ("search/temprature.start", RANGE, "search.temprature.start: unknown parameter; did you mean 'temperature.start'?"),
    ("fixed/distill.own_share", 0.5, "unknown parameter; it is now 'distill.self_distillation_weight'"),
    ("search/signals.num_views", {"choices": [2, 8]}, "it is now 'outputs.num_views'"),
    ("search/distill.epochs", RANGE, "it is set by budget.epochs"),
    ("search/seed", RANGE, "it is set by a section of its own"),
    ("search/prompt.size_px", {"low": 4, "high": 2}, "low <= high must hold, got (low=4, high=2)"),
    ("search/prompt.size_px", {"low": 0}, "needs low and high, or choices"),
    ("search/prompt.size_px", 3, "to pin it write it under 'fixed'"),
    ("search/prompt.size_px", {"lo": 0, "high": 2}, "did you mean 'low'?"),
    ("search/prompt.size_px", {"low": 0, "high": 16}, "less than half of the 32 px that 'glyph_cnn' takes, got 16"),
    ("fixed/prompt.kind", "tokens", "prompt.kind: 'tokens' needs a plain transformer, and 'glyph_cnn' is none"),
    ("confirm/controls", ["self_training"], "'self_training' needs images without labels; set data.unlabeled"),
    ("search/prompt.size_px", {"low": -2, "high": 4}, "greater than or equal to 0, got -2"),
    ("search/prompt.size_px", {"low": 0.5, "high": 2.5}, "search.prompt.size_px: input should be a valid integer"),
    ("search/temperature.start", {"low": 0.0, "high": 2.0, "log": True}, "log needs low > 0"),
    ("search/temperature.start", {"low": 1.0, "high": 2.0, "step": -1}, "step must be positive"),
    ("search/mapping.kind", {"choices": ["linear", "best"]}, "search.mapping.kind: input should be"),
    ("search/mapping.kind", {"choices": []}, "choices: must not be empty"),
    ("search/mapping.kind", {"choices": ["linear"], "low": 1}, "exclude each other, got choices and low; keep one"),
    ("search/temperature.start", {"low": "one", "high": 2.0}, "start.low: must be a finite number, got 'one'"),
    ("search/mapping.kind", {"choices": ["linear", "linear"]}, "search.mapping.kind.choices: must all differ"),
    ("search/mapping.kind", {"choices": ["linear"], "whem": {}}, "whem: unknown key; did you mean 'when'?"),
    ("search/prompt.size_px", {"low": 0, "high": 4, "step": 0.5}, "search.prompt.size_px: input should be a valid int"),
    ("search/temperature.start", {"low": 1.0, "high": float("inf")}, "search.temperature.start.high: must be a finite"),
    (
        "search/temperature.end",
        {**RANGE, "when": {"temperature.shedule": ["linear"]}},
        "did you mean 'temperature.sche",
    ),
    ("search/distill.num_stages", {"low": 1, "high": 6}, "at most budget.epochs (4), got 6"),
    ("search/loss.kind", {"choices": ["kl", "mse"]}, "fixed.loss.kind: is searched as well; keep one"),
    ("fixed/prompt.size_px", 20, "keep one of the two"),
    ("fixed/mapping.kind", "nearest", "fixed.mapping.kind: input should be"),
    ("fixed/maping.kind", "linear", "did you mean 'mapping.kind'?"),
    ("fixed", ["a"], "fixed: must map parameter names to values"),
]


@pytest.mark.parametrize(("path", "value", "message"), CASES, ids=[f"{path}={value}"[:60] for path, value, _ in CASES])
def test_each_problem_has_its_message(path: str, value: Any, message: str) -> None:
    problems = problems_with(path, value)
    assert any(message in problem for problem in problems), problems
    assert len(problems) == 1, problems


def test_an_input_size_is_given_once_and_a_searched_one_is_not_minimised() -> None:
    tree = copy.deepcopy(GOOD)
    tree["search"]["target.input_px"] = {"choices": [24, 32]}
    assert check_tree(tree)[1] == []
    tree["pairs"]["targets"] = [{"name": "lcnet_035", "input_px": 24}]
    assert "search.target.input_px: 'lcnet_035' has its own in pairs.targets" in check_tree(tree)[1][0]
    tree["pairs"]["targets"], tree["objective"]["minimize"] = ["lcnet_035"], "latency_ms"
    assert "costs differ within a pair when target.input_px is searched" in check_tree(tree)[1][0]


def test_a_mask_alone_may_cover_the_whole_image() -> None:
    tree = copy.deepcopy(GOOD)
    tree["search"]["prompt.size_px"] = {"choices": [8, 16]}
    tree["fixed"]["prompt.kind"] = "masked"
    assert check_tree(tree)[1] == []
    tree["fixed"]["prompt.kind"] = "overlay"
    assert "less than half of the 32 px" in check_tree(tree)[1][0]


def test_conditions_in_a_circle_are_refused() -> None:
    tree = copy.deepcopy(GOOD)
    tree["search"] |= {
        "mapping.kind": {"choices": ["linear"], "when": {"prompt.kind": ["border"]}},
        "prompt.kind": {"choices": ["border"], "when": {"mapping.kind": ["linear"]}},
    }
    assert "circle" in check_tree(tree)[1][0]


def test_a_one_to_one_mapping_needs_enough_source_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    from tdmr_ray.method.component import FoundationFacts
    from tdmr_ray.space import rules

    def problems(num_source_classes: int, kind: str) -> list[str]:
        facts = FoundationFacts("glyph_cnn", 32, num_source_classes, takes_tokens=False)
        monkeypatch.setattr(rules, "facts_of", lambda name, **_: facts)
        return problems_with("fixed/mapping.kind", kind)

    assert problems(10, "frequency") == []
    assert "needs a source class for each of the 10 task classes, but 'glyph_cnn' has 9" in problems(9, "frequency")[0]
    assert problems(9, "bayesian") == []
    assert (
        "reads source classes, and 'glyph_cnn' has none; use a mapping of features (linear)"
        in problems(0, "bayesian")[0]
    )
    assert problems(0, "linear") == []


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("fixed/loss.kind", "dkd", "at least 3 task classes"),
        ("fixed/loss.standardize", True, "set it to false"),
        ("objective/metric", "val/top5", "'val/top5' needs at least 10 classes, and the data has 2"),
    ],
)
def test_two_class_tasks_refuse_what_breaks_on_them(
    path: str, value: Any, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tdmr_ray.data.builtin import load_digits
    from tdmr_ray.data.dataset import in_memory
    from tdmr_ray.space import rules

    digits = load_digits()
    few = digits.labels < 2
    two = in_memory(digits.images[few], digits.labels[few], ("0", "1"), preset="document")
    monkeypatch.setattr(rules, "load_dataset", lambda name: two)
    assert message in problems_with(path, value)[0]


def test_all_problems_come_at_once_and_the_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "space.yaml"
    tree = copy.deepcopy(GOOD)
    tree["objective"]["metric"] = "test/top1"
    tree["search"]["temprature.start"] = RANGE
    tree["pairs"]["targets"] = ["mobilenetv3_smal_050"]
    path.write_text(yaml.safe_dump(tree))
    with pytest.raises(InputError) as caught:
        read_space(path)
    assert len(caught.value.problems) == 3
    assert str(caught.value).startswith(f"{path}: 3 problems\n  ")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- a\n- b", "must hold sections"),
        ("name: [", "is not YAML"),
        ("", "must hold sections"),
        (None, "cannot be read"),
    ],
)
def test_a_file_that_is_not_a_space_file_is_refused(text: str | None, message: str, tmp_path: Path) -> None:
    path = tmp_path / "space.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_space(path)


SEARCH, TRAIN = tdmr_ray.search.search, tdmr_ray.train.train
BOARD, PREDICT = tdmr_ray.leaderboard.leaderboard, tdmr_ray.predict.predict
COMMANDS = [
    (SEARCH, ["--space", "missing.yaml"], "missing.yaml: 1 problem"),
    (SEARCH, ["--space", "good.yaml", "--set", "prompt.size"], "must be KEY=VALUE, got 'prompt.size'"),
    (SEARCH, ["--space", "good.yaml", "--set", "prompt.sise_px=3"], "did you mean 'prompt.size_px'?"),
    (SEARCH, ["--space", "good.yaml", "--set", "data.name.x=3"], "'data' has no such key"),
    (SEARCH, ["--space", "good.yaml", "--set", "resources.workers=900"], "each needs at least 2 images of a batch"),
    (SEARCH, ["--space", "good.yaml", "--set", "resources.min_workers=2"], "min_workers: must be at most workers"),
    (SEARCH, ["--space", "good.yaml", "--out", "used"], "exists already"),
    (SEARCH, ["--space", "good.yaml", "--set", "pairs.foundations=[resnet18.a1_in1k]"], "are unavailable"),
    (SEARCH, ["--space", "good.yaml", "--out", "fresh", "--resume"], "nothing in fresh to continue"),
    (SEARCH, ["--space", "good.yaml", "--out", "/dev/null/x"], "cannot be written"),
    (SEARCH, ["--space", "good.yaml", "--trials", "0"], "greater than 0"),
    (
        SEARCH,
        ["--space", "good.yaml", "--grace", "soon"],
        "must be a duration such as '90s', '20m' or '1h30m', got 'soon'",
    ),
    (TRAIN, [], "needs either --space FILE or --record FILE:ID"),
    (TRAIN, ["--record", "used/records.jsonl:nothing"], "no trial 'nothing'"),
    (BOARD, ["fresh"], "holds no records.jsonl"),
    (PREDICT, ["fresh", "image.png"], "holds no model"),
]


@pytest.mark.parametrize(("command", "arguments", "message"), COMMANDS, ids=[" ".join(a) for _, a, _ in COMMANDS])
def test_commands_exit_with_2_and_one_message(
    command: Any,
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "good.yaml").write_text(yaml.safe_dump(GOOD))
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "something").touch()
    monkeypatch.setattr(sys, "argv", ["command", *arguments])
    with pytest.raises(SystemExit) as caught:
        run_command(command)
    said = capsys.readouterr().err
    assert caught.value.code == 2
    assert message in said.replace("\n", " ")
    assert "Traceback" not in said


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_one_message_and_exit_code_1(
    code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def command() -> None:
        raise OSError(code, os.strerror(code), "records.jsonl")

    monkeypatch.setattr(sys, "argv", ["command"])
    with pytest.raises(SystemExit) as ended:
        run_command(command)
    assert ended.value.code == 1
    assert f"records.jsonl: {os.strerror(code)}; finished trials are safe: make room" in capsys.readouterr().err


def test_other_errors_of_files_keep_their_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def command() -> None:
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr(sys, "argv", ["command"])
    with pytest.raises(OSError, match="broken"):
        run_command(command)
