"""Visualizations of a finished trial: its prompt, its mapping, and the images on which teacher and target disagree.

Plain data, ready for JSON; pictures are PNG files in base 64. Uses val, never test.
"""

import base64
import io
from typing import TypedDict

import torch
from PIL import Image
from torch import Tensor

from tdmr_ray.data.task import Task
from tdmr_ray.method.teacher import Teacher
from tdmr_ray.models import Target
from tdmr_ray.models.names import source_class_names
from tdmr_ray.training.config import TrialConfig
from tdmr_ray.training.device import pick_device
from tdmr_ray.training.evaluate import evaluate
from tdmr_ray.training.teacher_artifact import MAPPING, PROMPT, TeacherArtifact, restore_teacher

MAX_DISAGREEMENTS = 12
MAX_SOURCES = 3
"""Source classes that are shown for a task class."""
MAX_PX = 96
"""Largest side of a picture."""


class Disagreement(TypedDict):
    """An image of val that teacher and target classify differently; predictions are (class, probability)."""

    picture: str
    label: str
    teacher: tuple[str, float]
    target: tuple[str, float]


class Visualizations(TypedDict):
    """All that is shown of a trial with a teacher.

    Attributes:
        class_names: C names.
        prompt: A picture; '' without one.
        mapping: The strongest source classes of each task class as (name, weight); None if features are mapped.
        disagreements: On val, the most confident first; none without a val split.
    """

    class_names: list[str]
    prompt: str
    mapping: list[list[tuple[str, float]]] | None
    disagreements: list[Disagreement]


def collect_visualizations(
    config: TrialConfig, task: Task, artifact: TeacherArtifact, target: Target
) -> Visualizations:
    """Collect all that is shown of a trial with a teacher."""
    teacher = restore_teacher(config, artifact, task.num_classes)
    return {
        "class_names": list(task.class_names),
        "prompt": picture(artifact.pictures[PROMPT]) if PROMPT in artifact.pictures else "",
        "mapping": _strongest_sources(artifact.pictures.get(MAPPING), config.foundation.name),
        "disagreements": _disagreements(teacher, target, task),
    }


def _strongest_sources(matrix: Tensor | None, foundation: str) -> list[list[tuple[str, float]]] | None:
    if matrix is None:
        return None
    names = source_class_names(foundation, len(matrix))
    found = []
    for column in matrix.T:
        weights, places = column.topk(min(MAX_SOURCES, len(matrix)))
        pairs = zip(places.tolist(), weights.tolist(), strict=True)
        found.append([(names[place], round(weight, 4)) for place, weight in pairs if weight > 0])
    return found


def _disagreements(teacher: Teacher, target: Target, task: Task) -> list[Disagreement]:
    if not len(task.val):
        return []
    probabilities = [_probabilities(network, task) for network in (teacher, target)]
    (teacher_p, teacher_class), (target_p, target_class) = (each.max(dim=1) for each in probabilities)
    differ = (teacher_class != target_class).nonzero().flatten()
    order = torch.minimum(teacher_p, target_p)[differ].argsort(descending=True)
    return [
        {
            "picture": picture(task.val.images[place].float() / 255),
            "label": task.class_names[int(task.val.labels[place])],
            "teacher": (task.class_names[int(teacher_class[place])], round(float(teacher_p[place]), 3)),
            "target": (task.class_names[int(target_class[place])], round(float(target_p[place]), 3)),
        }
        for place in differ[order][:MAX_DISAGREEMENTS].tolist()
    ]


def _probabilities(network: Teacher | Target, task: Task) -> Tensor:
    """Probabilities of each class for the images of val, [N, C]."""
    device = pick_device()
    network = network.to(device).eval()
    return evaluate(lambda images: network(images).logits, task.val, device=device).logits.softmax(dim=1)


def picture(image: Tensor) -> str:
    """Encode an image [3, H, W] in 0..1 as PNG in base 64, at most `MAX_PX` high and wide."""
    pixels = (image.clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
    drawn, file = Image.fromarray(pixels), io.BytesIO()
    drawn.thumbnail((MAX_PX, MAX_PX))
    drawn.save(file, "PNG", optimize=True)
    return base64.b64encode(file.getvalue()).decode()
