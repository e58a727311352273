"""A hash of the source code that a module's results depend on, for the keys of what is stored on disk."""

import ast
import hashlib
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
"""The folder that holds the package `tdmr_ray`."""
OWN = __name__.split(".")[0]


@cache
def source_digest(*modules: str) -> str:
    """SHA-256 of these modules and of every module of their package that they import, directly or not.

    Args:
        modules: Full names, such as `tdmr_ray.data.decoded`.

    Raises:
        ModuleNotFoundError: If one of them does not exist.
    """
    return digest_sources(ROOT, *modules)


def code_of_plugins(*found: object) -> list[str]:
    """SHA-256 of the code of those classes and functions that are not in this package, as `source_digest` counts it.

    Their own package's `__init__` file counts as well.
    """
    modules = dict.fromkeys(str(getattr(each, "__module__", "")) for each in found)
    return [_plugin_digest(name) for name in modules if name.split(".")[0] != OWN]


@cache
def _plugin_digest(module: str) -> str:
    path = Path(sys.modules[module].__file__ or "")
    if path.suffix != ".py":
        return hashlib.sha256(path.read_bytes()).hexdigest()
    depth = len(module.split(".")) - (path.name != "__init__.py")
    return digest_sources(path.parents[depth], module, with_top=True)


def digest_sources(root: Path, *modules: str, with_top: bool = False) -> str:
    """The same as `source_digest` for packages that lie in the folder `root`; reads the files on every call."""
    digest = hashlib.sha256()
    for name, path in sorted(imported_sources(root, *modules, with_top=with_top).items()):
        content = path.read_bytes()
        digest.update(f"{name} {len(content)}\n".encode() + content)
    return digest.hexdigest()


def imported_sources(root: Path, *modules: str, with_top: bool = False) -> dict[str, Path]:
    """Source files by module name: the given modules and everything of their package that they import.

    Imports inside functions count, and so do the `__init__` files of sub-packages. The `__init__` file of the package
    itself counts only `with_top`: where it offers a public API, every module depends on the whole package through it.

    Raises:
        ModuleNotFoundError: If one of the given modules does not exist.
    """
    missing = [name for name in modules if _source_of(root, name) is None]
    if missing:
        raise ModuleNotFoundError(f"modules must be in {root}, got {', '.join(missing)}")
    found: dict[str, Path] = {}
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        path = _source_of(root, name)
        if path is None or name in found or not ("." in name or with_top):
            continue
        found[name] = path
        package = name.split(".")[0]
        names = [name.rpartition(".")[0], *_imported_names(path, name)]
        waiting += [other for other in names if other.split(".")[0] == package]
    return found


def _source_of(root: Path, name: str) -> Path | None:
    """The file of a module or package; None if there is none, as for a function that is imported by name."""
    path = root.joinpath(*name.split("."))
    candidates = path.with_name(f"{path.name}.py"), path / "__init__.py"
    return next((each for each in candidates if each.is_file()), None)


def _imported_names(path: Path, name: str) -> Iterator[str]:
    """Every name that a file may import as a module; some are functions or classes."""
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")[: len(package.split(".")) + 1 - node.level] if node.level else []
            module = ".".join([*parents, *([node.module] if node.module else [])])
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)
