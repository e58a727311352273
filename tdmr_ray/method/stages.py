"""Stages of progressive distillation: the weights of the loss terms over the epochs."""

from dataclasses import dataclass


@dataclass(frozen=True)
class TermWeights:
    """Weights of the three terms of the distillation loss."""

    alignment: float
    logits: float
    labels: float


@dataclass(frozen=True)
class Stage:
    """Consecutive epochs with fixed weights.

    Attributes:
        index: 0 for the first.
        first_epoch: Number over the whole distillation, from 0.
        num_epochs: >= 1.
        weights: Weights of the loss terms.
        detach_head: Whether the head learns the logits without moving the features. A first stage, which only aligns
            features, can then be measured (and pruned) like any other.
        only_labels: Whether only labelled images take part, with the label loss alone.
    """

    index: int
    first_epoch: int
    num_epochs: int
    weights: TermWeights
    detach_head: bool
    only_labels: bool = False

    @property
    def last_epoch(self) -> int:
        """Last epoch of the stage."""
        return self.first_epoch + self.num_epochs - 1


def plan_stages(
    num_stages: int, num_epochs: int, weights: TermWeights, *, labels_first: bool = False
) -> tuple[Stage, ...]:
    """Divide a fixed number of epochs into stages of (nearly) equal length.

    A single stage uses all terms with `weights`. With several, the first stage aligns features. From the second to the
    last stage the share of the labels grows in equal steps to 1, while that of the logits falls to 1/2 and that of the
    alignment to 0, each times its weight. Logits never vanish, since images without labels have no other term.

    Args:
        num_stages: >= 1.
        num_epochs: >= num_stages; the total, whatever the number of stages.
        weights: Base weights.
        labels_first: Whether a stage with labels alone comes before all others and takes half of the epochs, as far as
            each of the others keeps one.

    Raises:
        ValueError: If there are fewer epochs than stages.
    """
    if not 1 <= num_stages <= num_epochs:
        raise ValueError(f"1 <= num_stages <= num_epochs must hold, but got ({num_stages=}, {num_epochs=})")
    before = min(num_epochs // 2, num_epochs - num_stages) if labels_first else 0
    first = (Stage(0, 0, before, TermWeights(0.0, 0.0, 1.0), detach_head=False, only_labels=True),) if before else ()
    edges = [before + round(index * (num_epochs - before) / num_stages) for index in range(num_stages + 1)]
    return first + tuple(
        Stage(
            index=index + len(first),
            first_epoch=edges[index],
            num_epochs=edges[index + 1] - edges[index],
            weights=_stage_weights(index, num_stages, weights),
            detach_head=num_stages > 1 and index == 0,
        )
        for index in range(num_stages)
    )


def _stage_weights(index: int, num_stages: int, base: TermWeights) -> TermWeights:
    if num_stages == 1:
        return base
    if index == 0:
        return TermWeights(base.alignment, base.logits, 0.0)
    share = index / (num_stages - 1)
    return TermWeights(base.alignment * (1 - share), base.logits * (1 - share / 2), base.labels * share)


def stage_at(stages: tuple[Stage, ...], epoch: int) -> Stage:
    """Return the stage that an epoch belongs to."""
    return next(stage for stage in stages if stage.first_epoch <= epoch <= stage.last_epoch)
