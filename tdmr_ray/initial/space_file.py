"""The whole space file: every decision, in the order in which the file shows them."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tdmr_ray.initial.budget import SEEDS, Workload, budget, time_limit
from tdmr_ray.initial.choice import Choice
from tdmr_ray.initial.evaluation import controls, cv_folds, objective
from tdmr_ray.initial.facts import ImageFacts, Machine
from tdmr_ray.initial.images import image_size, near_duplicates, on_bad_image, views_preset
from tdmr_ray.initial.method import fixed_prompt, search_ranges
from tdmr_ray.initial.networks import foundations, has_weights, targets
from tdmr_ray.initial.rendering import SpaceFile
from tdmr_ray.initial.weights import Reachable

GIVEN = "as --set says"
CountMacs = Callable[[str, int], float]
"""Returns the multiply-accumulate operations of a target for an image, given its name and side."""


def compose(
    given: Mapping[str, Any],
    facts: ImageFacts,
    machine: Machine,
    reachable: Reachable,
    time: tuple[str, float],
    count_macs: CountMacs,
) -> SpaceFile:
    """Return the sections of a space file.

    Args:
        given: Keys of the `data` section that the user has chosen; `name` is one of them.
        facts: The images.
        machine: The processors.
        reachable: Weights.
        time: Limit of the search, as written and in seconds.
        count_macs: Measures a target.
    """
    teach = foundations(reachable, machine)
    ship = targets(reachable, teach.value)
    prompt = fixed_prompt(teach.value, machine)
    rivals, folds = controls(facts, has_weights(ship.value)), cv_folds(facts)
    data = _data(given, facts, machine)
    names = [each["name"] if isinstance(each, dict) else each for each in ship.value]
    macs = max(count_macs(name, data["image_px"].value) for name in names)
    work = Workload(facts.num_train, macs, rivals.value, len(teach.value) * len(names), folds.value or 0)
    length = budget(time[1], work, machine)
    return {
        "name": Choice(_name(given["name"]), "in output directories and reports"),
        "data": data,
        "pairs": {"foundations": teach, "targets": ship},
        "objective": {"metric": objective(facts)},
        "budget": {"trials": length.trials, "epochs": length.epochs, "time": time_limit(time[0])},
        "confirm": {
            "top": Choice(1, "the best of the pair is trained again, on new draws of the labels"),
            "seeds": Choice(list(SEEDS), "an interval needs at least three"),
            "steps": length.steps,
            "controls": rivals,
            "cv_folds": folds,
        },
        "resources": _resources(machine),
        "search": search_ranges(facts, has_weights(ship.value), length.epochs.value, prompt.value is None),
        "fixed": {
            "prompt.size_px": prompt,
            "views.preset": views_preset(facts),
            "outputs.view_averaging": Choice(1.0, "a target sees a new view of an image in every pass"),
        },
    }


def _data(given: Mapping[str, Any], facts: ImageFacts, machine: Machine) -> dict[str, Choice[Any]]:
    """Return the `data` section; what the user has chosen replaces a decision."""
    sizes = facts.class_sizes
    what = f"{len(sizes)} classes, {sum(sizes.values())} labelled images, {facts.num_unlabeled} without labels"
    if facts.num_unlabeled:
        what += ", which join the training"
    own: dict[str, Choice[Any]] = {
        "name": Choice(given["name"], what),
        "image_px": image_size(facts, machine),
        "near_duplicates": near_duplicates(facts),
        "on_bad_image": on_bad_image(facts),
    }
    return own | {key: Choice(value, GIVEN) for key, value in given.items() if key != "name"}


def _resources(machine: Machine) -> dict[str, Choice[Any]]:
    gpu = Choice("auto", "measures how many trials fit into the GPU's memory") if machine.gpu else Choice(0, "no GPU")
    return {"cpu": Choice(1, f"of a trial; {machine.describe()}"), "gpu": gpu}


def _name(source: str) -> str:
    """Return a name for a search of a source: its last part, without a suffix."""
    return re.sub(r"\W+", "_", Path(source.partition(":")[2] or source).stem).strip("_") or "my_images"
