"""Trials as a worker gets them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from tdmr_ray.run_layout import RunLayout
from tdmr_ray.runner.messages import Assignment, WorkerSettings
from tdmr_ray.training.config import TrialConfig
from tdmr_ray.tuning.trial_spec import build_spec


def short_trial(folder: Path, *, finalist: bool = False, **values: Any) -> Assignment:
    """A trial without a teacher, on a few digits, whose files lie in `folder`."""
    config = TrialConfig().with_values({"method": "scratch", "target.name": "lcnet_035", "data.shots": 5, **values})
    spec = replace(build_spec(config, phase="confirm" if finalist else "search"), id="trial")
    return Assignment(spec, WorkerSettings(folder / "store"), RunLayout(folder))
