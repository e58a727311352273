"""One trial to be run, as a typed message from the search to a worker."""

from dataclasses import dataclass, field

from tdmr_ray.records import TDMR, Pair, Phase
from tdmr_ray.space import Value
from tdmr_ray.training.config import TrialConfig, hash_json
from tdmr_ray.training.sections import DistillConfig


@dataclass(frozen=True)
class TrialSpec:
    """One trial to be run.

    Attributes:
        id: Phase and hash of configuration and images.
        phase: Part of the protocol.
        role: `tdmr` or the name of a control.
        pair: Foundation and target.
        config: Complete configuration.
        values: Searched parameters as Optuna drew them.
        recipe: Hash of what is trained; see `recipe_of`.
        search_data: Fingerprint of the search's images; '' without a search.
        teacher_key: Key of the teacher artifact; '' if the trial needs none or the key is not computed yet.
        only_teacher: Whether to make the teacher and nothing else; such a trial has no record.
    """

    id: str
    phase: Phase
    role: str
    pair: Pair
    config: TrialConfig
    values: dict[str, Value] = field(default_factory=dict)
    recipe: str = ""
    search_data: str = ""
    teacher_key: str = ""
    only_teacher: bool = False


def build_spec(
    config: TrialConfig,
    *,
    phase: Phase,
    role: str = TDMR,
    values: dict[str, Value] | None = None,
    search_data: str = "",
) -> TrialSpec:
    """Build a spec; its id and pair follow from the phase, the configuration and the search's images."""
    key = hash_json([config.key(), search_data]) if search_data else config.key()
    pair = Pair(foundation=config.foundation.label, target=config.target.name)
    return TrialSpec(f"{phase}-{key}", phase, role, pair, config, values or {}, recipe_of(config), search_data)


def recipe_of(config: TrialConfig) -> str:
    """Return a hash of a configuration without its seed, its length and the division of the images.

    Trials of a finalist or rival share it in all phases of the confirmation.
    """
    length = ("epochs", "patience", "stop_at")
    plain = config.model_copy(
        update={
            "seed": 0,
            "data": config.data.model_copy(update={"draw": 0, "join": "none", "folds": 0, "fold": 0}),
            "distill": config.distill.model_copy(update={name: getattr(DistillConfig(), name) for name in length}),
        }
    )
    return hash_json(plain.model_dump(mode="json"))
