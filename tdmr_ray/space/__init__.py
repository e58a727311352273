"""Space files, checked: `space.reading` reads them into a `Space`.

Keys inside a parameter are Optuna's own words; names are dotted paths of `TrialConfig`; `when` is the only logic.
"""

from tdmr_ray.space.parameter import Choices, Parameter, Range, Value, ordered_by_condition
from tdmr_ray.space.sections import AllocationName, Budget, Resources, SamplerName
from tdmr_ray.space.space import INPUT_PX, WEIGHTS, Space

__all__ = [
    "INPUT_PX",
    "WEIGHTS",
    "AllocationName",
    "Budget",
    "Choices",
    "Parameter",
    "Range",
    "Resources",
    "SamplerName",
    "Space",
    "Value",
    "ordered_by_condition",
]
