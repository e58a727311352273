"""A foundation's shape and a task for tests of components; the numbers fit `conftest.TinyFoundation`."""

from tdmr_ray.method.component import FoundationShape, TaskFacts

TASK = TaskFacts(num_classes=3)


def foundation_shape(
    *, image_px: int = 16, num_source_classes: int = 5, feature_dim: int = 6, token_dim: int = 3
) -> FoundationShape:
    """Return the shape of a tiny foundation; it takes tokens unless `token_dim` is 0."""
    return FoundationShape("tiny", image_px, num_source_classes, token_dim > 0, feature_dim, token_dim)
