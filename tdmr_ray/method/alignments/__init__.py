"""Feature alignments. One class a file, one entry below."""

from tdmr_ray.method.alignments.alignment import Alignment, AlignmentConfig
from tdmr_ray.method.alignments.cka import CKAAlignment
from tdmr_ray.method.alignments.project import ProjectionAlignment

ALIGNMENTS: dict[str, type[Alignment]] = {"cka": CKAAlignment, "project": ProjectionAlignment}

__all__ = ["ALIGNMENTS", "Alignment", "AlignmentConfig", "CKAAlignment", "ProjectionAlignment"]
