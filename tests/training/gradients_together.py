"""One of four processes that compute gradients alone, in a group of two and in a group of four.

Started by `test_gradients_of_workers.py`: python gradients_together.py RANK FOLDER
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, distributed, nn

from tdmr_ray.data.task import Images, Task
from tdmr_ray.method.alignments import ALIGNMENTS, Alignment
from tdmr_ray.method.losses import LOSSES, LogitLoss, balanced_weights
from tdmr_ray.method.schedules import LearnedSchedule, Moment
from tdmr_ray.method.stages import TermWeights
from tdmr_ray.method.teacher import ProxySpace
from tdmr_ray.models import Target
from tdmr_ray.training.batches import Batch
from tdmr_ray.training.config import TrialConfig
from tdmr_ray.training.distill import Distillation
from tdmr_ray.training.learner import Learner
from tdmr_ray.training.objective import BatchLabels, BatchOutputs, loss_terms, weighted_sum
from tdmr_ray.training.teacher_outputs import StoredOutputs
from tdmr_ray.training.workers import Workers, joined_workers

COUNTS = (1, 2, 4)
BATCH_SIZE, NUM_CLASSES, EMBEDDING_DIM = 15, 4, 7
"""A batch of 15 gives two workers 8 and 7 images, and four workers 4, 4, 4 and 3."""
LABELED = (0, 4, 8, 12)
"""All on the first worker, of two and of four."""
CPU = torch.device("cpu")
Case = tuple[str, TermWeights, LogitLoss, Alignment, Tensor | None]
Result = dict[str, Any]


class SmallNetwork(nn.Module):
    """Features and logits of images; no batch norm, which sees only a worker's own images."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.head = nn.Linear(12, 6), nn.Linear(6, NUM_CLASSES)

    def forward(self, images: Tensor, detach_head: bool = False) -> tuple[Tensor, Tensor]:
        """Map images [B, 3, 2, 2] to features [B, 6] and logits [B, C]."""
        features = self.body(images.flatten(1)).tanh()
        return features, 4 * self.head(features)


def cases() -> Iterator[Case]:
    """Yield the label loss, and every logit loss and alignment with its settings, each alone."""
    kl, cka = LOSSES["kl"](LOSSES["kl"].Config()), build("cka")
    balanced = balanced_weights(torch.tensor([0, 0, 0, 1, 2, 2, 3]), NUM_CLASSES)
    for name, weights in (("labels", None), ("labels, balanced", balanced)):
        yield name, TermWeights(0.0, 0.0, 1.0), kl, cka, weights
    for kind, loss in LOSSES.items():
        for standardize in (False, True):
            name = f"{kind}, standardized" if standardize else kind
            yield name, TermWeights(0.0, 1.0, 0.0), loss(loss.Config(standardize=standardize)), cka, None
    for kind in ALIGNMENTS:
        yield kind, TermWeights(1.0, 0.0, 0.0), kl, build(kind), None
    yield "cka, debiased", TermWeights(1.0, 0.0, 0.0), kl, build("cka", estimator="debiased"), None


def build(kind: str, **settings: Any) -> Alignment:
    """Build an alignment for the small network, with the same weights on every worker."""
    torch.manual_seed(1)
    return ALIGNMENTS[kind](ALIGNMENTS[kind].Config(**settings), 6, EMBEDDING_DIM)


def gradients_of(case: Case, workers: Workers) -> Result:
    """Return a case's terms, and the gradients that this worker holds after averaging, by parameter."""
    _, weights, logit_loss, alignment, class_weights = case
    torch.manual_seed(0)
    schedule = LearnedSchedule(LearnedSchedule.Config(start=4.0, end=1.0))
    learner = Learner(cast("Target", SmallNetwork()), alignment, schedule, "fp32")
    images, embedding = torch.rand(BATCH_SIZE, 3, 2, 2), torch.randn(BATCH_SIZE, EMBEDDING_DIM)
    teacher_logits, partner = 3 * torch.randn(BATCH_SIZE, NUM_CLASSES), torch.randperm(BATCH_SIZE)
    ratio, label = torch.rand(BATCH_SIZE), torch.full((BATCH_SIZE,), -1)
    label[list(LABELED)] = torch.tensor([0, 2, 1, 3])
    learner.zero_grad()
    own = Batch(torch.arange(BATCH_SIZE), torch.zeros(BATCH_SIZE)).part(workers.rank, workers.count).rows
    trained = workers.wrap(learner)
    features, logits, temperature = trained(images[own], False, Moment(0.5, 0, 1), 1)
    labels = BatchLabels(label[own], label[partner[own]], ratio[own])
    part = BatchOutputs(features, logits, labels, ProxySpace(embedding[own], teacher_logits[own]))
    outputs = part.joined(workers, BATCH_SIZE)
    terms = loss_terms(outputs, temperature, alignment=alignment, logit_loss=logit_loss, class_weights=class_weights)
    weighted_sum(terms, weights, CPU).backward()
    named = {name: value.grad for name, value in learner.named_parameters() if value.grad is not None}
    top1 = outputs.labels.top1(outputs.logits)
    return {"gradients": named, "terms": {"top1": top1, **{name: term.detach() for name, term in terms.items()}}}


def distil(workers: Workers) -> Result:
    """Distil for two epochs of three uneven batches, with every term; return metrics and final weights."""
    config = TrialConfig().with_values(
        {
            "data.unlabeled": True,
            "target.name": "test_vit",
            "temperature.schedule": "learned",
            "loss.kind": "dist",
            "distill.batch_size": 31,
            "distill.epochs": 2,
            "distill.lr": 1e-3,
            "distill.labels_weight": 1.0,
            "distill.class_weights": "balanced",
            "views.mix": 0.3,
        }
    )
    random = np.random.default_rng(0)
    pixels = torch.from_numpy(random.integers(0, 256, (70, 3, 16, 16), dtype=np.uint8))
    labels = torch.from_numpy(random.integers(0, NUM_CLASSES, 70))
    train = Images(pixels[:50], torch.cat([labels[:10], torch.full((40,), -1)]))
    val = Images(pixels[50:], labels[50:])
    task = Task(train, 10, val, val, tuple("abcd"), preset="document", fingerprint="random")
    shape = (2, len(train))
    embedding, logits = (random.normal(size=(*shape, width)) for width in (EMBEDDING_DIM, NUM_CLASSES))
    outputs = StoredOutputs(embedding.astype(np.float16), logits.astype(np.float16))
    distillation = Distillation(config, task, outputs, workers, length=100)
    rows = [distillation.run_epoch() for _ in range(2)]
    shown = [{name: value for name, value in row.items() if "images_per_s" not in name} for row in rows]
    return {"epochs": shown, "weights": distillation.learner.state_dict()}


def main(rank: int, folder: Path) -> None:
    """Save this rank's results in every group that it belongs to."""
    torch.set_num_threads(1)
    for count in (each for each in COUNTS if rank < each):
        if count > 1:
            distributed.init_process_group("gloo", f"file://{folder}/group{count}", rank=rank, world_size=count)
        workers = joined_workers()
        assert (workers.rank, workers.count) == (rank, count)
        found = {case[0]: gradients_of(case, workers) for case in cases()}
        torch.save({"cases": found, "distil": distil(workers)}, folder / f"{rank}-of-{count}.pt")
        if count > 1:
            distributed.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
