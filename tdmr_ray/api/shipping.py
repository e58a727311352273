"""The models that a search ships: the recommended one in `best/`, and each pair's own in `best/PAIR/`."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from tdmr_ray.data.task import Task
from tdmr_ray.models import WEIGHTS_FILE
from tdmr_ray.records import Pair, TrialRecord
from tdmr_ray.report.leaderboard import Leaderboard
from tdmr_ray.run_layout import RunLayout
from tdmr_ray.training.config import TrialConfig
from tdmr_ray.training.model_folder import describe_model
from tdmr_ray.tuning.ranking import rank


def ship_models(board: Leaderboard, records: Sequence[TrialRecord], layout: RunLayout, task: Task) -> None:
    """Copy the recommended model to `best/` and the best of each pair by TDMR to `best/PAIR/`.

    Args:
        board: The leaderboard.
        records: All records of the search.
        layout: Its files.
        task: Its images.
    """
    for row in reversed([row for row in board.rows if row.confirmed]):
        pair = Pair(foundation=row.foundation, target=row.target)
        _ship(row.recipe, records, layout, task, layout.best / pair.name)
    if board.recommended is not None:
        _ship(board.recommended.figures.recipe, records, layout, task, layout.best)


def _ship(recipe: str, records: Sequence[TrialRecord], layout: RunLayout, task: Task, folder: Path) -> None:
    record = shipped_record(recipe, records)
    weights = layout.finalists / record.artifacts / WEIGHTS_FILE if record else None
    if record is not None and weights is not None and weights.exists():
        write_model(record, weights, task, folder)


def shipped_record(recipe: str, records: Sequence[TrialRecord]) -> TrialRecord | None:
    """Return the trial whose weights ship for a recipe; None if there is none.

    The refit with the most labels comes first. Refits have no val to be compared on, so the first seed is taken;
    without a refit, the seed that is best on val.
    """
    own = [each for each in records if each.recipe == recipe and each.state == "complete" and each.artifacts]
    for join in ("all", "val"):
        found = [each for each in own if each.phase == "refit" and each.config["data"]["join"] == join]
        if found:
            return min(found, key=lambda record: record.seed)
    return max((each for each in own if each.phase == "confirm"), key=rank, default=None)


def write_model(record: TrialRecord, weights: Path, task: Task, folder: Path) -> None:
    """Write a folder for `predict` and `export`: weights, configuration, preprocessing and class names.

    Args:
        record: The trial.
        weights: File with its weights.
        task: Its images.
        folder: The folder; made if it does not exist.
    """
    config = TrialConfig.model_validate(record.config)
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
