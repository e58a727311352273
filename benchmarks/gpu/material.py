"""Random images, random teacher outputs and configurations; only the cost of training on them matters."""

import numpy as np
import torch

from benchmarks.gpu.sizes import Sizes
from tdmr_ray.data.task import Images, Task
from tdmr_ray.training.config import Precision, TrialConfig
from tdmr_ray.training.distill import Distillation
from tdmr_ray.training.teacher_outputs import StoredOutputs

TEACHER_DIM = 384


def make_task(sizes: Sizes, count: int | None = None, *, on_device: bool = False) -> Task:
    """Return a task of random images.

    Args:
        sizes: Their size and classes.
        count: Number of training images; None is one epoch's.
        on_device: Whether the training images lie on the card, where views are made without copying them there.
    """
    count = sizes.batch * sizes.steps if count is None else count
    chance = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (count, 3, sizes.px, sizes.px), dtype=torch.uint8, generator=chance)
    labels = torch.arange(count) % sizes.num_classes
    few = Images(pixels[: 2 * sizes.num_classes], labels[: 2 * sizes.num_classes])
    train = Images(pixels.cuda() if on_device else pixels, labels)
    names = tuple(f"class {number}" for number in range(sizes.num_classes))
    return Task(train, count, few, few, class_names=names, preset="photo", fingerprint="random")


def make_outputs(sizes: Sizes, count: int) -> StoredOutputs:
    """Return random teacher outputs for the views of `count` images."""
    chance = np.random.default_rng(0)
    embedding = chance.standard_normal((sizes.num_views, count, TEACHER_DIM), dtype=np.float32).astype(np.float16)
    logits = chance.standard_normal((sizes.num_views, count, sizes.num_classes), dtype=np.float32).astype(np.float16)
    return StoredOutputs(embedding, logits)


def make_config(sizes: Sizes, target: str, precision: Precision = "auto", *, seed: int = 0) -> TrialConfig:
    """Return a trial with the method's defaults at these sizes; seeds differ in all but the views."""
    values = {
        "target.name": target,
        "data.image_px": sizes.px,
        "distill.batch_size": sizes.batch,
        "distill.epochs": sizes.epochs,
        "outputs.num_views": sizes.num_views,
        "precision": precision,
        "seed": seed,
        "views.seed": 0,
    }
    return TrialConfig().with_values(values)


def make_distillation(config: TrialConfig, sizes: Sizes, task: Task | None = None) -> Distillation:
    """Return the training of a target with stored random outputs; `scratch` learns from labels alone.

    An epoch sees each image once, however few they are.
    """
    task = make_task(sizes) if task is None else task
    outputs = None if config.method == "scratch" else make_outputs(sizes, len(task.train))
    return Distillation(config, task, outputs, length=len(task.train))


def train_epoch(distillation: Distillation) -> dict[str, float]:
    """Take the steps of one epoch without measuring on val; return their mean losses."""
    return distillation._train(distillation.stages[0])
