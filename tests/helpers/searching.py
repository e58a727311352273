"""A small search by its command line, and its records."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml
from helpers.metrics import without_times
from helpers.waiting import PATIENCE_S

from tdmr_ray.ledger import Ledger

SPACE: dict[str, Any] = {
    "name": "small",
    "data": {"name": "digits", "shots": 5},
    "pairs": {"foundations": ["glyph_cnn"], "targets": ["lcnet_035", "mobilenetv3_small_050"]},
    "budget": {"trials": 6, "epochs": 3},
    "confirm": {"top": 1, "seeds": [0, 1], "controls": ["scratch", "linear_probe", "plain_kd"], "steps": 24},
    "search": {
        "prompt.size_px": {"low": 0, "high": 4, "step": 2},
        "mapping.kind": {"choices": ["frequency", "linear"]},
        "temperature.schedule": {"choices": ["constant", "cosine"]},
        "distill.num_stages": {"low": 1, "high": 3},
    },
    "fixed": {"outputs.num_views": 2, "reprogram.epochs": 1},
}


def command(module: str, *arguments: object) -> list[str]:
    return [sys.executable, "-m", f"tdmr_ray.{module}", *map(str, arguments)]


def run(module: str, *arguments: object, code: int = 0) -> str:
    done = subprocess.run(command(module, *arguments), capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    return done.stdout


def write_space(folder: Path, **changes: Any) -> Path:
    path = folder / "space.yaml"
    path.write_text(yaml.safe_dump({**SPACE, **changes}))
    return path


def records_without_times(path: Path) -> list[dict[str, Any]]:
    rows = []
    for record in Ledger(path).read():
        row = record.model_dump(exclude={"seconds", "ended", "cpu_hours", "gpu_hours", "teacher_seconds"})
        rows.append({**row, "metrics": without_times(record.metrics)})
    return rows
