"""Files of every kind become upright RGB squares, or give a reason."""

from pathlib import Path

import numpy as np
import pytest
from pictures import BAD, GOOD
from PIL import Image

from tdmr_ray.data.reading import BadImage, InputFormat, read_image


@pytest.mark.parametrize("name", GOOD)
def test_every_kind_of_image_is_read_upright_in_rgb(name: str, tmp_path: Path) -> None:
    make, left, right = GOOD[name]
    make(tmp_path / name)
    pixels = read_image(tmp_path / name, InputFormat(16))
    assert (pixels.shape, pixels.dtype) == ((3, 16, 16), np.uint8)
    assert np.abs(pixels[:, 8, 3].astype(int) - left).max() <= 8
    assert np.abs(pixels[:, 8, 12].astype(int) - right).max() <= 8


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("name", BAD)
def test_bad_file_gives_a_reason(name: str, tmp_path: Path) -> None:
    BAD[name](tmp_path / name)
    with pytest.raises(BadImage) as bad:
        read_image(tmp_path / name, InputFormat(16))
    assert len(str(bad.value)) > 10


def test_large_photo_equals_one_scaled_in_a_single_step(tmp_path: Path) -> None:
    chance = np.random.default_rng(0)
    coarse = Image.fromarray(chance.integers(0, 255, (12, 16, 3), dtype=np.uint8))
    photo = coarse.resize((1600, 1200), Image.Resampling.BICUBIC)
    photo.save(tmp_path / "photo.jpg", quality=95)
    expected = np.asarray(photo.resize((64, 64), Image.Resampling.BILINEAR)).transpose(2, 0, 1).astype(int)
    assert np.abs(read_image(tmp_path / "photo.jpg", InputFormat(64)).astype(int) - expected).mean() < 2
