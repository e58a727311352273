"""Quantisation-aware distillation: a copy of a network learns to give its outputs in spite of int8's rounding.

Source: Mishra and Marr 2017, arXiv 1711.05852; Polino et al. 2018, arXiv 1802.05668.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import kl_div

from tdmr_ray.data.task import Task
from tdmr_ray.deploy.batches import Pixels
from tdmr_ray.deploy.fake_quantization import RoundedActivations, fold_batch_norm, keep_rounded, round_weights
from tdmr_ray.deploy.graph import DeployedGraph
from tdmr_ray.deploy.small_model import SmallModel
from tdmr_ray.training.batches import Batch, cycle, epoch_batches
from tdmr_ray.training.device import pick_device
from tdmr_ray.training.teacher_outputs import TeacherOutputs, training_views

EPOCHS, LEARNING_RATE = 4, 0.02


@dataclass(frozen=True)
class AwareEpoch:
    """Progress of the training.

    Attributes:
        number: Epochs that have ended.
        of: All epochs.
        loss: Mean Kullback-Leibler divergence from the teacher, in nats.
    """

    number: int
    of: int
    loss: float


def train_aware(
    model: SmallModel,
    task: Task,
    calibration: Pixels,
    *,
    epochs: int = EPOCHS,
    lr: float = LEARNING_RATE,
    teacher: TeacherOutputs | None = None,
    on_epoch: Callable[[AwareEpoch], object] = lambda _: None,
) -> DeployedGraph:
    """Return the network as a device runs it, with rounded weights that bear int8 and are still in floating point.

    Batch norm is folded into the convolutions first. Before each epoch, the ranges of activations are those of the
    images from which the converters take theirs. The training images need no labels.

    Args:
        model: The network.
        task: Its training images.
        calibration: Images from which int8 takes its ranges, [N, px, px, 3].
        epochs: Epochs, as long as those of the target's own training.
        lr: Peak of the learning rate of Adam, in steps of int8.
        teacher: Outputs that are matched; None matches the network's own in floating point.
        on_epoch: Receives the progress.
    """
    device = pick_device()
    graph, original = (DeployedGraph(model).eval().to(device).to(memory_format=torch.channels_last) for _ in range(2))
    planes = torch.from_numpy(calibration).to(device).permute(0, 3, 1, 2).float() / 255
    fold_batch_norm(graph.target, planes[:1])
    optimizer = torch.optim.Adam(round_weights(graph.target), lr=lr)
    activations, views = RoundedActivations(), training_views(model.config, task)
    for epoch in range(epochs):
        observe(activations, graph.target, planes)
        batches = _batches(model, task, epoch, teacher)
        total = 0.0
        for number, batch in enumerate(batches):
            for group in optimizer.param_groups:
                group["lr"] = lr * cycle((epoch + number / len(batches)) / epochs)
            view = views.batch(batch.rows, batch.views)
            images = view.images.to(device, memory_format=torch.channels_last)
            with torch.no_grad():
                wanted = original.target(images).logits if teacher is None else teacher.batch(view).logits
            found = activations.run(graph.target, images).logits
            loss = _divergence(found / model.temperature, wanted.to(device) / model.temperature)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += float(loss.detach())
        on_epoch(AwareEpoch(epoch + 1, epochs, total / len(batches)))
    keep_rounded(graph.target)
    return graph.to("cpu").to(memory_format=torch.contiguous_format)


@torch.no_grad()
def observe(activations: RoundedActivations, network: nn.Module, planes: Tensor) -> None:
    """Take the ranges of activations from images in 0..1, [N, 3, H, W]."""
    with activations.observing():
        for part in planes.split(32):
            activations.run(network, part)


def _batches(model: SmallModel, task: Task, epoch: int, teacher: TeacherOutputs | None) -> list[Batch]:
    return list(
        epoch_batches(
            len(task.train),
            batch_size=model.config.distill.batch_size,
            epoch=epoch,
            seed=model.config.seed,
            num_views=teacher.num_views if teacher else None,
        )
    )


def _divergence(found: Tensor, wanted: Tensor) -> Tensor:
    return kl_div(found.log_softmax(dim=1), wanted.log_softmax(dim=1), reduction="batchmean", log_target=True)
