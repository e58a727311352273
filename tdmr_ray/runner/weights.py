"""Pretrained weights for every machine of a cluster: loaded where a search starts, copied by the store."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

from tdmr_ray.errors import InputError
from tdmr_ray.models import load_target
from tdmr_ray.models.embedded import EMBEDDED
from tdmr_ray.models.names import PRETRAINED, RANDOM
from tdmr_ray.models.weights import FindCopy, create_network, save_copy
from tdmr_ray.runner.shared_store import SharedStore
from tdmr_ray.space import Space
from tdmr_ray.store import Store
from tdmr_ray.training.config import TrialConfig
from tdmr_ray.training.controls import build_control
from tdmr_ray.training.networks import digest_of, foundation_digest, start_digest
from tdmr_ray.training.sections import FoundationConfig, TargetConfig

CHECK_PX = 224
"""Side of the images for which a target is built when only its weights are checked."""


@dataclass(frozen=True)
class WeightCopy:
    """A copy of pretrained weights in the store.

    Attributes:
        name: Name of the network.
        weights: Its weights, as `create_network` takes them.
        key: Key of the copy in the store.
    """

    name: str
    weights: str
    key: str


def check_weights(space: Space) -> None:
    """Load all weights once, before Ray starts; their digests are cached.

    Raises:
        InputError: If any are unavailable; lists all of them.
    """
    problems: list[str] = []
    for part in space.pairs.by_label.values():
        try:
            foundation_digest(part)
        except InputError as error:
            problems += error.problems
    controls = _needed_by_controls(space)
    for name, weights in sorted(_of_targets(targets_of(space))):
        try:
            load_target(name, num_classes=2, image_px=CHECK_PX, weights=weights)
            start_digest(name, weights)
        except InputError as error:
            problems += [text + _why_needed(controls.get((name, weights), ())) for text in error.problems]
    if problems:
        raise InputError("weights", problems)


def targets_of(space: Space) -> list[TargetConfig]:
    """Return every version of a target that a trial or a control may need."""
    versions = list(space.all_target_versions)
    controls = [build_control(settings) for settings in space.confirm.controls if space.confirm.top]
    return versions + [found for control in controls for part in versions for found in control.target_versions(part)]


def share_weights_of_space(space: Space, store: Store) -> tuple[WeightCopy, ...]:
    """Copy all weights that a search needs to the shared store; none if its machines share no storage."""
    return _share(_of_foundations(space.pairs.by_label.values()) | _of_targets(targets_of(space)), store)


def share_weights_of_trial(config: TrialConfig, store: Store) -> tuple[WeightCopy, ...]:
    """Copy the weights of one configuration to the shared store; none if the machines share no storage."""
    return _share(_of_foundations([config.foundation]) | _of_targets([config.target]), store)


def copies_in(shared: SharedStore, copies: Iterable[WeightCopy]) -> FindCopy:
    """Return a function that finds copies of weights in the store; a copy that was found is held there."""
    keys = {(copy.name, copy.weights): copy.key for copy in copies}

    @cache
    def find(name: str, weights: str) -> Path | None:
        key = keys.get((name, weights))
        if key is None:
            return None
        shared.kept.enter_context(shared.store.held(key))
        return shared.store.find(key)

    return find


def _needed_by_controls(space: Space) -> dict[tuple[str, str], tuple[str, ...]]:
    """Return the controls that need weights which no trial of the search needs, by name and weights."""
    searched = _of_targets(space.all_target_versions)
    needed: dict[tuple[str, str], tuple[str, ...]] = {}
    for settings in space.confirm.controls if space.confirm.top else ():
        versions = [
            found for part in space.all_target_versions for found in build_control(settings).target_versions(part)
        ]
        for key in _of_targets(versions) - searched:
            needed[key] = (*needed.get(key, ()), settings.kind)
    return needed


def _why_needed(controls: tuple[str, ...]) -> str:
    """Return the part of a message that names the controls which asked for weights; '' if a trial did."""
    if not controls:
        return ""
    names, verb = " and ".join(f"'{kind}'" for kind in controls), "needs" if len(controls) == 1 else "need"
    return f"; only {names} under confirm.controls {verb} them: leave {'it' if verb == 'needs' else 'them'} out"


def _of_foundations(parts: Iterable[FoundationConfig]) -> set[tuple[str, str]]:
    networks = {network for part in parts for network in part.networks}
    own = {part for part in networks if part.name and part.name not in EMBEDDED and part.weights != RANDOM}
    return {(part.name, part.weights or PRETRAINED) for part in own}


def _of_targets(parts: Iterable[TargetConfig]) -> set[tuple[str, str]]:
    return {(part.name, part.weights) for part in parts if part.weights}


def _share(needed: set[tuple[str, str]], store: Store) -> tuple[WeightCopy, ...]:
    if store.shared is None:
        return ()
    return tuple(WeightCopy(name, weights, _copy(name, weights, store)) for name, weights in sorted(needed))


def _copy(name: str, weights: str, store: Store) -> str:
    """Return the key of a network's copy, which is made unless the store has it."""
    network = create_network(name, weights)
    key = f"weights-{digest_of(network)[:16]}"
    if store.find(key) is None:
        store.add(key, partial(save_copy, network))
    return key
