"""What a search under chaos works with: images, a space, folders, and a disk that can be made full."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from helpers.searching import write_space
from PIL import Image
from sklearn.datasets import load_digits

from tdmr_ray.output_dir import is_used

NUM_TRIALS, IMAGES_PER_CLASS, DISK_BYTES = 20, 24, 200 * 1024**2


def space_of(images: Path, minutes: float) -> dict[str, Any]:
    """Return a space of two pairs whose search, with all its interruptions, takes about so many minutes."""
    return {
        "name": "chaos",
        "data": {"name": str(images), "image_px": 32},
        "pairs": {"foundations": ["glyph_cnn", "glyph_hybrid"], "targets": ["mobilenetv3_small_050"]},
        "budget": {"trials": NUM_TRIALS, "epochs": max(6, round(3 * minutes))},
        "confirm": {"top": 1, "seeds": [0], "controls": ["scratch"], "steps": 24, "rival_trials": 0, "refit": False},
        "resources": {"cpu": 1, "concurrent": 1},
        "search": {
            "prompt.size_px": {"low": 0, "high": 4, "step": 2},
            "mapping.kind": {"choices": ["frequency", "linear"]},
            "temperature.schedule": {"choices": ["constant", "cosine"]},
            "distill.lr": {"low": 0.001, "high": 0.03, "log": True},
        },
        "fixed": {"outputs.num_views": 2, "reprogram.epochs": 1},
    }


def write_images(folder: Path) -> None:
    """Write some of scikit-learn's digits as class folders of PNG files."""
    digits = load_digits()
    for label in range(10):
        (folder / str(label)).mkdir(parents=True)
        for number, pixels in enumerate(digits.images[digits.target == label][:IMAGES_PER_CLASS]):
            grey = Image.fromarray((pixels * 255 / 16).astype(np.uint8))
            grey.resize((32, 32), Image.Resampling.BILINEAR).save(folder / str(label) / f"{number}.png")


@dataclass(frozen=True)
class Scene:
    """The files of one search.

    Attributes:
        root: Folder for all of them.
        images: The images, which searches share: their location is part of a configuration.
        space: The space file.
        out: The output directory.
        has_own_disk: Whether the output directory lies on a disk of its own, which only root can make.
    """

    root: Path
    images: Path
    space: Path
    out: Path
    has_own_disk: bool

    @property
    def store(self) -> Path:
        """The store of teachers."""
        return self.root / "store"

    @property
    def ledger(self) -> Path:
        """The records."""
        return self.out / "records.jsonl"

    @property
    def epochs(self) -> Path:
        """Log of all epochs; see `hooks/sitecustomize.py`."""
        return self.root / "epochs.log"

    @property
    def clock(self) -> Path:
        """File with the offset of the clock in seconds."""
        return self.root / "clock"

    def arguments(self) -> list[object]:
        """Return the arguments of the next start."""
        resume = ["--resume"] if is_used(self.out) else []
        return ["--space", self.space, "--out", self.out, "--store", self.store, *resume]

    def fill_disk(self) -> None:
        """Leave no room beside what the output directory's disk holds."""
        disk = os.statvfs(self.out)
        self._resize_disk((disk.f_blocks - disk.f_bfree) * disk.f_frsize)

    def make_room(self) -> None:
        """Give the disk its size again."""
        self._resize_disk(DISK_BYTES)

    def _resize_disk(self, size: int) -> None:
        subprocess.run(["mount", "-o", f"remount,size={size}", self.out], check=True)


@contextmanager
def opened_scene(root: Path, images: Path, minutes: float) -> Iterator[Scene]:
    """Make a folder for a search, with a disk of its own where that is possible."""
    out = root / "out"
    out.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", out]
    mounted = subprocess.run(mount, capture_output=True).returncode == 0
    try:
        scene = Scene(root, images, write_space(root, **space_of(images, minutes)), out, mounted)
        scene.clock.write_text("0")
        yield scene
    except BaseException:
        shutil.copytree(out, root / "out-of-the-failure")
        raise
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", out], check=True)
