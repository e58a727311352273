"""The Python API: load images, reprogram, distil, search, read results, run a model.

Nothing here prints or exits. Wrong input raises `InputError` with all its problems.
"""

from tdmr_ray.api.results import SearchResult, merge_results, read_results
from tdmr_ray.api.searching import TrialProgress, run_search
from tdmr_ray.api.teaching import ReprogrammedTeacher, distill, load_task, reprogram
from tdmr_ray.deploy.small_model import SmallModel, load_model
from tdmr_ray.output_dir import default_store

__all__ = [
    "ReprogrammedTeacher",
    "SearchResult",
    "SmallModel",
    "TrialProgress",
    "default_store",
    "distill",
    "load_model",
    "load_task",
    "merge_results",
    "read_results",
    "reprogram",
    "run_search",
]
