"""The command `tdmr`: its sub-commands, exit codes, and how fast it starts."""

import json
import logging
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from tdmr_ray import __version__
from tdmr_ray.cli import COMMANDS, app, run_command
from tdmr_ray.errors import InputError

STARTED = """
import json, sys, time
started = time.perf_counter()
import tdmr_ray
seconds = time.perf_counter() - started
print(json.dumps({"seconds": seconds, "heavy": [name for name in ("torch", "ray", "timm") if name in sys.modules]}))
"""


def test_importing_the_package_is_fast_and_loads_neither_torch_nor_ray() -> None:
    command = [sys.executable, "-c", STARTED]
    runs = [json.loads(subprocess.check_output(command, text=True)) for _ in range(5)]
    assert all(run["heavy"] == [] for run in runs)
    assert min(run["seconds"] for run in runs) < 0.3


def test_the_help_lists_every_command_without_loading_torch() -> None:
    show = "import sys; from tdmr_ray.cli import app; app(['--help'], standalone_mode=False)"
    code = f"{show}; print('torch' in sys.modules)"
    shown = subprocess.check_output([sys.executable, "-c", code], text=True)
    assert all(name in shown for name in COMMANDS)
    assert shown.rstrip().endswith("False")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name: str) -> None:
    result = CliRunner().invoke(app, [name, "--help"])
    assert result.exit_code == 0
    assert "Usage" in result.output


def test_the_version_is_the_packages() -> None:
    assert __version__ in CliRunner().invoke(app, ["--version"]).output


@pytest.mark.parametrize("arguments", [["serach"], ["search", "--spcae", "x"], ["search"]], ids=" ".join)
def test_wrong_usage_ends_with_code_2(arguments: list[str]) -> None:
    assert CliRunner().invoke(app, arguments).exit_code == 2


def test_an_input_error_with_brackets_is_one_plain_message(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def command() -> None:
        raise InputError("data", "[/mnt/images] is not a folder; give one")

    monkeypatch.setattr(sys, "argv", ["tdmr"])
    with pytest.raises(SystemExit) as ended:
        run_command(command)
    assert ended.value.code == 2
    assert "[/mnt/images] is not a folder" in capsys.readouterr().err


def test_warnings_of_the_package_reach_stderr_as_plain_lines(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def command() -> None:
        logging.getLogger("tdmr_ray.store").warning("a folder was damaged")

    monkeypatch.setattr(sys, "argv", ["tdmr"])
    with pytest.raises(SystemExit):
        run_command(command)
    assert capsys.readouterr().err == "a folder was damaged\n"
