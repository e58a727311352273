"""YAML with a comment on every line."""

import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from tdmr_ray.initial.choice import Choice

WIDTH = 120
"""Longest line; a longer comment stands above its line."""

Section = Mapping[str, Choice[Any]]
"""Keys of a section in order, with their values and reasons."""
SpaceFile = Mapping[str, Section | Choice[Any]]
"""Sections in order; `name` is a choice."""


def render(sections: SpaceFile) -> str:
    """Return sections as YAML; a choice of None is left out."""
    lines: list[str] = []
    for name, content in sections.items():
        if isinstance(content, Choice):
            lines += _line(name, content, "")
        else:
            inside = [line for key, choice in content.items() for line in _line(key, choice, "  ")]
            lines += [f"{name}:", *inside] if inside else []
    return "\n".join(lines) + "\n"


def _line(key: str, choice: Choice[Any], indent: str) -> Iterator[str]:
    """Yield a key with its value, and the reason beside it or above it."""
    if choice.value is None:
        return
    line, reason = f"{indent}{key}: {flow(choice.value)}", comment(choice.reason)
    if len(line) + len(reason) + 5 <= WIDTH:
        yield f"{line}   # {reason}"
        return
    start = f"{indent}# "
    yield from textwrap.wrap(reason, WIDTH, initial_indent=start, subsequent_indent=start)
    yield line


def comment(text: str) -> str:
    """Return a text on one line, without characters that YAML refuses; names of folders may hold any."""
    return "".join(each if each.isprintable() else "?" for each in " ".join(text.split()))


def flow(value: Any) -> str:
    """Return a value as YAML on one line."""
    text = yaml.safe_dump([value], default_flow_style=True, width=float("inf"), allow_unicode=True, sort_keys=False)
    return text.strip()[1:-1]
