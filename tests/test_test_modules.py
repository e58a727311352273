"""Test modules stand alone: what several of them need is a helper or a fixture."""

import ast
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
MODULES = sorted(TESTS.rglob("test_*.py"))


def imported_names(path: Path) -> set[str]:
    """The modules that a file imports at its top."""
    names: set[str] = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(TESTS)))
def test_a_test_module_imports_no_other_one(path: Path) -> None:
    others = {other.stem for other in MODULES}
    assert not {name.split(".")[-1] for name in imported_names(path)} & others


def test_conftest_leaves_the_emulated_cloud_to_the_tests_that_need_it() -> None:
    assert not {name.split(".")[0] for name in imported_names(TESTS / "conftest.py")} & {"boto3", "moto"}
