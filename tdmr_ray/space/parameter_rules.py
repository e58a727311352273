"""Rules for single entries of `search` and `fixed`."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from tdmr_ray.errors import near_match
from tdmr_ray.space.messages import readable, rule_of
from tdmr_ray.space.parameter import parameter_type
from tdmr_ray.space.renamed import RENAMED
from tdmr_ray.training.config import COMPONENTS, TrialConfig
from tdmr_ray.training.parameters import ParameterInfo, all_parameters

NOT_SEARCHED = ("method", "objective", "seed", "data.", "foundation.", "target.name", "distill.epochs")
"""Parameters that sections of the space file set."""


def check_parameters(search: Any, fixed: Any) -> list[str]:
    """Return the problems with names, ranges, choices and conditions."""
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


def _searchable() -> dict[str, ParameterInfo]:
    return {name: info for name, info in all_parameters().items() if not name.startswith(NOT_SEARCHED)}


def _parameter_hint(name: str, legal: Mapping[str, Any]) -> str:
    """Say where an unknown parameter is set, what it is called now, or which one it resembles."""
    if name in RENAMED:
        return f"; it is now '{RENAMED[name]}'"
    for prefix in NOT_SEARCHED:
        if name == prefix or (prefix.endswith(".") and name.startswith(prefix)):
            place = "budget.epochs" if name == "distill.epochs" else "a section of its own in the file"
            return f"; it is set by {place}"
    return near_match(name, legal)


def _check_parameter(name: str, tree: Any, legal: Mapping[str, Any]) -> list[str]:
    where = f"search.{name}"
    if not isinstance(tree, dict):
        return [f"{where}: must be a range (low, high) or choices, got {tree!r}; to pin it write it under 'fixed'"]
    kind = parameter_type(tree)
    try:
        parameter = kind.model_validate(tree)
    except ValidationError as error:
        return readable(error, kind, where)
    values = (*parameter.ends, *(parameter.grid or ())[:2])
    problems = [text for value in values for text in _check_value(where, name, value)][:1]
    for other in parameter.when:
        if other not in legal:
            problems.append(f"{where}.when: unknown parameter '{other}'{near_match(other, legal)}")
    return problems


def _check_value(where: str, name: str, value: Any) -> list[str]:
    """Check a value against `TrialConfig`; a component's parameter must be legal for one kind that owns it."""
    info, section = all_parameters()[name], name.partition(".")[0]
    if isinstance(value, str) and section in COMPONENTS and name == f"{section}.{COMPONENTS[section].key}":
        reason = COMPONENTS[section].refused.get(value)
        if reason:
            return [f"{where}: {reason}"]
    choices: list[dict[str, Any]] = [{info.selector: kind} for kind in info.by_kind] or [{}]
    problems = []
    for choice in choices:
        try:
            TrialConfig().with_values({**choice, name: value, "distill.epochs": 10_000})
        except ValidationError as error:
            problems.append(f"{where}: {rule_of(error.errors()[0])}, got {value!r}")
        else:
            return []
    return problems[:1]
