"""One trial to be run, as a typed message from the search to a worker."""

from dataclasses import dataclass, field

from tdmr_ray.records import TDMR, Pair, Phase
from tdmr_ray.space import Value
from tdmr_ray.training.config import TrialConfig


@dataclass(frozen=True)
class TrialSpec:
    """One trial to be run.

    Attributes:
        id: Phase and hash of the configuration.
        phase: `search`, or `confirm`, which evaluates on test and keeps the weights.
        role: `tdmr` or the name of a control.
        pair: Foundation and target.
        config: Complete configuration.
        values: Searched parameters as Optuna drew them.
        teacher_key: Key of the teacher artifact; '' if the trial needs none or the key is not computed yet.
        only_teacher: Whether to make the teacher and nothing else; such a trial has no record.
    """

    id: str
    phase: Phase
    role: str
    pair: Pair
    config: TrialConfig
    values: dict[str, Value] = field(default_factory=dict)
    teacher_key: str = ""
    only_teacher: bool = False


def build_spec(
    config: TrialConfig, *, phase: Phase, role: str = TDMR, values: dict[str, Value] | None = None
) -> TrialSpec:
    """Build a spec; its id and pair follow from the phase and the configuration."""
    pair = Pair(foundation=config.foundation.label, target=config.target.name)
    return TrialSpec(f"{phase}-{config.key()}", phase, role, pair, config, values or {})
