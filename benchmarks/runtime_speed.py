"""Images a minute and start time of `predict.pyz`, for EfficientNet-Lite0 at 96 px and JPEG files of 1 megapixel.

Run:    OMP_NUM_THREADS=1 python benchmarks/runtime_speed.py [--images 200] [--starts 7]
Cost:   about two minutes on an idle machine, mostly the export.
Result: results/runtime_speed.json.

Figures that end in `_cpu` rest on CPU time, user and system, of the whole process and all its threads: what one core
does in a minute, start included. Those that end in `_wall` depend on what else the machine does; its load is noted.
The JPEGs are synthetic pictures (smooth shapes with sensor noise, quality 90), so their sizes differ from a camera's.
"""

import os
import resource
import subprocess
import sys
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

import numpy as np
import typer
from PIL import Image
from results_file import show_and_keep

PX, CLASSES, WIDTH, HEIGHT = 96, 10, 1152, 864
EXPORT = """
import sys, torch
from pathlib import Path
from tdmr_ray.data.reading import InputFormat
from tdmr_ray.deploy.formats import FORMATS, Conversion
from tdmr_ray.deploy.graph import DeployedGraph
from tdmr_ray.deploy.onnx_model import metadata_of
from tdmr_ray.deploy.predict_archive import write_predict_archive
from tdmr_ray.deploy.small_model import SmallModel
from tdmr_ray.models import load_target
from tdmr_ray.training.config import TrialConfig

folder, name, px, classes = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
target = load_target("tf_efficientnet_lite0", num_classes=classes, image_px=px, empty=True).eval()
names, form = tuple(f"class {number}" for number in range(classes)), InputFormat(px)
config = TrialConfig.model_validate({"target": {"name": "tf_efficientnet_lite0"}})
graph = DeployedGraph(SmallModel(target, names, px, form, config)).eval()
pixels = torch.zeros(1, px, px, 3, dtype=torch.uint8).numpy()
conversion = Conversion(graph, 1, pixels, metadata_of(names, form, 1.0))
FORMATS[name].write(conversion, "fp32", folder / f"target{FORMATS[name].suffix}")
write_predict_archive(folder)
"""


def write_photos(folder: Path, count: int) -> float:
    """Write JPEG files of 1 megapixel and return their mean size in kilobytes."""
    folder.mkdir()
    chance = np.random.default_rng(0)
    for number in range(count):
        small = Image.fromarray(chance.integers(0, 256, (27, 36, 3), dtype=np.uint8))
        smooth = np.asarray(small.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC), dtype=np.float32)
        noisy = smooth + chance.normal(0, 4, smooth.shape)
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(folder / f"{number:05d}.jpg", quality=90)
    return sum(path.stat().st_size for path in folder.iterdir()) / count / 1000


def timed(*arguments: Path) -> tuple[float, float]:
    """Run `python predict.pyz` and return its CPU seconds and its seconds by the clock."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    before, started = _cpu_seconds(), perf_counter()
    command = [sys.executable, *map(str, arguments)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)
    return _cpu_seconds() - before, perf_counter() - started


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main(images: int = 200, starts: int = 7) -> None:
    """Measure both runtimes."""
    figures: dict[str, float] = {}
    lines = [f"{'runtime':8} {'images/CPU min':>15} {'images/min':>11} {'start, CPU s':>13} {'start, s':>9}"]
    with TemporaryDirectory() as scratch:
        photos = Path(scratch) / "photos"
        figures["jpeg_kb"] = write_photos(photos, images)
        for name in ("onnx", "litert"):
            folder = Path(scratch) / name
            folder.mkdir()
            command = [sys.executable, "-c", EXPORT, str(folder), name, str(PX), str(CLASSES)]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            pyz = folder / "predict.pyz"
            single = [timed(pyz, photos / "00000.jpg") for _ in range(starts)]
            whole_cpu, whole_wall = timed(pyz, photos)
            start_cpu, start_wall = (median(column) for column in zip(*single, strict=True))
            row = (60 * images / whole_cpu, 60 * images / whole_wall, start_cpu, start_wall)
            keys = ("images_per_minute_cpu", "images_per_minute_wall", "start_s_cpu", "start_s_wall")
            figures |= {f"{name}/{key}": value for key, value in zip(keys, row, strict=True)}
            lines.append(f"{name:8} {row[0]:15.0f} {row[1]:11.0f} {row[2]:13.2f} {row[3]:9.2f}")
    figures |= {"images": images, "starts": starts, "load_average": os.getloadavg()[0]}
    show_and_keep("runtime_speed", lines, figures)


if __name__ == "__main__":
    typer.run(main)
