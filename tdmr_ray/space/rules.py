"""Rules for a whole space file: its names, and its sections together."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from itertools import product
from typing import Any

from pydantic import ValidationError

from tdmr_ray.data.config import DataConfig
from tdmr_ray.data.datasets import check_dataset, has_unlabeled, load_dataset
from tdmr_ray.data.splits import TooManyShots, split_dataset
from tdmr_ray.errors import InputError, near_match
from tdmr_ray.method.component import ComponentConfig, FoundationFacts, TaskFacts
from tdmr_ray.models import check_foundation, check_target
from tdmr_ray.models.foundation import facts_of
from tdmr_ray.models.names import PRETRAINED
from tdmr_ray.space.parameter import ordered_by_condition
from tdmr_ray.space.space import INPUT_PX, WEIGHTS, Space
from tdmr_ray.space.tracking import check_tracking
from tdmr_ray.training.config import COMPONENTS
from tdmr_ray.training.controls import ControlFacts, build_control
from tdmr_ray.training.metrics import METRICS
from tdmr_ray.training.parameters import all_parameters
from tdmr_ray.training.sections import FoundationConfig

OBJECTIVES = tuple(f"val/{name}" for name in METRICS)
MOST_SIZES = 16
"""Largest number of input sizes of a target; its cost is measured with each."""


def check_names(space: Space) -> list[str]:
    """Return the problems with names of data, networks, objective and controls."""
    problems = _under("data.name", check_dataset(space.data))
    for part in space.pairs.by_label.values():
        for network in part.networks:
            problems += _under("pairs.foundations", check_foundation(network.name, network.weights))
    if len(space.pairs.by_label) < len(space.pairs.foundations):
        problems.append("pairs.foundations: two of them would have one name in tables; name their files differently")
    targets = [text for part in space.all_target_versions for text in check_target(part.name, part.weights)]
    problems += _under("pairs.targets", dict.fromkeys(targets))
    if len(space.pairs.by_name) < len(space.pairs.targets):
        problems.append(f"pairs.targets: a name must not come twice; search {INPUT_PX} or {WEIGHTS} instead")
    objective = space.objective.metric
    if not objective.startswith("val/"):
        rule = "must start with 'val/'"
        reason = "; test is read after the search and decides nothing" if objective.startswith("test/") else ""
        problems.append(f"objective.metric: {rule}, got '{objective}'{reason}")
    elif objective not in OBJECTIVES:
        problems.append(f"objective.metric: unknown, got '{objective}'{near_match(objective, OBJECTIVES)}")
    problems += [
        f"data.{key}: is set by the confirmation; leave it out"
        for key in ("draw", "join", "folds", "fold")
        if getattr(space.data, key) != DataConfig.model_fields[key].default
    ]
    problems += _under("tracking", check_tracking(space.tracking))
    kinds = [control.kind for control in space.confirm.controls]
    problems += [f"confirm.controls: '{kind}' must not come twice" for kind in set(kinds) if kinds.count(kind) > 1]
    return problems


def _under(name: str, problems: Iterable[str]) -> list[str]:
    """Prefix the problems of a lower room with the space file's name for their subject."""
    return [f"{name}: {problem}" for problem in problems]


def check_meaning(space: Space) -> list[str]:
    """Return the problems between sections; every name is known by now."""
    try:
        ordered_by_condition(space.search)
    except ValueError as error:
        return [f"search: {error}"]
    dataset = load_dataset(space.data)
    num_classes = len(dataset.class_names)
    problems: list[str] = []
    try:
        split_dataset(
            dataset.labels.numpy(),
            shots=space.data.shots,
            split_seed=space.data.split_seed,
            shots_seed=space.data.shots_seed,
            given=dataset.splits,
        )
    except TooManyShots as error:
        problems += _under("data.shots", error.problems)
    except InputError as error:
        problems += _under("data.name", error.problems)
    for label, part in space.pairs.by_label.items():
        try:
            facts = _facts_of(part)
        except InputError as error:
            problems += _under("pairs.foundations", error.problems)
            continue
        problems += _check_components(space, replace(facts, name=label), TaskFacts(num_classes))
    problems += _check_objective(space, num_classes)
    problems += _check_stages(space)
    problems += _check_workers(space)
    problems += _check_controls(space)
    problems += _check_targets(space)
    return list(dict.fromkeys(problems))


def _check_objective(space: Space, num_classes: int) -> list[str]:
    """Check that the metric is defined on val, which has images of every class."""
    least = METRICS[space.objective.name].min_classes
    if num_classes >= least:
        return []
    return [
        f"objective.metric: '{space.objective.metric}' needs at least {least} classes, and the data has {num_classes}"
    ]


def _check_targets(space: Space) -> list[str]:
    """Rules for the weights that targets start from and the sizes of image that they get."""
    problems = []
    for parameter, attribute in ((INPUT_PX, "input_px"), (WEIGHTS, "weights")):
        entries = [name for name, part in space.pairs.by_name.items() if getattr(part, attribute)]
        for section in ("search", "fixed"):
            if entries and parameter in getattr(space, section):
                problems.append(
                    f"{section}.{parameter}: '{entries[0]}' has its own in pairs.targets; keep one of the two"
                )
    sizes = space.search.get(INPUT_PX)
    if sizes is not None and len(sizes.grid or ()) > MOST_SIZES:
        problems.append(f"search.{INPUT_PX}: must have at most {MOST_SIZES} sizes, since each is timed; give choices")
    if sizes is not None and space.objective.minimize:
        problems.append(
            f"objective.minimize: costs differ within a pair when {INPUT_PX} is searched; give each target one size: "
            "{name: NAME, input_px: 128}"
        )
    return problems


def _check_workers(space: Space) -> list[str]:
    """Rules for trials of several workers."""
    resources, problems = space.resources, []
    if resources.min_workers and resources.min_workers > resources.workers:
        problems.append(
            f"resources.min_workers: must be at most workers, got {resources.min_workers} and {resources.workers}"
        )
    if resources.gpu == "auto" and max(resources.workers, resources.reprogram_workers) > 1:
        problems.append("resources.gpu: 'auto' measures a trial of one process; with several workers give a number")
    smallest = min(int(value) for value in space.possible_values("distill.batch_size"))
    if smallest < 2 * resources.workers:
        problems.append(
            f"resources.workers: each needs at least 2 images of a batch, got {resources.workers} and "
            f"distill.batch_size {smallest}"
        )
    return problems


def _facts_of(part: FoundationConfig) -> FoundationFacts:
    """Return the facts of a foundation; a committee has the largest input of its members and no source classes.

    Raises:
        InputError: If weights have to be loaded and are unavailable.
    """
    facts = [facts_of(each.name, weights=each.weights, image_px=each.image_px) for each in part.networks]
    if len(facts) == 1:
        return facts[0]
    return FoundationFacts(part.label, max(each.image_px for each in facts), num_source_classes=0, takes_tokens=False)


def _check_components(space: Space, foundation: FoundationFacts, task: TaskFacts) -> list[str]:
    """Check every component that the space can choose, at the ends of its ranges."""
    return [
        f"{section}.{problem}"
        for section in COMPONENTS
        for config in component_corners(space, section)
        for problem in config.check(foundation, task)
    ]


def component_corners(space: Space, section: str) -> Iterator[ComponentConfig]:
    """Yield each kind of a component that the space can choose, with every combination of the ends of its ranges."""
    choice = COMPONENTS[section]
    selector = f"{section}.{choice.key}"
    for kind in space.possible_values(selector):
        own = [name for name, info in all_parameters().items() if info.selector == selector and info.is_owned(kind)]
        for values in product(*(_ends(space, name, kind) for name in own)):
            fields = {name.removeprefix(f"{section}."): value for name, value in zip(own, values, strict=True)}
            with suppress(ValidationError):  # a value that only another kind takes; its own entry is checked elsewhere
                yield choice.registry[kind].Config(**fields)


def _ends(space: Space, name: str, kind: str) -> tuple[Any, ...]:
    """Return the extreme values of a parameter that the space can give to a component of this kind."""
    info, parameter = all_parameters()[name], space.search.get(name)
    if parameter is not None and kind in parameter.when.get(info.selector, (kind,)):
        return tuple(parameter.ends)
    return (space.fixed.get(name, info.by_kind[kind]),)


def _check_controls(space: Space) -> list[str]:
    """Check that every control can run."""
    targets = tuple(space.pairs.by_name.values())
    has_pretrained = frozenset(target.name for target in targets if not check_target(target.name, PRETRAINED))
    facts = ControlFacts(has_unlabeled(space.data), targets, has_pretrained)
    return [
        f"confirm.controls: {problem}"
        for control in space.confirm.controls
        for problem in build_control(control).check(facts)
    ]


def _check_stages(space: Space) -> list[str]:
    most = max(space.possible_values("distill.num_stages"))
    if most > space.budget.epochs:
        return [f"distill.num_stages: must be at most budget.epochs ({space.budget.epochs}), got {most}"]
    return []
