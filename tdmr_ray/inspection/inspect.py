"""Inspection of a task: features and predictions in, tables and pictures out."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from tdmr_ray.checksums import write_checked
from tdmr_ray.data.task import Images, Task
from tdmr_ray.inspection.contents import Inspection
from tdmr_ray.inspection.held_out import Predictions, averaged, mean_predictions, out_of_fold
from tdmr_ray.inspection.label_issues import LabelIssues, find_label_issues
from tdmr_ray.inspection.next_to_label import rank_to_label
from tdmr_ray.inspection.pictures import confusions_of, heat_maps_of, shown_issues
from tdmr_ray.inspection.pools import Pool, labeled_pool, unlabeled_pool
from tdmr_ray.inspection.tables import write_label_issues, write_next_to_label
from tdmr_ray.models import Target
from tdmr_ray.training.features import ViewFeatures
from tdmr_ray.training.linear_heads import INVERSE_PENALTIES, MIN_IMAGES_FOR_LDA, Kind, fit_head, smallest_class

NO_ISSUES = LabelIssues(*(torch.empty(0, dtype=dtype) for dtype in (torch.int64, torch.int64, torch.float32)))


@dataclass(frozen=True)
class Shown:
    """A target and images of val that it was not trained on.

    Attributes:
        target: The network, in evaluation mode on the CPU.
        images: The images, [V].
        probabilities: Its own, [V, C].
    """

    target: Target
    images: Images
    probabilities: Tensor


@dataclass(frozen=True)
class Sources:
    """What an inspection rests on.

    Attributes:
        features: Foundation features of train and val, one for each network of a committee.
        held_out: Predictions of the shipped recipe's trials for the val images of their own.
        shown: The target whose heat maps are drawn; None without a val split.
        unlabeled: The shipped target's probabilities for the training images without labels, [U, C]; None without.
        names: Name of each image of the data set; empty if they have none.
    """

    features: Sequence[ViewFeatures]
    held_out: Sequence[Predictions] = ()
    shown: Shown | None = None
    unlabeled: Tensor | None = None
    names: Sequence[str] = ()

    def at(self, ids: Tensor) -> Tensor:
        """Return features of images, [N, d]."""
        return torch.cat([each.at(ids.numpy()) for each in self.features], dim=1)


@dataclass(frozen=True)
class InspectionFiles:
    """Where the results go: likely label errors, images to label next, and pictures for the report."""

    label_issues: Path
    next_to_label: Path
    inspection: Path


def inspect_task(task: Task, sources: Sources, files: InspectionFiles) -> None:
    """Write the files of an inspection; those that have nothing to say are not written.

    Args:
        task: The images, with ids.
        sources: Features and predictions.
        files: Where they go.
    """
    pool = labeled_pool(task, sources.names)
    probabilities, times = _out_of_fold(pool, sources, task.num_classes)
    issues = NO_ISSUES if probabilities is None else find_label_issues(probabilities, pool.images.labels)
    shown: Inspection = {
        "num_labels": 0 if probabilities is None else len(pool),
        "num_issues": len(issues.rows),
        "issues": [],
        "num_held_out": int((times > 0).sum()),
        "confusions": [],
        "heat_maps": [],
    }
    if probabilities is not None:
        write_label_issues(files.label_issues, pool, issues, probabilities, task.class_names)
        shown["issues"] = shown_issues(pool, issues, probabilities, task.class_names)
    if sources.shown is not None:
        mean, _ = mean_predictions(pool.ids, sources.held_out, task.num_classes)
        rows = (times > 0).nonzero().flatten()
        shown["confusions"] = confusions_of(pool.images.pick(rows), mean[rows], task.class_names)
        own = sources.shown
        shown["heat_maps"] = heat_maps_of(own.target, own.images, own.probabilities, task.class_names)
    if len(task.unlabeled):
        _rank(task, sources, files.next_to_label)
    write_checked(files.inspection, shown)


def _out_of_fold(pool: Pool, sources: Sources, num_classes: int) -> tuple[Tensor | None, Tensor]:
    """Return out-of-fold probabilities of all labelled images, and how many trials held each out."""
    mean, times = mean_predictions(pool.ids, sources.held_out, num_classes)
    head = out_of_fold(sources.at(pool.ids), pool.images.labels, num_classes)
    return None if head is None else averaged(head, mean, times), times


def _rank(task: Task, sources: Sources, path: Path) -> None:
    pool, labeled = unlabeled_pool(task, sources.names), labeled_pool(task, sources.names)
    features, known = sources.at(pool.ids), sources.at(labeled.ids)
    probabilities = head_probabilities(known, labeled.images.labels, features, task.num_classes)
    if sources.unlabeled is not None:
        probabilities = (probabilities + sources.unlabeled) / 2
    write_next_to_label(path, pool, rank_to_label(features, known, probabilities), probabilities, task.class_names)


def head_probabilities(features: Tensor, labels: Tensor, others: Tensor, num_classes: int) -> Tensor:
    """Fit a linear head to features [N, d] and labels [N]; return its probabilities for other features, [M, C]."""
    kind = Kind(None) if smallest_class(labels) >= MIN_IMAGES_FOR_LDA else Kind(INVERSE_PENALTIES[0])
    return fit_head(kind, features, labels, num_classes).logits(others).softmax(dim=1)
