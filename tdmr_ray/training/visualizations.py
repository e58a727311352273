"""What a report shows of a finished trial: its prompt, what its mapping learned, and where teacher and target differ.

Plain data, ready for JSON; pictures are PNG files in base 64. Looks at val, never at test.
"""

import base64
import io
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from tdmr_ray.data.task import Task
from tdmr_ray.method.label_mapping import LabelMapping
from tdmr_ray.method.teacher import Teacher
from tdmr_ray.models import Target
from tdmr_ray.models.names import source_class_names
from tdmr_ray.training.config import TrialConfig
from tdmr_ray.training.device import pick_device
from tdmr_ray.training.evaluate import evaluate
from tdmr_ray.training.teacher_artifact import TeacherArtifact, restore_teacher

MAX_DISAGREEMENTS = 12
MAX_SOURCES = 3
"""Source classes that are shown for a task class."""
MAX_PX = 96
"""Side of a picture."""

Visualizations = dict[str, Any]


def collect_visualizations(
    config: TrialConfig, task: Task, artifact: TeacherArtifact, target: Target
) -> Visualizations:
    """All that is shown of a trial with a teacher.

    Returns:
        `class_names`; `prompt` (a picture, '' without one); `mapping` (for each task class its strongest source
        classes as [name, weight], None for mappings that read features); `disagreements` on val, the surest first
        (`picture`, `label`, and what `teacher` and `target` said with which probability).
    """
    teacher = restore_teacher(config, artifact, task.num_classes)
    return {
        "class_names": list(task.class_names),
        "prompt": _prompt_picture(teacher),
        "mapping": _strongest_sources(teacher, config.foundation.name, task.num_classes),
        "disagreements": _disagreements(teacher, target, task),
    }


def _prompt_picture(teacher: Teacher) -> str:
    return "" if getattr(teacher.prompt, "delta", None) is None else picture(teacher.prompt.cpu().picture())


def _strongest_sources(teacher: Teacher, foundation: str, num_classes: int) -> list[list[tuple[str, float]]] | None:
    if not isinstance(teacher.mapping, LabelMapping):
        return None
    matrix = teacher.mapping.matrix.cpu()
    names = source_class_names(foundation, len(matrix))
    found = []
    for index in range(num_classes):
        weights, places = matrix[:, index].topk(min(MAX_SOURCES, len(matrix)))
        pairs = zip(places.tolist(), weights.tolist(), strict=True)
        found.append([(names[place], round(weight, 4)) for place, weight in pairs if weight > 0])
    return found


def _disagreements(teacher: Teacher, target: Target, task: Task) -> list[dict[str, Any]]:
    said = [_probabilities(network, task) for network in (teacher, target)]
    (teacher_p, teacher_class), (target_p, target_class) = (each.max(dim=1) for each in said)
    differ = (teacher_class != target_class).nonzero().flatten()
    surest = differ[torch.minimum(teacher_p, target_p)[differ].argsort(descending=True)][:MAX_DISAGREEMENTS]
    return [
        {
            "picture": picture(task.val.images[place].float() / 255),
            "label": task.class_names[int(task.val.labels[place])],
            "teacher": (task.class_names[int(teacher_class[place])], round(float(teacher_p[place]), 3)),
            "target": (task.class_names[int(target_class[place])], round(float(target_p[place]), 3)),
        }
        for place in surest.tolist()
    ]


def _probabilities(network: Teacher | Target, task: Task) -> Tensor:
    """Of each class, for the images of val, [N, C]."""
    device = pick_device()
    network = network.to(device).eval()
    return evaluate(lambda images: network(images).logits, task.val, device=device).logits.softmax(dim=1)


def picture(image: Tensor) -> str:
    """An image in 0..1, [3, H, W], as PNG in base 64, at most `MAX_PX` high and wide."""
    pixels = (image.clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
    drawn, file = Image.fromarray(pixels), io.BytesIO()
    drawn.thumbnail((MAX_PX, MAX_PX))
    drawn.save(file, "PNG", optimize=True)
    return base64.b64encode(file.getvalue()).decode()
