"""Reprogram a vision foundation model with your images, distil it into a small network, and search for how.

The public names below are imported when they are first used, so that `import tdmr_ray` loads neither torch nor Ray.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tdmr_ray.api import (
        ReprogrammedTeacher,
        SearchResult,
        TrialProgress,
        distill,
        load_model,
        load_task,
        merge_results,
        read_results,
        reprogram,
        run_search,
    )
    from tdmr_ray.data.task import Task
    from tdmr_ray.deploy.predicting import Prediction
    from tdmr_ray.deploy.small_model import SmallModel
    from tdmr_ray.errors import InputError, SearchStopped
    from tdmr_ray.space import Space

__version__ = "0.1.0"

__all__ = [
    "InputError",
    "Prediction",
    "ReprogrammedTeacher",
    "SearchResult",
    "SearchStopped",
    "SmallModel",
    "Space",
    "Task",
    "TrialProgress",
    "__version__",
    "distill",
    "load_model",
    "load_task",
    "merge_results",
    "read_results",
    "reprogram",
    "run_search",
]

_MODULES = {
    "Task": "tdmr_ray.data.task",
    "Space": "tdmr_ray.space",
    "InputError": "tdmr_ray.errors",
    "SearchStopped": "tdmr_ray.errors",
    "SmallModel": "tdmr_ray.deploy.small_model",
    "Prediction": "tdmr_ray.deploy.predicting",
}
"""Modules of the public names that are not in `tdmr_ray.api`."""


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'tdmr_ray' has no attribute '{name}'")
    return getattr(importlib.import_module(_MODULES.get(name, "tdmr_ray.api")), name)


def __dir__() -> list[str]:
    return sorted(__all__)
