"""A small model for odd image files."""

from pathlib import Path

import pytest
from helpers.odd_images import fit_head, load, make_odd_images

import tdmr_ray


@pytest.fixture(scope="session")
def odd_images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_odd_images(tmp_path_factory.mktemp("odd"))


@pytest.fixture(scope="session")
def small(odd_images: Path) -> tdmr_ray.SmallModel:
    return fit_head(load(odd_images))


@pytest.fixture(scope="session")
def folder(small: tdmr_ray.SmallModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The saved model."""
    path = tmp_path_factory.mktemp("saved") / "model"
    small.save(path)
    return path
