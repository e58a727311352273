"""The inspection of a search's images at its end: what it rests on, and where it goes."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from tdmr_ray.api.shipping import weights_of
from tdmr_ray.data.config import DataConfig
from tdmr_ray.data.datasets import load_dataset
from tdmr_ray.data.task import Images
from tdmr_ray.deploy.small_model import SmallModel, load_model, model_of
from tdmr_ray.inspection.held_out import Predictions
from tdmr_ray.inspection.inspect import InspectionFiles, Shown, Sources, inspect_task
from tdmr_ray.models import WEIGHTS_FILE
from tdmr_ray.records import TrialRecord
from tdmr_ray.report.leaderboard import Leaderboard
from tdmr_ray.run_layout import RunLayout
from tdmr_ray.runner.task_cache import TaskCache
from tdmr_ray.store import Store
from tdmr_ray.training.config import TrialConfig
from tdmr_ray.training.evaluate import evaluate
from tdmr_ray.training.features import (
    PLAIN,
    ViewFeatures,
    compute_view,
    features_keys,
    load_view,
    one_network_each,
    save_view,
    with_ids,
)
from tdmr_ray.tuning.ranking import rank


def inspect_search(
    board: Leaderboard,
    records: Sequence[TrialRecord],
    layout: RunLayout,
    data: DataConfig,
    tasks: TaskCache,
    store: Store,
) -> None:
    """Write likely label errors, images to label next, and pictures for the report.

    Nothing is written if nothing is confirmed. If no model is recommended, both tables rest on the foundation alone.
    Test images take no part.

    Args:
        board: The leaderboard.
        records: All records of the search.
        layout: Its files; the recommended model is in `best/`.
        data: Its images.
        tasks: Decoded images.
        store: Store with the features of foundations; missing ones are computed, one pass over the images.
    """
    for earlier in (layout.label_issues, layout.next_to_label, layout.inspection):
        earlier.unlink(missing_ok=True)
    rows = [board.recommended.row] if board.recommended else [row for row in board.rows if row.confirmed]
    if not rows:
        return
    task = with_ids(tasks.get(data))
    taught = [each for each in records if each.recipe == rows[0].recipe and each.state == "complete"]
    held_out, unlabeled = [], None
    if board.recommended:
        held_out = _held_out(board.recommended.figures.recipe, records, layout, tasks)
        if len(task.unlabeled) and (layout.best / WEIGHTS_FILE).exists():
            unlabeled = _probabilities(load_model(layout.best), task.unlabeled)
    sources = Sources(
        features=_features(TrialConfig.model_validate(taught[0].config), data, tasks, store),
        held_out=[predictions for predictions, _ in held_out],
        shown=held_out[0][1] if held_out else None,
        unlabeled=unlabeled,
        names=load_dataset(data).names,
    )
    inspect_task(task, sources, InspectionFiles(layout.label_issues, layout.next_to_label, layout.inspection))


def _features(config: TrialConfig, data: DataConfig, tasks: TaskCache, store: Store) -> list[ViewFeatures]:
    """Return features of train and val without augmentation, for each network of the foundation."""
    task, found = with_ids(tasks.get(data)), []
    for each in one_network_each(config):
        key = features_keys(each, task)[0]

        def write(draft: Path, each: TrialConfig = each) -> None:
            save_view(compute_view(each, task, PLAIN), draft)

        with store.held(key):
            found.append(load_view(store.find(key) or store.add(key, write)))
    return found


def _held_out(
    recipe: str, records: Sequence[TrialRecord], layout: RunLayout, tasks: TaskCache
) -> list[tuple[Predictions, Shown]]:
    """Return what a recipe's confirmed trials predict for their own val images, best trial first."""
    own = [each for each in records if (each.recipe, each.phase, each.state) == (recipe, "confirm", "complete")]
    found = []
    for record in sorted(own, key=rank, reverse=True):
        config = TrialConfig.model_validate(record.config)
        task = with_ids(tasks.get(config.data))
        weights = weights_of(record, layout)
        if record.artifacts and weights.exists() and len(task.val):
            assert task.val.ids is not None, "with_ids numbers them"
            model = model_of(weights, config, task)
            probabilities = _probabilities(model, task.val)
            found.append((Predictions(task.val.ids, probabilities), Shown(model.target, task.val, probabilities)))
    return found


def _probabilities(model: SmallModel, images: Images) -> Tensor:
    """Return probabilities of a model, [N, C]."""
    with torch.inference_mode():
        logits = evaluate(lambda batch: model.target(batch).logits, images, device=torch.device("cpu")).logits
    return (logits / model.temperature).softmax(dim=1).clone()
