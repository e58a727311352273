"""Which hash and threshold find near-identical images, and how many distinct images they confuse.

    python benchmarks/near_duplicates.py assets/sets/fashion assets/sets/elpv2 assets/sets/clipart

Each folder holds images, one class a folder; they are laid out by `real_assets.sh`. A false pair is a
pair of files within the threshold; clip art holds some true near-duplicates, which count as false here. Recall is the
share of images whose changed copy is within the threshold. The last lines give CPU seconds for 100,000 images.
"""

import argparse
import io
import sys
from collections.abc import Callable
from pathlib import Path
from time import process_time

import imagehash
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageOps

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.results_file import show_and_keep
from tdmr_ray.data.near_duplicates import near_pairs, perceptual_hashes

IMAGE_PX = 64
MOST_IMAGES = 500
THRESHOLDS = {"phash64": (2, 4, 8), "phash256": (16, 24, 32, 40, 48), "dhash64": (2, 4), "dhash256": (16, 24, 32)}
NUM_TIMED = 100_000

Bits = NDArray[np.bool_]


def main() -> None:
    """Print recall and false pairs by hash and threshold, then the speed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folders", type=Path, nargs="+")
    figures: dict[str, float] = {}
    lines = [
        "| set | hash | threshold | false pairs per 1,000 images | " + " | ".join(CHANGES) + " |",
        "|---|---|--:|--:|" + "--:|" * len(CHANGES),
    ]
    for folder in parser.parse_args().folders:
        pictures = read_pictures(folder)
        for name, thresholds in THRESHOLDS.items():
            bits = hash_all(pictures, name)
            changed = {change: hash_all(list(map(CHANGES[change], pictures)), name) for change in CHANGES}
            for threshold in thresholds:
                false_pairs = 1000 * count_pairs(bits, threshold) / len(bits)
                recall = {
                    key: float(((bits != other).sum(axis=1) <= threshold).mean()) for key, other in changed.items()
                }
                shares = " | ".join(f"{100 * value:.0f} %" for value in recall.values())
                lines.append(f"| {folder.name} | {name} | {threshold} | {false_pairs:.1f} | {shares} |")
                start = f"{folder.name}/{name}/{threshold}"
                figures[f"{start}/false_pairs_per_1000"] = false_pairs
                figures.update({f"{start}/recall/{key}": value for key, value in recall.items()})
    figures.update(measure_speed())
    lines += ["", *(f"{key}: {figures[key]:.1f}" for key in ("hash_seconds_100k", "compare_seconds_5k_100k"))]
    show_and_keep("near_duplicates", lines, figures)


def read_pictures(folder: Path) -> list[Image.Image]:
    """Read a random choice of the images in a folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    chosen = np.random.default_rng(1).permutation(len(files))[:MOST_IMAGES]
    return [Image.open(files[index]).convert("RGB") for index in chosen]


def hash_all(pictures: list[Image.Image], name: str) -> Bits:
    """Hash images that are squashed to a square, as decoding does; [N, bits]."""
    function, side = HASHES[name]
    small = [picture.resize((IMAGE_PX, IMAGE_PX), Image.Resampling.BILINEAR) for picture in pictures]
    return np.stack([function(picture, hash_size=side).hash.reshape(-1) for picture in small])


def count_pairs(bits: Bits, threshold: int) -> int:
    """Return the number of pairs of distinct files within the threshold."""
    words = np.packbits(bits, axis=1).view(np.uint64)
    return len(near_pairs(words, np.arange(len(bits)), np.arange(len(bits)), threshold=threshold))


def measure_speed() -> dict[str, float]:
    """Measure hashes of 100,000 images, extrapolated from 2,000, and a comparison of 5,000 with 100,000."""
    images = torch.randint(0, 256, (2000, 3, IMAGE_PX, IMAGE_PX), dtype=torch.uint8)
    start = process_time()
    perceptual_hashes(images)
    hashing = (process_time() - start) * NUM_TIMED / len(images)
    hashes = np.random.default_rng(0).integers(0, 2**63, (NUM_TIMED, 4), dtype=np.uint64)
    start = process_time()
    near_pairs(hashes, np.arange(5000), np.arange(NUM_TIMED))
    return {"hash_seconds_100k": hashing, "compare_seconds_5k_100k": process_time() - start}


def _jpeg(image: Image.Image) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=40)
    return Image.open(buffer).convert("RGB")


def _scaled(image: Image.Image) -> Image.Image:
    return image.resize((max(8, image.width * 2 // 3), max(8, image.height * 2 // 3)), Image.Resampling.BICUBIC)


def _cropped(image: Image.Image) -> Image.Image:
    width, height = image.size
    return image.crop((round(width * 0.025), round(height * 0.025), round(width * 0.975), round(height * 0.975)))


def _next_shot(image: Image.Image) -> Image.Image:
    """Shift by 2 % and add noise."""
    pixels = np.asarray(image).astype(np.float32)
    down, right = (max(1, round(side * 0.02)) for side in pixels.shape[:2])
    shifted = np.pad(pixels, ((down, 0), (right, 0), (0, 0)), mode="edge")[:-down, :-right]
    noise = np.random.default_rng(image.width).normal(0, 4, shifted.shape)
    return Image.fromarray(np.clip(shifted + noise, 0, 255).astype(np.uint8))


HASHES: dict[str, tuple[Callable[..., imagehash.ImageHash], int]] = {
    "phash64": (imagehash.phash, 8),
    "phash256": (imagehash.phash, 16),
    "dhash64": (imagehash.dhash, 8),
    "dhash256": (imagehash.dhash, 16),
}
CHANGES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "jpeg 40": _jpeg,
    "resized": _scaled,
    "crop 5 %": _cropped,
    "brighter 10 %": lambda image: ImageEnhance.Brightness(image).enhance(1.1),
    "darker 10 %": lambda image: ImageEnhance.Brightness(image).enhance(0.9),
    "burst": _next_shot,
    "mirrored": ImageOps.mirror,
}

if __name__ == "__main__":
    main()
