"""Seeded augmentation: view k of image i is the same picture in every batch.

Teacher outputs can therefore be stored, and a target is trained on exactly the views that the teacher saw.
"""

from tdmr_ray.data.views.draws import uniform_draws
from tdmr_ray.data.views.settings import PRESETS, ViewConfig, ViewSettings, resolve_views
from tdmr_ray.data.views.views import ViewBatch, Views

__all__ = ["PRESETS", "ViewBatch", "ViewConfig", "ViewSettings", "Views", "resolve_views", "uniform_draws"]
