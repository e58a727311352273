"""Choice of the finalists, and the directories of shipped models under `best/`."""

import shutil
from collections.abc import Iterable
from pathlib import Path

from tdmr_ray.data.task import Task
from tdmr_ray.models import WEIGHTS_FILE
from tdmr_ray.records import Pair, TrialRecord, complete
from tdmr_ray.run_layout import RunLayout
from tdmr_ray.runner.task_cache import TaskCache
from tdmr_ray.space import Space
from tdmr_ray.training.config import TrialConfig
from tdmr_ray.training.model_folder import describe_model


def choose_finalists(space: Space, records: Iterable[TrialRecord]) -> list[TrialRecord]:
    """Return the best finished trials of each pair, by the objective on val."""
    found = complete(records, phase="search")
    best = []
    for foundation, target in space.all_pairs:
        own = [record for record in found if record.pair == Pair(foundation=foundation, target=target)]
        own.sort(key=lambda record: -record.metrics[space.objective.maximize])
        best += own[: space.confirm.top]
    return best


def collect_best(records: list[TrialRecord], layout: RunLayout, tasks: TaskCache) -> None:
    """Copy the confirmed target with the best val accuracy of each pair to `best/<pair>/`."""
    confirmed = [record for record in complete(records, phase="confirm") if record.artifacts]
    for name in dict.fromkeys(record.pair.name for record in confirmed):
        own = [record for record in confirmed if record.pair.name == name]
        winner = max(own, key=lambda record: record.metrics["val/top1"])
        weights = layout.finalists / winner.artifacts / WEIGHTS_FILE
        if weights.exists():
            config = TrialConfig.model_validate(winner.config)
            write_best(winner, config, tasks.get(config.data), weights, layout.best / name)


def write_best(record: TrialRecord, config: TrialConfig, task: Task, weights: Path, folder: Path) -> None:
    """Write a directory for `predict` and `export`: weights, configuration, preprocessing and class names.

    Args:
        record: The winner.
        config: Its configuration.
        task: Its images.
        weights: File with its weights.
        folder: The directory; made if it does not exist.
    """
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(weights, folder / WEIGHTS_FILE)
    describe_model(
        folder,
        config,
        class_names=task.class_names,
        image_px=task.target_px(config.target.input_px),
        input_format=task.input_format,
        metrics=record.metrics,
        record=record.id,
    )
