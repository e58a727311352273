"""The models that a search ships: the recommended one in `best/`, and each pair's own in `best/PAIR/`."""

import logging
import shutil
from collections.abc import Sequence
from pathlib import Path

from tdmr_ray.checksums import write_checked
from tdmr_ray.data.loading import load_task
from tdmr_ray.data.task import Task
from tdmr_ray.deploy.calibration import Calibration, calibrate, measure_reliability
from tdmr_ray.deploy.check_images import check_images_of
from tdmr_ray.deploy.small_model import model_of
from tdmr_ray.models import WEIGHTS_FILE, DamagedWeights, load_weights
from tdmr_ray.records import TDMR, Pair, TrialRecord
from tdmr_ray.report.card import write_card
from tdmr_ray.report.card_facts import CardFacts
from tdmr_ray.report.folder import Comparison
from tdmr_ray.report.row import Model
from tdmr_ray.run_layout import CALIBRATION, RunLayout
from tdmr_ray.training.config import TrialConfig
from tdmr_ray.training.model_folder import describe_model
from tdmr_ray.training.reliability import ModelReliability
from tdmr_ray.training.thresholds import UNCALIBRATED
from tdmr_ray.tuning.ranking import rank

log = logging.getLogger(__name__)


def ship_models(comparison: Comparison, layout: RunLayout, task: Task) -> None:
    """Copy the recommended model to `best/` and the best of each pair by TDMR to `best/PAIR/`, each with a model card.

    Args:
        comparison: The search.
        layout: Its files.
        task: Its images.
    """
    board = comparison.board
    for row in reversed([row for row in board.rows if row.confirmed]):
        pair = Pair(foundation=row.foundation, target=row.target)
        _ship(Model(TDMR, row), comparison, layout, task, layout.best / pair.name)
    if board.recommended is not None:
        _ship(board.recommended, comparison, layout, task, layout.best)


def _ship(model: Model, comparison: Comparison, layout: RunLayout, task: Task, folder: Path) -> None:
    recipe, records = model.figures.recipe, comparison.records
    record = shipped_record(recipe, records)
    if record is None or not (weights := weights_of(record, layout)).exists():
        return
    judged = max((each for each in _own(recipe, records) if each.phase == "confirm"), key=rank, default=None)
    try:
        load_weights(weights)
        found = _calibration(judged, layout, task)
    except DamagedWeights as error:
        again = f"`tdmr train --record {layout.records}:{record.id}` makes them again"
        log.warning("%s; %s does not ship: %s", error, record.id, again)
        return
    write_model(record, weights, task, folder, calibration=found)
    (folder / CALIBRATION).unlink(missing_ok=True)
    if found is not None:
        reliability = _reliability(record, weights, task, found)
        write_checked(folder / CALIBRATION, reliability.model_dump(mode="json"))
    write_card(CardFacts(model, record, comparison, folder), folder)


def shipped_record(recipe: str, records: Sequence[TrialRecord]) -> TrialRecord | None:
    """Return the trial whose weights ship for a recipe; None if there is none.

    The refit with the most labels comes first. Refits have no val to be compared on, so the first seed is taken;
    without a refit, the seed that is best on val.
    """
    own = _own(recipe, records)
    for join in ("all", "val"):
        found = [each for each in own if each.phase == "refit" and each.config["data"]["join"] == join]
        if found:
            return min(found, key=lambda record: record.seed)
    return max((each for each in own if each.phase == "confirm"), key=rank, default=None)


def _own(recipe: str, records: Sequence[TrialRecord]) -> list[TrialRecord]:
    return [each for each in records if each.recipe == recipe and _counts(each) and each.artifacts]


def _counts(record: TrialRecord) -> bool:
    return record.state == "complete" and not record.outside


def weights_of(record: TrialRecord, layout: RunLayout) -> Path:
    """Return the file with the weights of a finalist's trial."""
    return layout.finalists / record.artifacts / WEIGHTS_FILE


def _calibration(record: TrialRecord | None, layout: RunLayout, task: Task) -> Calibration | None:
    """Calibrate a trial on its own val, which it never trained on; None if there is none.

    A refit has no images to be calibrated on, and takes temperature and thresholds of the same recipe before it.
    """
    if record is None or not (weights := weights_of(record, layout)).exists():
        return None
    config = TrialConfig.model_validate(record.config)
    own = task_of(config, task)
    return calibrate(model_of(weights, config, own), own.val) if len(own.val) else None


def task_of(config: TrialConfig, task: Task) -> Task:
    """Return the images of a search in the splits of a trial, which a confirmation redraws."""
    return task if config.data == config.data.base else load_task(config.data, known=task)


def _reliability(record: TrialRecord, weights: Path, task: Task, found: Calibration) -> ModelReliability:
    """Measure what ships on test, unless it was trained on test. Nothing is chosen by the result."""
    config = TrialConfig.model_validate(record.config)
    unseen = len(task.test) and config.data.join != "all"
    return ModelReliability(
        title=record.pair.title,
        temperature=found.temperature,
        val_before=found.before,
        val=found.after,
        test=measure_reliability(found.apply(model_of(weights, config, task)), task.test) if unseen else None,
    )


def write_model(
    record: TrialRecord, weights: Path, task: Task, folder: Path, *, calibration: Calibration | None = None
) -> None:
    """Write a folder for `predict` and `export`: weights, configuration, preprocessing, class names and check images.

    Args:
        record: The trial.
        weights: File with its weights.
        task: The images of the search.
        folder: The folder; made if it does not exist.
        calibration: Its temperature and thresholds; None has neither.
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
        temperature=calibration.temperature if calibration else 1.0,
        thresholds=calibration.thresholds if calibration else UNCALIBRATED,
    )
    check_images_of(task, joined=config.data.join).save(folder)
