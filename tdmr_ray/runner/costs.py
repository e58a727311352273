"""Costs of the targets, measured before anything is trained; targets that break a constraint are left out."""

import logging
from pathlib import Path

from tdmr_ray.checksums import DamagedJson, write_checked
from tdmr_ray.data.task import Task
from tdmr_ray.errors import InputError
from tdmr_ray.models.cost import Costs, measure_target, read_costs
from tdmr_ray.space import Space

log = logging.getLogger(__name__)


def target_costs(space: Space, task: Task, path: Path) -> Costs:
    """Measure `params`, `macs` and `latency_ms` of each target with each size of image; return them by label.

    Targets that the file lists are not measured again; a damaged file is ignored.

    Args:
        space: The space with the targets.
        task: Number of classes and size of the images.
        path: `targets.json`; written.
    """
    try:
        known = read_costs(path)
    except DamagedJson as error:
        log.warning("%s is damaged: %s; the targets are measured again", path, error)
        known = {}
    for part in space.all_target_versions:
        if part.label not in known:
            image_px = task.target_px(part.input_px)
            cost = measure_target(part.name, num_classes=task.num_classes, image_px=image_px)
            known[part.label] = cost.as_dict()
    write_checked(path, known)
    return known


def within_limits(space: Space, costs: Costs) -> tuple[Space, list[str]]:
    """Return the space without the targets that break a constraint with any size of image, and a message for each.

    Raises:
        InputError: If no target is left.
    """
    rejected: dict[str, str] = {}
    for name in space.pairs.by_name:
        for label in (part.label for part in space.target_versions(name)):
            broken = [limit for limit in space.objective.constraints if costs[label][limit.cost] > limit.most]
            if broken:
                found = ", ".join(f"{limit.cost} {costs[label][limit.cost]:.4g} > {limit.most:.4g}" for limit in broken)
                rejected[name] = f"{label} is left out: {found}"
    kept = tuple(part for name, part in space.pairs.by_name.items() if name not in rejected)
    if not kept:
        raise InputError("objective.constraints", [*rejected.values(), "no target is left; raise a limit"])
    pairs = space.pairs.model_copy(update={"targets": kept})
    return space.model_copy(update={"pairs": pairs}), list(rejected.values())
