"""The stages of a trial's training, from its configuration."""

from tdmr_ray.method.stages import Stage, TermWeights, plan_stages
from tdmr_ray.training.config import TrialConfig

MEMBER_SHARE = 0.5
"""Weight of the logits that a target has after learning labels alone, beside the teacher's."""


def stages_of(config: TrialConfig, *, has_teacher: bool = True) -> tuple[Stage, ...]:
    """Return the stages; without a teacher there is one, with the label loss alone."""
    settings = config.distill
    if not has_teacher:
        return plan_stages(1, settings.epochs, TermWeights(0.0, 0.0, 1.0))
    weights = TermWeights(settings.alignment_weight, settings.logits_weight, settings.labels_weight)
    return plan_stages(settings.num_stages, settings.epochs, weights, labels_first=_learns_labels_first(config))


def past_share(config: TrialConfig, stages: tuple[Stage, ...]) -> float:
    """Return the share of a target's logits from before a stage in the logits that it learns from in the stage."""
    return MEMBER_SHARE if stages[0].only_labels else config.distill.self_distillation_weight


def _learns_labels_first(config: TrialConfig) -> bool:
    """Whether labels alone are learned in the first half of the epochs.

    Initial weights that were fine-tuned know what the teacher does not (docs/decisions.md). After random weights a
    target knows too little.
    """
    asked = config.distill.learn_first
    return asked == "labels" or (asked == "auto" and bool(config.target.weights))
