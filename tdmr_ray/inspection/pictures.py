"""Pictures for the report: confused classes, where the target looks, and the surest label issues."""

from collections import Counter
from collections.abc import Sequence

import torch
from torch import Tensor

from tdmr_ray.data.task import Images
from tdmr_ray.inspection.contents import Confusion, HeatMap, ShownIssue
from tdmr_ray.inspection.grad_cam import grad_cam
from tdmr_ray.inspection.label_issues import LabelIssues
from tdmr_ray.inspection.pools import Pool
from tdmr_ray.inspection.thumbnails import thumbnail, with_heat
from tdmr_ray.models import Target

MAX_ISSUES, MAX_CONFUSIONS, MAX_EXAMPLES, MAX_HEAT_MAPS = 24, 6, 4, 6


def shown_issues(
    pool: Pool, issues: LabelIssues, probabilities: Tensor, class_names: Sequence[str]
) -> list[ShownIssue]:
    """Return the surest label issues with their pictures; arguments as for `tables.write_label_issues`."""
    shown: list[ShownIssue] = []
    for row, suggested in zip(issues.rows[:MAX_ISSUES].tolist(), issues.suggested.tolist(), strict=False):
        given = int(pool.images.labels[row])
        shown.append(
            {
                "picture": thumbnail(_pixels(pool.images, [row])[0]),
                "path": pool.names[row],
                "split": pool.splits[row],
                "label": class_names[given],
                "suggested": class_names[suggested],
                "probability": round(float(probabilities[row, given]), 4),
            }
        )
    return shown


def confusions_of(images: Images, probabilities: Tensor, class_names: Sequence[str]) -> list[Confusion]:
    """Return the most frequent pairs of true and predicted class with examples.

    Args:
        images: Images of val, [N].
        probabilities: Class probabilities from a target that was not trained on these images, [N, C].
        class_names: C names.
    """
    confidence, predicted = probabilities.max(dim=1)
    pairs = list(zip(images.labels.tolist(), predicted.tolist(), strict=True))
    found: list[Confusion] = []
    for (label, other), count in Counter(pair for pair in pairs if pair[0] != pair[1]).most_common(MAX_CONFUSIONS):
        rows = ((images.labels == label) & (predicted == other)).nonzero().flatten()
        surest = rows[confidence[rows].argsort(descending=True)][:MAX_EXAMPLES].tolist()
        pictures = [thumbnail(image) for image in _pixels(images, surest)]
        found.append(
            {"label": class_names[label], "predicted": class_names[other], "count": count, "pictures": pictures}
        )
    return found


def heat_maps_of(target: Target, images: Images, probabilities: Tensor, class_names: Sequence[str]) -> list[HeatMap]:
    """Return Grad-CAM pictures of some wrong and some right predictions; none for a network without feature maps.

    Wrong ones come first, the most confident first. Right ones are of different classes as far as possible.

    Args:
        target: The network, in evaluation mode on the CPU.
        images: Images of val, [N].
        probabilities: Its own, [N, C].
        class_names: C names.
    """
    confidence, predicted = probabilities.max(dim=1)
    right = predicted == images.labels
    wrong = (~right).nonzero().flatten()
    rows = wrong[confidence[wrong].argsort(descending=True)][:MAX_HEAT_MAPS].tolist()
    firsts = {int(images.labels[row]): row for row in reversed(right.nonzero().flatten().tolist())}
    rows += [firsts[label] for label in sorted(firsts)][:MAX_HEAT_MAPS]
    if not rows:
        return []
    pixels = _pixels(images, rows)
    heat = grad_cam(target, pixels, predicted[rows])
    if heat is None:
        return []
    return [
        {
            "picture": thumbnail(image),
            "overlay": thumbnail(with_heat(image, own)),
            "label": class_names[int(images.labels[row])],
            "predicted": class_names[int(predicted[row])],
            "probability": round(float(confidence[row]), 3),
        }
        for row, image, own in zip(rows, pixels, heat, strict=True)
    ]


def _pixels(images: Images, rows: Sequence[int]) -> Tensor:
    """Return some images in 0..1, [K, 3, H, W]."""
    return images.images[torch.tensor(rows, dtype=torch.int64)].float() / 255
