"""Files of every kind become upright RGB squares, or give a reason."""

import io
import sys
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
import torch
from pictures import BAD, GOOD, two_halves
from PIL import Image

from tdmr_ray.data.dataset import scale_images
from tdmr_ray.data.reading import SUFFIXES, BadImage, InputFormat, Interpolation, Resize, is_image, read_image


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


@pytest.mark.parametrize(("resize", "corner", "middle_rows"), [("squash", 255, 16), ("crop", 255, 16), ("pad", 0, 10)])
def test_resize_decides_the_way_to_a_square(resize: Resize, corner: int, middle_rows: int, tmp_path: Path) -> None:
    Image.new("RGB", (48, 30), "white").save(tmp_path / "white.png")
    pixels = read_image(tmp_path / "white.png", InputFormat(16, resize))
    assert pixels[0, 0, 8] == corner
    assert (pixels[0, :, 8] == 255).sum() == middle_rows


def test_crop_keeps_the_middle_and_squash_keeps_everything(tmp_path: Path) -> None:
    wide = np.zeros((20, 60, 3), np.uint8)
    wide[:, 20:40] = 255
    Image.fromarray(wide).save(tmp_path / "wide.png")
    read = {resize: read_image(tmp_path / "wide.png", InputFormat(12, resize)) for resize in ("crop", "squash")}
    assert read["crop"].min() == 255
    assert (read["squash"][0, 6] > 128).sum() == 4


@pytest.mark.parametrize("resize", ["squash", "crop", "pad"])
def test_large_jpeg_keeps_twice_the_pixels_on_its_short_side(resize: Resize, tmp_path: Path) -> None:
    chance = np.random.default_rng(0)
    coarse = Image.fromarray(chance.integers(0, 255, (12, 48, 3), dtype=np.uint8))
    coarse.resize((2400, 600), Image.Resampling.BICUBIC).save(tmp_path / "wide.jpg", quality=95)
    with Image.open(tmp_path / "wide.jpg") as whole:
        whole.load()
        expected = read_image(whole, InputFormat(64, resize)).astype(int)
    assert np.abs(read_image(tmp_path / "wide.jpg", InputFormat(64, resize)).astype(int) - expected).mean() < 2


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("resize", ["squash", "crop", "pad"])
@pytest.mark.parametrize("side_px", [12, 90])
def test_arrays_are_scaled_like_files(resize: Resize, interpolation: Interpolation, side_px: int) -> None:
    pixels = np.random.default_rng(0).integers(80, 180, (40, 60, 3), dtype=np.uint8)
    form = InputFormat(side_px, resize, interpolation)
    scaled = scale_images(torch.from_numpy(pixels).permute(2, 0, 1)[None], form)[0]
    assert np.abs(scaled.numpy().astype(int) - read_image(Image.fromarray(pixels), form)).max() <= 2


def test_known_suffixes_are_pillows() -> None:
    assert set(Image.registered_extensions()) | {".heic", ".heif", ".hif"} >= SUFFIXES


@pytest.mark.parametrize("name", [name for name in GOOD if not name.endswith((".tga", ".avif"))])
def test_image_is_known_by_its_content_whatever_its_name(name: str, tmp_path: Path) -> None:
    GOOD[name][0](tmp_path / name)
    for other in ("IMG_0001", "photo.jpg_large", "photo.2024"):
        (tmp_path / other).write_bytes((tmp_path / name).read_bytes())
        assert is_image(tmp_path / other)
        assert np.array_equal(read_image(tmp_path / other, InputFormat(8)), read_image(tmp_path / name, InputFormat(8)))


NOT_IMAGES = {
    "notes.txt": b"P3 is a plan",
    "labels.csv": b"path,label\n",
    "README": b"",
    "weights.bin": bytes(range(256)) * 8,
    "clip.mp4": b"\0\0\0\x20ftypisom\0\0\2\0",
    "page.pdf": b"%PDF-1.7\n",
}


@pytest.mark.parametrize("name", NOT_IMAGES)
def test_other_files_are_not_taken_for_images(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(NOT_IMAGES[name])
    assert not is_image(tmp_path / name)
    assert not is_image(tmp_path / f"no {name}")
    assert not is_image(tmp_path)


def heic() -> bytes:
    content = io.BytesIO()
    pillow_heif.from_pillow(two_halves()).save(content, quality=95)
    return content.getvalue()


def test_heic_is_read_from_files_and_from_memory(tmp_path: Path) -> None:
    (tmp_path / "photo").write_bytes(heic())
    assert is_image(tmp_path / "photo")
    for source in (tmp_path / "photo", io.BytesIO(heic())):
        pixels = read_image(source, InputFormat(16)).astype(int)
        assert np.abs(pixels[:, 8, 3] - (255, 0, 0)).max() <= 8
        assert np.abs(pixels[:, 8, 12] - (0, 0, 255)).max() <= 8


def test_heic_without_its_library_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "photo.heic").write_bytes(heic())
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    for name in ("OPEN", "ID", "EXTENSION", "MIME"):
        kept = getattr(Image, name)
        without = [key for key in kept if key != "HEIF"] if isinstance(kept, list) else {**kept}
        if isinstance(without, dict):
            without.pop("HEIF", None)
        monkeypatch.setattr(Image, name, without)
    with pytest.raises(BadImage, match=r"pip install 'tdmr_ray\[heic\]'"):
        read_image(tmp_path / "photo.heic", InputFormat(16))
