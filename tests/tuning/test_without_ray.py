"""The tuning room does not need Ray."""

import subprocess
import sys
from pathlib import Path

import tdmr_ray.tuning

ROOM = Path(tdmr_ray.tuning.__file__).parent


def test_importing_every_tuning_module_does_not_import_ray() -> None:
    names = [f"tdmr_ray.tuning.{path.stem}" for path in ROOM.glob("[a-z]*.py")]
    assert len(names) > 5
    code = (
        f"import importlib, sys; [importlib.import_module(name) for name in {names}]; assert 'ray' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
