"""Counts of `structure.py` on small sources."""

import ast
from pathlib import Path

import pytest

from benchmarks.structure import Module, begins_with_fragment, count_places, function_lengths, split_sentences

SOURCE = '''"""Module that mentions overlay in its docstring."""

KINDS = ("border", "overlay")
"""The overlay is documented here."""


def build(kind: str) -> str:
    """Build it."""
    if kind == "overlay":
        return "use border or overlay"
    return "overlays"
'''


def module() -> Module:
    return Module(Path("a.py"), SOURCE, ast.parse(SOURCE))


def test_places_are_lines_that_name_the_kind_outside_of_docstrings() -> None:
    assert count_places([module(), module()], "overlay") == (2, 6)
    assert count_places([module()], "masked") == (0, 0)


def test_the_length_of_a_function_includes_its_signature() -> None:
    assert function_lengths([module()]) == {"a.py:build:7": 5}


@pytest.mark.parametrize(("text", "fragment"), [("Of a trial.", True), ("As `x`.", True), ("Offer a trial.", False)])
def test_a_fragment_is_recognized_by_its_first_word(text: str, fragment: bool) -> None:
    assert begins_with_fragment(text) == fragment


def test_sentences_are_split_at_stops_and_colons() -> None:
    assert split_sentences("One. Two\n\nrows: Of it") == ["One.", "Two", "rows:", "Of it"]
