"""Entry points of installed packages: what is loaded, what is refused, and a search with the example package."""

import os
import subprocess
import sys
from pathlib import Path
from shutil import copytree
from typing import Any

import numpy as np
import pytest
import yaml
from helpers.plugins import install
from helpers.waiting import PATIENCE_S

from tdmr_ray.code_digest import code_of_plugins
from tdmr_ray.data.listing import SOURCES
from tdmr_ray.errors import InputError
from tdmr_ray.ledger import Ledger
from tdmr_ray.method.component import component_problem
from tdmr_ray.method.prompts import PROMPTS, BorderPrompt, Prompt
from tdmr_ray.plugins import Plugins, Registry
from tdmr_ray.space.reading import space_from_dict
from tdmr_ray.space.tracking import LISTENERS
from tdmr_ray.tracking import build_trackers

EXAMPLE = Path(__file__).parent / "plugin_example"
TINT = """
from typing import Literal
from tdmr_ray.method.prompts import BorderPrompt, Prompt, PromptConfig
class Tint(BorderPrompt):
    class Config(PromptConfig):
        kind: Literal["tint"] = "tint"
class Halfway(Prompt):
    class Config(PromptConfig):
        kind: Literal["tint"] = "tint"
class Other:
    pass
"""
SPACE: dict[str, Any] = {
    "name": "plug-ins",
    "data": {"name": "digits", "shots": 5},
    "pairs": {"foundations": ["glyph_cnn"], "targets": ["lcnet_035"]},
    "search": {"prompt.size_px": {"low": 0, "high": 4, "step": 2}},
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("one", "two"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return tmp_path


def registry() -> Registry[type[Prompt]]:
    return Registry("tdmr_ray.prompts", {"border": BorderPrompt}, component_problem(Prompt))


def test_plugin_stands_beside_what_is_built_in(folder: Path) -> None:
    install(folder, "one", TINT, prompts="tint = one:Tint", losses="tint = one:Missing")
    found = registry()
    assert list(found) == ["border", "tint"]
    assert len(found) == 2
    assert found["tint"].__module__ == "one"
    assert not found.refused


def test_nothing_is_imported_for_a_name_that_is_built_in(folder: Path) -> None:
    install(folder, "one", TINT, prompts="tint = one:Tint")
    assert registry()["border"] is BorderPrompt
    assert "one" not in sys.modules


@pytest.mark.parametrize(
    ("code", "line", "reason"),
    [
        ("import nothing_like_this", "tint = one:Tint", "cannot be loaded: ModuleNotFoundError: No module named"),
        ("raise SystemExit('bye')", "tint = one:Tint", "cannot be loaded: SystemExit: bye; mend or uninstall it"),
        (TINT, "tint = one:Missing", "cannot be loaded: AttributeError"),
        (TINT, "tint = one:Other", "must be a subclass of Prompt, got <class 'one.Other'>"),
        (TINT, "tint = one:Halfway", "must define forward, parameter_groups"),
        (TINT, "veil = one:Tint", "must have 'veil' as kind in its Config, got 'tint'"),
    ],
    ids=["import", "exit", "attribute", "class", "abstract", "kind"],
)
def test_broken_plugin_is_refused_where_its_name_is_used(folder: Path, code: str, line: str, reason: str) -> None:
    install(folder, "one", code, prompts=line)
    found, name = registry(), line.split()[0]
    assert list(found) == ["border"]
    assert name not in found
    with pytest.raises(InputError) as refused:
        found[name]
    (problem,) = refused.value.problems
    assert problem.startswith(f"the plug-in '{name}' of one 1.0 ({line.split()[-1]}) {reason}")


def test_name_that_is_built_in_is_refused(folder: Path) -> None:
    install(folder, "one", TINT, prompts="border = one:Tint")
    found = registry()
    expected = "'border' is built in, and a plug-in of one 1.0 (one:Tint) has the same name; uninstall it"
    assert found["border"] is BorderPrompt
    assert found.refused == {"border": expected}


def test_name_of_two_plugins_is_refused(folder: Path) -> None:
    for name in ("one", "two"):
        install(folder, name, TINT, prompts=f"tint = {name}:Tint")
    found = registry()
    assert list(found) == ["border"]
    assert "several plug-ins are called 'tint': " in found.refused["tint"]
    assert "one 1.0 (one:Tint)" in found.refused["tint"] and "two 1.0 (two:Tint)" in found.refused["tint"]


@pytest.mark.parametrize(
    ("refusing", "name", "changes", "expected"),
    [
        (PROMPTS, "tint", {"fixed": {"prompt.kind": "tint"}}, "fixed.prompt.kind: no good"),
        (PROMPTS, "tint", {"search": {"prompt.kind": {"choices": ["border", "tint"]}}}, "search.prompt.kind: no good"),
        (PROMPTS, "border", {"fixed": {"prompt.kind": "border"}}, "fixed.prompt.kind: no good"),
        (SOURCES, "npz", {"data": {"name": "npz:a"}}, "data.name: no good"),
        (LISTENERS, "diary", {"tracking": ["diary"]}, "tracking: no good"),
        (PROMPTS, "tint", {}, ""),
        (PROMPTS, "border", {}, ""),
    ],
)
def test_space_that_names_a_refused_plugin_is_refused(
    refusing: Registry[Any],
    name: str,
    changes: dict[str, Any],
    expected: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(vars(refusing), "_plugins", Plugins({}, {name: "no good"}))
    if not expected:
        assert space_from_dict({**SPACE, **changes}).name == "plug-ins"
        return
    with pytest.raises(InputError) as refused:
        space_from_dict({**SPACE, **changes})
    assert refused.value.problems == (expected,)


@pytest.mark.parametrize(
    ("names", "problem"),
    [
        (["mlfow"], "unknown listener 'mlfow'; did you mean 'mlflow'?"),
        (["mlflow", "mlflow"], "'mlflow' must not come twice"),
        (["wandb"], "'wandb' needs a package that is missing; pip install 'tdmr_ray[wandb]'"),
    ],
)
def test_names_under_tracking_are_checked(names: list[str], problem: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tdmr_ray.space.tracking.find_spec", lambda name: None if name == "wandb" else "found")
    with pytest.raises(InputError) as refused:
        space_from_dict({**SPACE, "tracking": names})
    assert refused.value.problems == (f"tracking: {problem}",)


def test_listener_of_a_plugin_must_be_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(vars(LISTENERS), "_plugins", Plugins({"diary": dict}, {}))
    with pytest.raises(InputError, match="'diary' must be a subclass of Listener, got <class 'dict'>"):
        build_trackers(["diary"])


def test_code_of_what_is_built_in_is_covered_elsewhere(folder: Path) -> None:
    install(folder, "one", TINT, prompts="tint = one:Tint")
    (digest,) = code_of_plugins(BorderPrompt, registry()["tint"])
    assert len(digest) == 64


KEYS = """
from tdmr_ray.training.config import TrialConfig
from tdmr_ray.training.teacher_artifact import teacher_key
from tdmr_ray.data.config import DataConfig
from tdmr_ray.data.decoded import task_key
config = TrialConfig().replace(foundation__name="glyph_cnn")
print(teacher_key(config, ""), teacher_key(config.replace(prompt__kind="veil", loss__kind="huber"), ""), end=" ")
print(task_key(DataConfig()), task_key(DataConfig(name="npz:images.npz")))
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of the path with the example package, which pip has installed, and a broken plug-in."""
    source, target = tmp_path_factory.mktemp("source") / "example", tmp_path_factory.mktemp("packages")
    copytree(EXAMPLE, source)
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check"]
    command = [sys.executable, "-m", "pip", "install", *options, "--target", str(target), str(source)]
    subprocess.run(command, check=True, capture_output=True, text=True)
    install(target, "broken", "import nothing_like_this", prompts="broken = broken:Broken")
    labels = np.arange(60) % 2
    images = np.random.default_rng(0).integers(0, 90, (60, 16, 16, 3), np.uint8)
    images[labels == 1, :, 8:] += 120
    names = np.array(["left", "right"])
    np.savez(target / "images.npz", images=images, labels=labels, class_names=names)
    return target


def run(installed: Path, *arguments: object) -> "subprocess.CompletedProcess[str]":
    """Run Python where the packages are installed, in that folder."""
    paths = os.pathsep.join([str(installed), str(Path(__file__).parents[1])])
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": paths},
        cwd=installed,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )


@pytest.mark.slow
def test_search_with_an_installed_plugin(installed: Path, tmp_path: Path) -> None:
    space, out = tmp_path / "space.yaml", tmp_path / "out"
    tree = {
        **SPACE,
        "data": {"name": "npz:images.npz", "image_px": 32},
        "budget": {"trials": 2, "epochs": 1},
        "confirm": {"top": 0},
        "search": {"prompt.density": {"low": 0.05, "high": 0.5}},
        "fixed": {"prompt.kind": "veil", "loss.kind": "huber", "outputs.num_views": 2, "reprogram.epochs": 1},
        "tracking": "diary",
    }
    space.write_text(yaml.safe_dump(tree))
    files = ["--space", space, "--out", out, "--store", tmp_path / "store"]
    done = run(installed, "-m", "tdmr_ray.search", *files)
    assert done.returncode == 0, done.stdout + done.stderr
    records = Ledger(out / "records.jsonl").read()
    assert [record.state for record in records] == ["complete"] * 2
    for record in records:
        assert (record.config["prompt"]["kind"], record.config["loss"]["kind"]) == ("veil", "huber")
        assert record.config["prompt"]["density"] == record.values["prompt.density"]
        assert 0 <= record.metrics["val/top1"] <= 1
    diary = (out / "diary.txt").read_text().splitlines()
    assert diary == [*(f"{record.id} complete" for record in records), "complete"]
    refused = run(installed, "-m", "tdmr_ray.search", *files[:2], "--dry-run", "--set", "prompt.kind=broken")
    assert refused.returncode == 2
    expected = "fixed.prompt.kind: the plug-in 'broken' of broken 1.0 (broken:Broken) cannot be loaded: ModuleNotFound"
    assert expected in " ".join((refused.stdout + refused.stderr).split())
    assert "Traceback" not in refused.stdout + refused.stderr


@pytest.mark.slow
def test_keys_follow_the_code_of_the_plugins_that_take_part(installed: Path) -> None:
    def keys() -> list[str]:
        done = run(installed, "-c", KEYS)
        assert done.returncode == 0, done.stderr
        return done.stdout.split()

    before = keys()
    for files, changed in ((["huber"], []), (["veil", "npz"], [1, 3])):
        for file in files:
            with (installed / "tdmr_ray_example" / f"{file}.py").open("a") as text:
                text.write("\nEXTRA = 0\n")
        after = keys()
        assert [index for index in range(4) if before[index] != after[index]] == changed
        before = after
