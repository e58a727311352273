"""Odd image files, and small models that learned from them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from pictures import make_folder
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

import tdmr_ray
from tdmr_ray.data.config import DataConfig
from tdmr_ray.models import load_target
from tdmr_ray.training.config import TrialConfig
from tdmr_ray.training.evaluate import evaluate

IMAGE_PX, DECODE_PX, INPUT_PX = 40, 48, 32


def _picture(number: int, index: int) -> Image.Image:
    """A large noisy picture that is not square; the half that is brighter is the class, if by little."""
    chance = np.random.default_rng(100 * number + index)
    height, width = int(chance.integers(150, 400)), int(chance.integers(200, 700))
    pixels = chance.integers(0, 190, (height, width, 3), dtype=np.uint8)
    start = number * width // 2
    pixels[:, start : start + width // 2] += chance.integers(0, 60, dtype=np.uint8)
    return Image.fromarray(pixels)


def _turned(image: Image.Image, path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    image.rotate(90, expand=True).save(path.with_suffix(".jpg"), exif=exif, quality=90)


def _large(image: Image.Image, path: Path) -> None:
    image.resize((3000, 1000)).save(path.with_suffix(".jpeg"), quality=90)


def _sixteen_bits(image: Image.Image, path: Path) -> None:
    """Grey with 12 bits of 16, and much darker than 12 bits allow."""
    values = np.asarray(image.convert("L"), np.uint16) * 6
    Image.fromarray(values).save(path.with_suffix(".tif"))


WRITERS: dict[str, Callable[[Image.Image, Path], None]] = {
    "turned": _turned,
    "large": _large,
    "tall": lambda image, path: image.crop((0, 0, image.width, 100)).save(path.with_suffix(".png")),
    "cmyk": lambda image, path: image.convert("CMYK").save(path.with_suffix(".jpg"), quality=90),
    "sixteen": _sixteen_bits,
    "no_suffix": lambda image, path: image.save(path.with_suffix(".jpg"), "PNG"),
    "palette": lambda image, path: image.quantize(32).save(path.with_suffix(".gif")),
}


def make_odd_images(folder: Path) -> Path:
    """Make a folder with train/ and test/ of plain images and a val/ that has every kind of image."""
    root = folder / "set"
    for split in ("train", "test"):
        make_folder(root / split, 8)
    for number, name in enumerate(("left", "right")):
        (root / "val" / name).mkdir(parents=True)
        for index in range(21):
            kind = list(WRITERS)[index % len(WRITERS)]
            WRITERS[kind](_picture(number, index), root / "val" / name / f"{kind}_{index}")
    bright = np.full((30, 30), 4000, np.uint16)
    Image.fromarray(bright).save(root / "train" / "left" / "bright.tif")
    return root


def load(root: Path, resize: str = "crop") -> tdmr_ray.Task:
    return tdmr_ray.load_task(root, image_px=IMAGE_PX, decode_px=DECODE_PX, resize=resize)


def fit_head(task: tdmr_ray.Task) -> tdmr_ray.SmallModel:
    """Fit the head of a random target to the training images, and measure it on val as training does."""
    torch.manual_seed(0)
    target = load_target("lcnet_035", num_classes=task.num_classes, image_px=INPUT_PX)
    images = task.train.images.float().div(255.0)
    with torch.no_grad():
        for _ in range(20):
            target.train()(images)
        features = target.eval()(images).features
        scaler = StandardScaler().fit(features.numpy())
        fitted = LogisticRegression(C=0.1, max_iter=1000).fit(
            scaler.transform(features.numpy()), task.train.labels.numpy()
        )
        weight = torch.from_numpy(fitted.coef_ / scaler.scale_) / 2
        bias = torch.from_numpy(fitted.intercept_) / 2 - weight @ torch.from_numpy(scaler.mean_)
        head = target.network.get_classifier()
        is_pair = task.num_classes == 2  # one row says how much likelier the second class is
        head.weight.copy_(torch.cat([-weight, weight]) if is_pair else weight)
        head.bias.copy_(torch.cat([-bias, bias]) if is_pair else bias)
    found = evaluate(lambda batch: target(batch).logits, task.val, device=torch.device("cpu"))
    config = TrialConfig(data=task.source or DataConfig()).with_values(
        {"target.name": "lcnet_035", "target.input_px": INPUT_PX}
    )
    return tdmr_ray.SmallModel(target, task.class_names, INPUT_PX, task.input_format, config, {"val/top1": found.top1})


def distil(root: Path) -> tdmr_ray.SmallModel:
    """Train a small model on the cropped images."""
    task = load(root)
    settings = {"outputs.num_views": 2, "reprogram.epochs": 1, "views.mirror": False}
    teacher = tdmr_ray.reprogram("glyph_cnn", task, settings=settings)
    settings = {"distill.epochs": 2, "target.input_px": INPUT_PX, "distill.batch_size": 32}
    return tdmr_ray.distill(teacher, "lcnet_035", task, settings=settings)
