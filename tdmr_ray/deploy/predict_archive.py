"""`predict.pyz`, which runs an exported file without this package: its torch-free modules in one file."""

import ast
import zipfile
from pathlib import Path

import tdmr_ray

PREDICT_ARCHIVE = "predict.pyz"
ENTRY = "tdmr_ray.deploy.standalone"
_MAIN = """import sys

try:
    import numpy, PIL
except ImportError as error:
    sys.exit(f"predict.pyz needs {error.name}; do: pip install numpy pillow, and onnxruntime or ai-edge-litert")

from ENTRY import main

sys.exit(main())
""".replace("ENTRY", ENTRY)
_ROOT = Path(tdmr_ray.__file__).parent.parent


def write_predict_archive(folder: Path) -> Path:
    """Write `predict.pyz` into a folder, for `python predict.pyz IMAGE...`."""
    path = folder / PREDICT_ARCHIVE
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("__main__.py", _MAIN)
        for source in sources_of(ENTRY):
            archive.write(source, source.relative_to(_ROOT))
    return path


def sources_of(module: str) -> list[Path]:
    """Return the files of this package that a module needs, itself and its packages included."""
    found: set[Path] = set()
    waiting = [module]
    while waiting:
        for path in _files_of(waiting.pop()):
            if path not in found:
                found.add(path)
                waiting += [] if path.parent == _ROOT / "tdmr_ray" and path.stem == "__init__" else _imports(path)
    return sorted(found)


def _files_of(module: str) -> list[Path]:
    """Return the file of a module and those of the packages around it."""
    parts = module.split(".")
    packages = [_ROOT.joinpath(*parts[:depth], "__init__.py") for depth in range(1, len(parts) + 1)]
    return [path for path in [*packages, _ROOT.joinpath(*parts).with_suffix(".py")] if path.is_file()]


def _imports(path: Path) -> list[str]:
    """Return the modules of this package that a file imports, at its top or later."""
    names: list[str] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return [name for name in names if name.split(".")[0] == "tdmr_ray"]
