"""Mappings from a foundation's answers to the proxy space. One class a file, one entry below."""

from tdmr_ray.method.component import component_problem
from tdmr_ray.method.mappings.bayesian import BayesianMapping
from tdmr_ray.method.mappings.bayesian_plus import BayesianPlusMapping
from tdmr_ray.method.mappings.discriminant import DiscriminantMapping
from tdmr_ray.method.mappings.frequency import FrequencyMapping
from tdmr_ray.method.mappings.iterative import IterativeMapping
from tdmr_ray.method.mappings.linear import LinearMapping
from tdmr_ray.method.mappings.mapping import Mapping, MappingConfig, Refit
from tdmr_ray.method.mappings.prototype import PrototypeMapping
from tdmr_ray.method.mappings.random import RandomMapping
from tdmr_ray.plugins import Registry

MAPPINGS: Registry[type[Mapping]] = Registry(
    "tdmr_ray.mappings",
    {
        "linear": LinearMapping,
        "prototype": PrototypeMapping,
        "discriminant": DiscriminantMapping,
        "random": RandomMapping,
        "frequency": FrequencyMapping,
        "iterative": IterativeMapping,
        "bayesian": BayesianMapping,
        "bayesian_plus": BayesianPlusMapping,
    },
    component_problem(Mapping),
)

__all__ = [
    "MAPPINGS",
    "BayesianMapping",
    "BayesianPlusMapping",
    "DiscriminantMapping",
    "FrequencyMapping",
    "IterativeMapping",
    "LinearMapping",
    "Mapping",
    "MappingConfig",
    "PrototypeMapping",
    "RandomMapping",
    "Refit",
]
