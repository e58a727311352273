"""Reading a space file: every problem in it is found at once, before a device is touched."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from tdmr_ray.data.datasets import check_dataset, load_dataset
from tdmr_ray.data.splits import split_dataset
from tdmr_ray.errors import InputError, near_match
from tdmr_ray.method.label_mapping import LABEL_RULES
from tdmr_ray.models import check_foundation, check_target
from tdmr_ray.models.foundation import facts_of
from tdmr_ray.models.names import PRETRAINED, FoundationFacts
from tdmr_ray.space import INPUT_PX, WEIGHTS, Parameter, Space, ordered_by_condition
from tdmr_ray.training.config import TrialConfig
from tdmr_ray.training.controls import CONTROLS

OBJECTIVES = ("val/top1",)
SECTIONS = Space.model_fields
NOT_SEARCHED = ("method", "seed", "data.", "foundation.", "target.name", "distill.epochs")
"""Set by the space file's own sections."""
MOST_SIZES = 16
"""Of a target's images: its cost is measured with each."""


def read_space(path: Path, overrides: Mapping[str, Any] | None = None) -> Space:
    """Read and check a space file.

    Args:
        path: YAML.
        overrides: Dotted keys and values that replace what the file says; a searched parameter is pinned.

    Raises:
        InputError: With all problems in it.
    """
    tree = _load_yaml(path)
    problems: list[str] = []
    for key, value in (overrides or {}).items():
        problems += _override(tree, key, value)
    space, found = check_tree(tree)
    problems += found
    if problems or space is None:
        raise InputError(str(path), problems)
    return space


def parse_overrides(pairs: Iterable[str]) -> dict[str, Any]:
    """`KEY=VALUE` texts to a dictionary; values are YAML.

    Raises:
        InputError: If a text has no '='.
    """
    wrong = [pair for pair in pairs if "=" not in pair]
    if wrong:
        raise InputError("--set", [f"must be KEY=VALUE, got '{pair}'" for pair in wrong])
    split = (pair.split("=", 1) for pair in pairs)
    return {key.strip(): yaml.safe_load(value) for key, value in split}


def check_tree(tree: Mapping[str, Any]) -> tuple[Space | None, list[str]]:
    """Check a parsed space file: the space if it is right, and what is wrong with it."""
    problems = [f"{key}: unknown section{near_match(str(key), SECTIONS)}" for key in tree if key not in SECTIONS]
    parts = {key: value for key, value in tree.items() if key in SECTIONS}
    wrong = _check_parameters(parts.get("search"), parts.get("fixed"))
    problems += wrong
    try:
        space = Space.model_validate(parts)
    except ValidationError as error:
        said = ("search", "fixed") if wrong else ()
        return None, problems + [text for text in _readable(error, Space) if not text.startswith(said)]
    if problems:
        return None, problems + _check_names(space)
    problems = _check_names(space)
    return space, problems or _check_meaning(space)


def _load_yaml(path: Path) -> dict[str, Any]:
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(str(path), f"cannot be read: {error.strerror}; give a space file") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(str(path), f"is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(tree, dict):
        raise InputError(str(path), f"must hold sections such as 'name:' and 'pairs:', got {type(tree).__name__}")
    return tree


def _override(tree: dict[str, Any], key: str, value: Any) -> list[str]:
    """Change the tree in place; a problem if the key means nothing."""
    section, *rest = key.split(".")
    if section in SECTIONS and section not in ("search", "fixed"):
        if not rest:
            tree[section] = value
            return []
        node = tree.setdefault(section, {})
        if not isinstance(node, dict) or len(rest) > 1:
            return [f"--set {key}: '{section}' has no such key"]
        node[rest[0]] = value
        return []
    for name in ("search", "fixed"):
        if not isinstance(tree.get(name), dict):
            tree[name] = {}
    tree["search"].pop(key, None)
    tree["fixed"][key] = value
    return []


def _searchable() -> dict[str, Any]:
    return {name: value for name, value in TrialConfig().flat().items() if not name.startswith(NOT_SEARCHED)}


def _check_parameters(search: Any, fixed: Any) -> list[str]:
    """Names, ranges, choices and conditions of the parameters."""
    problems: list[str] = []
    legal = _searchable()
    for section, tree in (("search", search), ("fixed", fixed)):
        if tree is None:
            continue
        if not isinstance(tree, dict):
            problems.append(f"{section}: must map parameter names to values, got {type(tree).__name__}")
            continue
        for name in tree:
            if name not in legal:
                problems.append(f"{section}.{name}: unknown parameter{_parameter_hint(str(name), legal)}")
    known_search = {n: p for n, p in search.items() if n in legal} if isinstance(search, dict) else {}
    known_fixed = {n: v for n, v in fixed.items() if n in legal} if isinstance(fixed, dict) else {}
    for name in known_search.keys() & known_fixed.keys():
        problems.append(f"fixed.{name}: is searched as well; keep one of the two")
    for name, value in known_fixed.items():
        problems += _check_value(f"fixed.{name}", name, value)
    for name, tree in known_search.items():
        problems += _check_parameter(name, tree, legal)
    return problems


def _parameter_hint(name: str, legal: Mapping[str, Any]) -> str:
    for prefix in NOT_SEARCHED:
        if name == prefix or (prefix.endswith(".") and name.startswith(prefix)):
            place = "budget.epochs" if name == "distill.epochs" else "a section of its own in the file"
            return f"; it is set by {place}"
    return near_match(name, legal)


def _check_parameter(name: str, tree: Any, legal: Mapping[str, Any]) -> list[str]:
    where = f"search.{name}"
    if not isinstance(tree, dict):
        return [f"{where}: must be a range (low, high) or choices, got {tree!r}; to pin it write it under 'fixed'"]
    try:
        parameter = Parameter.model_validate(tree)
    except ValidationError as error:
        return [f"{where}.{text}" for text in _readable(error, Parameter)]
    problems = _check_range(where, parameter)
    if not problems:
        values = parameter.choices if parameter.choices is not None else (parameter.low, parameter.high)
        problems = [text for value in values for text in _check_value(where, name, value)][:1]
    for other in parameter.when:
        if other not in legal:
            problems.append(f"{where}.when: unknown parameter '{other}'{near_match(other, legal)}")
    return problems


def _check_range(where: str, parameter: Parameter) -> list[str]:
    low, high, step, log = parameter.low, parameter.high, parameter.step, parameter.log
    if parameter.choices is not None:
        if low is not None or high is not None or step is not None or log:
            return [f"{where}: choices and a range exclude each other; keep one"]
        if not parameter.choices:
            return [f"{where}.choices: must not be empty"]
        return []
    if low is None or high is None:
        return [f"{where}: needs low and high, or choices, got ({low=}, {high=})"]
    problems = []
    if low > high:
        problems.append(f"{where}: low <= high must hold, got ({low=}, {high=})")
    if step is not None and (step <= 0 or log):
        problems.append(f"{where}: step must be positive and without log, got ({step=}, {log=})")
    if log and low <= 0:
        problems.append(f"{where}: log needs low > 0, got ({low=})")
    return problems


def _check_value(where: str, name: str, value: Any) -> list[str]:
    """Whether `TrialConfig` takes a value for a parameter."""
    try:
        TrialConfig().with_values({name: value, "distill.epochs": 10_000})
    except ValidationError as error:
        details = error.errors()[0]
        return [f"{where}: {_lower_first(details['msg'])}, got {value!r}"]
    return []


def _check_names(space: Space) -> list[str]:
    """Names of data, networks, objective and controls."""
    problems = check_dataset(space.data.name)
    for part in space.pairs.by_label.values():
        problems += check_foundation(part.name, part.weights)
    if len(space.pairs.by_label) < len(space.pairs.foundations):
        problems.append("pairs.foundations: two of them would have one name in tables; name their files differently")
    problems += dict.fromkeys(
        text for part in space.all_target_versions for text in check_target(part.name, part.weights)
    )
    if len(space.pairs.by_name) < len(space.pairs.targets):
        problems.append(f"pairs.targets: a name must not come twice; search {INPUT_PX} or {WEIGHTS} instead")
    objective = space.objective.maximize
    if not objective.startswith("val/"):
        rule = "must start with 'val/'"
        reason = "; test is read once, when finalists are confirmed" if objective.startswith("test/") else ""
        problems.append(f"objective.maximize: {rule}, got '{objective}'{reason}")
    elif objective not in OBJECTIVES:
        problems.append(f"objective.maximize: unknown, got '{objective}'{near_match(objective, OBJECTIVES)}")
    for control in space.confirm.controls:
        if control not in CONTROLS:
            problems.append(f"confirm.controls: unknown control '{control}'{near_match(control, CONTROLS)}")
    return problems


def _check_meaning(space: Space) -> list[str]:
    """What only shows when sections are held against each other; every name is known by now."""
    try:
        ordered_by_condition(space.search)
    except ValueError as error:
        return [f"search: {error}"]
    dataset = load_dataset(space.data.name)
    num_classes = len(dataset.class_names)
    problems: list[str] = []
    try:
        split_dataset(
            dataset.labels.numpy(),
            shots=space.data.shots,
            split_seed=space.data.split_seed,
            shots_seed=space.data.shots_seed,
            parts=dataset.parts,
        )
    except InputError as error:
        problems += error.problems
    for label, part in space.pairs.by_label.items():
        try:
            facts = facts_of(part.name, weights=part.weights, image_px=part.image_px)
        except InputError as error:
            problems += error.problems
            continue
        problems += _check_foundation_fit(space, label, facts, num_classes)
    problems += _check_stages(space)
    problems += _check_workers(space)
    if num_classes < 3:
        problems += _check_two_classes(space)
    if "self_training" in space.confirm.controls and not space.data.unlabeled:
        problems.append(
            "confirm.controls: 'self_training' needs images without labels; set data.unlabeled, or leave it out"
        )
    problems += _check_targets(space)
    return problems


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
    for name, part in space.pairs.by_name.items():
        if "fine_tune" in space.confirm.controls and not part.weights and check_target(name, PRETRAINED):
            problems.append(
                f"confirm.controls: 'fine_tune' needs weights of '{name}', and timm has none; leave the control out"
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


def _check_foundation_fit(space: Space, name: str, facts: FoundationFacts, num_classes: int) -> list[str]:
    problems = []
    prompts = space.possible_values("prompt.kind")
    widest, most = max(space.possible_values("prompt.size_px")), facts.image_px / 2
    if widest > most or (widest == most and {"border", "overlay"} & set(prompts)):
        problems.append(
            f"prompt.size_px: must be less than half of the {facts.image_px} px that '{name}' takes, got {widest}"
        )
    if "tokens" in prompts and not facts.takes_tokens:
        problems.append(f"prompt.kind: 'tokens' needs a plain transformer, and '{name}' is none; leave it out")
    kinds = [kind for kind in space.possible_values("mapping.kind") if kind in LABEL_RULES]
    for kind in kinds:
        if facts.num_source_classes == 0:
            usable = "linear, prototype"
            problems.append(f"mapping.kind: '{kind}' reads source classes, and '{name}' has none; use {usable}")
        elif LABEL_RULES[kind].one_to_one and facts.num_source_classes < num_classes:
            problems.append(
                f"mapping.kind: '{kind}' needs a source class for each of the {num_classes} task classes, "
                f"but '{name}' has {facts.num_source_classes}; use bayesian, linear or prototype"
            )
    return problems


def _check_stages(space: Space) -> list[str]:
    most = max(space.possible_values("distill.num_stages"))
    if most > space.budget.epochs:
        return [f"distill.num_stages: must be at most budget.epochs ({space.budget.epochs}), got {most}"]
    return []


def _check_two_classes(space: Space) -> list[str]:
    problems = []
    if "dkd" in space.possible_values("distill.loss"):
        problems.append("distill.loss: 'dkd' needs at least 3 task classes, got 2; use kl, mse or dist")
    if True in space.possible_values("distill.standardize"):
        problems.append("distill.standardize: says nothing with 2 task classes; set it to false")
    return problems


def _readable(error: ValidationError, model: type[BaseModel]) -> list[str]:
    """pydantic's errors in our words: where, rule, what was got."""
    texts = []
    for details in error.errors():
        place = ".".join(str(part) for part in details["loc"])
        if details["type"] == "extra_forbidden":
            texts.append(f"{place}: unknown key{near_match(str(details['loc'][-1]), _keys_at(model, details['loc']))}")
        elif details["type"] == "missing":
            texts.append(f"{place}: is missing; add it")
        else:
            texts.append(f"{place}: {_lower_first(details['msg'])}, got {details['input']!r}")
    return list(dict.fromkeys(texts))


def _keys_at(model: type[BaseModel], place: tuple[int | str, ...]) -> list[str]:
    """The legal keys where an unknown one was found."""
    for part in place[:-1]:
        field = model.model_fields.get(str(part))
        inner = field.annotation if field else None
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            return list(Parameter.model_fields) if place[0] == "search" else list(model.model_fields)
        model = inner
    return list(model.model_fields)


def _lower_first(text: str) -> str:
    return re.sub(r"^Value error, ", "", text)[:1].lower() + re.sub(r"^Value error, ", "", text)[1:]
