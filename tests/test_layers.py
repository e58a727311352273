"""Imports point down the list of rooms only."""

import ast
from pathlib import Path

import pytest

import tdmr_ray

PACKAGE = Path(tdmr_ray.__file__).parent
ORDER = [
    {"errors", "checksums", "code_digest", "durations", "pareto", "storage", "machine", "terminal", "content_security"},
    {"plugins"},
    {"method", "data", "run_layout"},
    {"models"},
    {"training"},
    {"inspection"},
    {"records"},
    {"ledger", "store", "prices"},
    {"space"},
    {"tuning"},
    {"tracking"},
    {"testing"},
    {"runner"},
    {"deploy"},
    {"report"},
    {"output_dir"},
    {"api", "single_trial"},
    {"initial"},
    {"cli"},
    {"search", "train", "leaderboard", "export", "push", "predict", "data_summary", "init", "repair"},
]
LEVEL = {room: level for level, rooms in enumerate(ORDER) for room in rooms}
ALLOWED_OUTSIDE = {
    "errors": set(),
    "code_digest": set(),
    "plugins": set(),
    "method": {"torch", "pydantic", "pydantic_core"},
    "report": {"pandas", "jinja2", "markupsafe", "numpy", "scipy", "sklearn", "plotly", "pydantic", "rich", "yaml"},
    "storage": {"pyarrow"},
    "store": set(),
    "records": {"pydantic"},
}


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_modules(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


SOURCES = sorted(path for path in PACKAGE.rglob("*.py") if path.name != "__init__.py" or path.parent != PACKAGE)


def test_every_room_has_its_place() -> None:
    assert {room_of(path) for path in SOURCES} == set(LEVEL)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_down(path: Path) -> None:
    room = room_of(path)
    for name in imported_modules(path):
        if name.startswith("tdmr_ray."):
            other = name.split(".")[1]
            assert other == room or LEVEL[other] < LEVEL[room], f"{room} must not import {name}"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_only_the_runner_knows_ray(path: Path) -> None:
    if room_of(path) != "runner":
        assert not {name for name in imported_modules(path) if name.split(".")[0] == "ray"}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_rooms_keep_to_their_libraries(path: Path) -> None:
    import sys

    room = room_of(path)
    if room in ALLOWED_OUTSIDE:
        outside = {name.split(".")[0] for name in imported_modules(path)} - set(sys.stdlib_module_names)
        assert outside - {"tdmr_ray"} <= ALLOWED_OUTSIDE[room]
