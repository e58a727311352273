"""Deep grey images of one set have one scale."""

from pathlib import Path

import numpy as np
import pytest
from pictures import make_folder, two_halves
from PIL import Image

from tdmr_ray.data.bit_depth import BitDepth, find_scale, given_scale
from tdmr_ray.data.config import DataConfig
from tdmr_ray.data.loading import load_task
from tdmr_ray.data.reading import InputFormat, read_image


def deep(path: Path, brightest: float, kind: type = np.uint16) -> Path:
    """Left half at half of the brightest value, right half at 0, and one pixel at the brightest."""
    values = np.zeros((40, 60), kind)
    values[:, :30] = brightest / 2
    values[0, 59] = brightest
    Image.fromarray(values).save(path)
    return path


@pytest.mark.parametrize(
    ("brightest", "bits"), [((200, 90), 8), ((1000, 300), 10), ((4000, 2000), 12), ((16000, 9), 14), ((300, 65535), 16)]
)
@pytest.mark.parametrize("suffix", ["png", "tif", "pgm"])
def test_bits_follow_the_brightest_value_of_the_set(
    brightest: tuple[int, ...], bits: int, suffix: str, tmp_path: Path
) -> None:
    paths = [deep(tmp_path / f"{number}.{suffix}", value) for number, value in enumerate(brightest)]
    scale = find_scale(paths)
    assert (scale.bits, scale.float_max) == (bits, None)
    assert len(scale.notes) == 1
    assert (
        f"2 images have 16 bits a pixel; their brightest value is {max(brightest)}, so white is {2**bits - 1}"
        in (scale.notes[0])
    )


@pytest.mark.parametrize(("brightest", "white"), [((0.2, 0.9), 1), ((1, 0.1), 1), ((200, 3), 255), ((1.5, 1), 1.5)])
def test_floating_point_images_have_one_scale(brightest: tuple[float, ...], white: float, tmp_path: Path) -> None:
    paths = [deep(tmp_path / f"{number}.tif", value, np.float32) for number, value in enumerate(brightest)]
    scale = find_scale(paths)
    assert (scale.bits, scale.float_max) == (None, white)
    form = InputFormat(20, bit_depth=scale.bits, float_max=scale.float_max)
    for path, value in zip(paths, brightest, strict=True):
        assert read_image(path, form)[0, 10, 4] == pytest.approx(255 * value / 2 / white, abs=1)


def test_infinite_and_missing_values_are_black(tmp_path: Path) -> None:
    values = np.full((8, 8), 0.5, np.float32)
    values[:, 0], values[:, 7] = np.nan, np.inf
    Image.fromarray(values).save(tmp_path / "odd.tif")
    assert find_scale([tmp_path / "odd.tif"]).float_max == 1
    assert read_image(tmp_path / "odd.tif", InputFormat(8))[0, 0].tolist() == [0, *[128] * 6, 0]


def test_dark_and_bright_images_of_one_sensor_keep_their_ratio(tmp_path: Path) -> None:
    """Scaled alone, the dark one would come out as bright as the bright one."""
    paths = [deep(tmp_path / "dark.png", 1000), deep(tmp_path / "bright.png", 4000)]
    form = InputFormat(20, bit_depth=find_scale(paths).bits)
    dark, bright = (read_image(path, form)[0, 10, 4] for path in paths)
    assert (dark, bright) == (31, 125)


def test_ordinary_and_unreadable_images_have_no_scale(tmp_path: Path) -> None:
    two_halves().save(tmp_path / "plain.png")
    two_halves().save(tmp_path / "photo.jpg")
    (tmp_path / "text.tif").write_text("no image")
    assert find_scale(tmp_path.iterdir()) == BitDepth()


def test_given_bits_count_for_all(tmp_path: Path) -> None:
    assert given_scale(12) == BitDepth(12, 4095.0)


def test_task_finds_or_takes_the_scale_and_keeps_it(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "set", 8)
    deep(folder / "left" / "deep.png", 3000)
    name = str(folder)
    found, given = load_task(DataConfig(name=name, image_px=16)), load_task(DataConfig(name=name, bit_depth=16))
    assert (found.input_format, given.input_format.bit_depth) == (InputFormat(16, bit_depth=12), 16)
    assert "white is 4095 (12 bits) in all of them" in found.notes[0]
    assert not any("white is" in note for note in given.notes)
