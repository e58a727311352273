"""Reading a space file: every problem in it is found at once, before a device is touched."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from tdmr_ray.data.datasets import LISTED_PX
from tdmr_ray.data.listing import is_listed
from tdmr_ray.errors import InputError, near_match
from tdmr_ray.space.messages import readable
from tdmr_ray.space.parameter_rules import check_parameters
from tdmr_ray.space.rules import check_meaning, check_names
from tdmr_ray.space.space import Space

SECTIONS = Space.model_fields


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


def space_from_dict(tree: Mapping[str, Any], *, name: str = "space") -> Space:
    """Build and check a space from the content of a space file.

    Args:
        tree: Sections by name, as in a space file.
        name: Name for messages.

    Raises:
        InputError: With all problems in it.
    """
    space, problems = check_tree(tree)
    if problems or space is None:
        raise InputError(name, problems)
    return space


def parse_overrides(pairs: Iterable[str]) -> dict[str, Any]:
    """Parse `KEY=VALUE` strings into a dictionary; values are YAML.

    Raises:
        InputError: If a string has no '=', or a value is not YAML.
    """
    wrong = [pair for pair in pairs if "=" not in pair]
    if wrong:
        raise InputError("--set", [f"must be KEY=VALUE, got '{pair}'" for pair in wrong])
    split = (pair.split("=", 1) for pair in pairs)
    return {key.strip(): _parse_value(key, value) for key, value in split}


def _parse_value(key: str, text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InputError("--set", f"{key.strip()}: {text!r} is not YAML; put quotes around a text") from error


def check_tree(tree: Mapping[str, Any]) -> tuple[Space | None, list[str]]:
    """Check a parsed space file; return the space, if it is valid, and the problems."""
    problems = [f"{key}: unknown section{near_match(str(key), SECTIONS)}" for key in tree if key not in SECTIONS]
    parts = {key: value for key, value in tree.items() if key in SECTIONS}
    wrong = check_parameters(parts.get("search"), parts.get("fixed"))
    problems += wrong
    try:
        space = Space.model_validate(parts)
    except ValidationError as error:
        reported = ("search", "fixed") if wrong else ()
        return None, problems + [text for text in readable(error, Space) if not text.startswith(reported)]
    if problems:
        return None, problems + check_names(space.model_copy(update={"search": {}, "fixed": {}}) if wrong else space)
    problems = check_names(space)
    return (None, problems) if problems else (decoded_for_all(space), check_meaning(space))


def decoded_for_all(space: Space) -> Space:
    """Return the space with `data.decode_px` large enough for every foundation and target that names a size."""
    data = space.data
    if data.decode_px is not None or not is_listed(data.name):
        return space
    networks = [network for part in space.pairs.by_label.values() for network in part.networks]
    given = [part.image_px for part in networks] + [part.input_px for part in space.all_target_versions]
    most = max(side or 0 for side in given)
    if most <= (data.image_px or LISTED_PX):
        return space
    return space.model_copy(update={"data": data.model_copy(update={"decode_px": most})})


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


def put(tree: dict[str, Any], key: str, value: Any) -> bool:
    """Set a dotted key in a nested dictionary; return whether everything on its way is a dictionary."""
    *parents, leaf = key.split(".")
    for parent in parents:
        node = tree.setdefault(parent, {})
        if not isinstance(node, dict):
            return False
        tree = node
    tree[leaf] = value
    return True


def _override(tree: dict[str, Any], key: str, value: Any) -> list[str]:
    """Change the tree in place; return a problem if no section has the key."""
    section, *rest = key.split(".")
    if section in SECTIONS and section not in ("search", "fixed"):
        if not rest:
            tree[section] = value
            return []
        return [] if put(tree, key, value) else [f"--set {key}: '{section}' has no such key"]
    for name in ("search", "fixed"):
        if not isinstance(tree.get(name), dict):
            tree[name] = {}
    tree["search"].pop(key, None)
    tree["fixed"][key] = value
    return []
