"""Several trainings of one target as one program: the weights of all trials are stacked, and each step runs them all.

The trials share images, foundation, target, batch size, temperature and losses; they differ in seed, learning rate,
weight decay and the weights of the loss terms. Batch norm takes its statistics from each trial's own batch, and its
running statistics are stacked like the weights.
"""

from collections.abc import Sequence
from copy import deepcopy

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap
from torch.nn.functional import linear

from tdmr_ray.method.teacher import ProxySpace
from tdmr_ray.training.batches import Batch, cycle
from tdmr_ray.training.device import autocast
from tdmr_ray.training.distill import Distillation
from tdmr_ray.training.objective import BatchLabels, BatchOutputs, loss_terms

BETAS, EPS = (0.9, 0.999), 1e-8
"""Constants of AdamW, as torch's."""


class ProductConv2d(nn.Conv2d):
    """A pointwise convolution as a matrix product, which stacks into a batched product, not a grouped convolution."""

    def forward(self, input: Tensor) -> Tensor:
        """[B, C, H, W] to [B, D, H, W]."""
        return linear(input.permute(0, 2, 3, 1), self.weight[:, :, 0, 0], self.bias).permute(0, 3, 1, 2)


def use_products(network: nn.Module) -> None:
    """Replace every pointwise convolution by a product, in place; parameters do not change."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and _is_pointwise(module):
            module.__class__ = ProductConv2d


def normalize_in_fp32(network: nn.Module) -> None:
    """Let batch norm get fp32: its batching rule refuses bf16 maps beside fp32 running statistics."""

    def convert(module: nn.Module, arguments: tuple[Tensor]) -> tuple[Tensor]:
        return (arguments[0].float(),)

    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.register_forward_pre_hook(convert)


def _is_pointwise(module: nn.Conv2d) -> bool:
    plain = module.groups == 1 and module.kernel_size == module.stride == (1, 1)
    return plain and module.padding in ((0, 0), "same", "valid")


class StackedTraining:
    """Trainings that take their steps together.

    Args:
        trials: Trainings that have not begun; they share task, teacher outputs, target and views.
        products: Whether pointwise convolutions become matrix products.
    """

    def __init__(self, trials: Sequence[Distillation], *, products: bool) -> None:
        self.trials, self.first = trials, trials[0]
        targets = [trial.learner.target.train() for trial in trials]
        params, self.buffers = stack_module_state(targets)
        self.shapes = {name: value.shape[1:] for name, value in params.items()}
        self.flat = torch.cat([value.detach().flatten(1) for value in params.values()], dim=1).requires_grad_()
        self.mean, self.square = torch.zeros_like(self.flat), torch.zeros_like(self.flat)
        self.base = deepcopy(targets[0]).to("meta")
        normalize_in_fp32(self.base)
        if products:
            use_products(self.base)
        self.lr = self._each([trial.settings.lr for trial in trials])
        self.decay = self._each([trial.settings.weight_decay for trial in trials])
        self.clip_norm = self._each([trial.settings.clip_norm for trial in trials])
        self.weights = {
            name: self._each([getattr(trial.stages[0].weights, name) for trial in trials])[:, 0]
            for name in ("alignment", "logits", "labels")
        }
        self.steps = 0

    def train_epoch(self, epoch: int = 0) -> Tensor:
        """Take the steps of one epoch; return the mean loss of each trial, [T]."""
        batches = list(zip(*(trial._batches(epoch) for trial in self.trials), strict=True))
        num_steps, num_epochs = len(batches), self.first.num_epochs
        losses = [
            self.step(batch, cycle((number + num_steps * epoch) / (num_steps * num_epochs)))
            for number, batch in enumerate(batches)
        ]
        return torch.stack(losses).mean(dim=0)

    def step(self, batches: Sequence[Batch], factor: float) -> Tensor:
        """Take one step of every trial with its own batch; return their losses, [T]."""
        count, device, first = len(batches), self.first.device, self.first
        view = first.views.batch(torch.cat([batch.rows for batch in batches]), torch.cat([b.views for b in batches]))
        assert first.outputs is not None, "the trials have a teacher"
        proxy = [part.to(device).unflatten(0, (count, -1)) for part in first.outputs.batch(view)]
        labels = first.task.train.labels[view.rows].to(device).unflatten(0, (count, -1))
        features, logits = self.forward(view.images.unflatten(0, (count, -1)))
        losses = vmap(self._loss)(features, logits, proxy[0], proxy[1], labels, self.weights)
        (gradient,) = torch.autograd.grad(losses.sum(), self.flat)
        self._update(gradient, factor)
        return losses.detach()

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Map images [T, B, 3, H, W] to features [T, B, d] and logits [T, B, C]; moves the running statistics."""
        sizes = [shape.numel() for shape in self.shapes.values()]
        parts = zip(self.shapes.items(), self.flat.split(sizes, dim=1), strict=True)
        params = {name: part.reshape(len(part), *shape) for (name, shape), part in parts}

        def run(params: dict[str, Tensor], buffers: dict[str, Tensor], images: Tensor) -> tuple[Tensor, Tensor]:
            features, logits = functional_call(self.base, (params, buffers), (images,))
            return features.float(), logits.float()

        with autocast(self.first.config.precision, self.first.device):
            outputs: tuple[Tensor, Tensor] = vmap(run, randomness="different")(params, self.buffers, images)
        return outputs

    def state_of(self, number: int) -> dict[str, Tensor]:
        """Return the target's weights and running statistics of one trial."""
        sizes = [shape.numel() for shape in self.shapes.values()]
        parts = zip(self.shapes.items(), self.flat[number].detach().split(sizes), strict=True)
        own = {name: part.reshape(shape) for (name, shape), part in parts}
        return {**own, **{name: value[number] for name, value in self.buffers.items()}}

    def _loss(
        self,
        features: Tensor,
        logits: Tensor,
        embedding: Tensor,
        teacher_logits: Tensor,
        labels: Tensor,
        weights: dict[str, Tensor],
    ) -> Tensor:
        ones = torch.ones(len(labels), device=labels.device)
        found = BatchOutputs(features, logits, BatchLabels(labels, labels, ones), ProxySpace(embedding, teacher_logits))
        temperature = self.first.config.temperature.start
        alignment, logit_loss = self.first.learner.alignment, self.first.logit_loss
        terms = loss_terms(found, temperature, alignment=alignment, logit_loss=logit_loss)
        return torch.stack([weights[name] * term for name, term in terms.items()]).sum()

    @torch.no_grad()
    def _update(self, gradient: Tensor, factor: float) -> None:
        """Clip each trial's gradient and take a step of AdamW."""
        self.steps += 1
        norm = gradient.norm(dim=1, keepdim=True)
        gradient = gradient * (self.clip_norm / (norm + 1e-6)).clamp(max=1)
        lr = factor * self.lr
        self.mean.lerp_(gradient, 1 - BETAS[0])
        self.square.mul_(BETAS[1]).addcmul_(gradient, gradient, value=1 - BETAS[1])
        scale = (self.square / (1 - BETAS[1] ** self.steps)).sqrt_().add_(EPS)
        self.flat.mul_(1 - lr * self.decay)
        self.flat.sub_(self.mean / scale * (lr / (1 - BETAS[0] ** self.steps)))

    def _each(self, values: list[float]) -> Tensor:
        return torch.tensor(values, device=self.first.device)[:, None]
