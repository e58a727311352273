"""Feature alignments. One class a file, one entry below."""

from tdmr_ray.method.alignments.alignment import Alignment, AlignmentConfig
from tdmr_ray.method.alignments.cka import CKAAlignment
from tdmr_ray.method.alignments.project import ProjectionAlignment
from tdmr_ray.method.component import component_problem
from tdmr_ray.plugins import Registry

ALIGNMENTS: Registry[type[Alignment]] = Registry(
    "tdmr_ray.alignments",
    {"cka": CKAAlignment, "project": ProjectionAlignment},
    component_problem(Alignment),
)

__all__ = ["ALIGNMENTS", "Alignment", "AlignmentConfig", "CKAAlignment", "ProjectionAlignment"]
