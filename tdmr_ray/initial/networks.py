"""Decisions about the pair: which networks teach, and which one ships."""

from collections.abc import Iterable, Sequence
from typing import Any

import timm

from tdmr_ray.initial.choice import Choice
from tdmr_ray.initial.facts import Machine
from tdmr_ray.initial.weights import Network, Reachable
from tdmr_ray.models.names import PRETRAINED

FOUNDATIONS = (
    "vit_small_patch14_dinov2.lvd142m",
    "convnext_tiny.fb_in22k",
    "swin_tiny_patch4_window7_224.ms_in22k",
    "vit_base_patch32_clip_224.openai",
)
"""Foundations of the ready-made space files, the first choice first."""
TARGETS = ("mobilenetv3_small_100.lamb_in1k", "mobilenetv4_conv_small.e2400_r224_in1k", "mobilenetv3_large_100.ra_in1k")
"""Targets of the ready-made space files, the first choice first."""
BUILT_IN = "glyph_vit"
RANDOM_TARGET = "mobilenetv3_small_050"
MOST_TARGET_PARAMS = 6_000_000
"""Parameters up to which a network counts as small enough to ship."""
MOST_MEMBERS = 3
"""Members of a committee; more were not measured."""
USUAL_PX = 224
DOWNLOADED = "are downloaded from the hub at the first run"

Entry = str | dict[str, Any]
"""An entry of `pairs.foundations` or `pairs.targets`."""


def foundations(reachable: Reachable, machine: Machine) -> Choice[list[Any]]:
    """Return the foundations: given files, else the hub's cache, else the hub, else a built-in one."""
    large = _by_size(file for file in reachable.files if not is_small(file))[:MOST_MEMBERS]
    if len(large) > 1:
        reason = "given by --weights; a committee of them taught better than one alone (docs/results.md)"
        return Choice([[_foundation(each, machine) for each in large]], reason)
    if large:
        return Choice([_foundation(large[0], machine)], "given by --weights, and too large to ship")
    cached = _preferred([each for each in reachable.cached if not is_small(each)], FOUNDATIONS)
    if cached:
        return Choice([_foundation(cached, machine)], "its weights lie in the cache of the Hugging Face hub")
    if not reachable.offline:
        known = Network(FOUNDATIONS[0], MOST_TARGET_PARAMS + 1)
        return Choice([_foundation(known, machine)], f"no weights of a foundation lie here; its own {DOWNLOADED}")
    if reachable.files:
        largest = _by_size(reachable.files)[0]
        return Choice([_foundation(largest, machine)], "the largest network of --weights, although it is a small one")
    return Choice(
        [BUILT_IN],
        "built in, because no weights lie here and HF_HUB_OFFLINE forbids the hub. It was trained on glyphs and not on "
        "photographs, so it may teach little: give --weights FILE",
    )


def targets(reachable: Reachable, chosen: Sequence[Any]) -> Choice[list[Any]]:
    """Return the targets: small given files, else the hub's cache, else the hub, else one with random weights.

    Args:
        reachable: What can be loaded.
        chosen: The foundations; a file among them is no target.
    """
    taken = [each.get("weights") for each in chosen if isinstance(each, dict)]
    small = [file for file in reachable.files if is_small(file) and file.file not in taken]
    if small:
        entries = [{"name": file.name, "weights": file.file} for file in small]
        return Choice(
            entries, f"given by --weights; at most {MOST_TARGET_PARAMS:,} parameters are small enough to ship"
        )
    cached = _preferred([each for each in reachable.cached if is_small(each)], TARGETS)
    if cached:
        return Choice([_pretrained(cached.name)], "small; its weights lie in the cache of the Hugging Face hub")
    if not reachable.offline:
        return Choice([_pretrained(TARGETS[0])], f"small and fast on phones; its weights {DOWNLOADED}")
    return Choice(
        [RANDOM_TARGET], "small; it starts from random weights, because no weights of a small network lie here"
    )


def is_small(network: Network) -> bool:
    """Return whether a network is small enough to ship."""
    return network.params <= MOST_TARGET_PARAMS


def has_weights(entries: Sequence[Any]) -> bool:
    """Return whether all targets start from weights."""
    return all(isinstance(each, dict) and each.get("weights") for each in entries)


def foundation_px(name: str, machine: Machine) -> int | None:
    """Return the side of a foundation's images; None for its own, which is kept up to 224 px."""
    config = timm.get_pretrained_cfg(name)
    if config is None or int(config.input_size[-1]) <= USUAL_PX or "patch14" not in name:
        return None
    return USUAL_PX if machine.gpu else 168  # 16 x 16 or 12 x 12 patches


def _foundation(network: Network, machine: Machine) -> Entry:
    px = foundation_px(network.name, machine)
    more: dict[str, Any] = {"weights": network.file} if network.file else {}
    more |= {"image_px": px} if px else {}
    return {"name": network.name, **more} if more else network.name


def _pretrained(name: str) -> Entry:
    """Return a target with timm's weights; without the tag of the weights where it is timm's default."""
    model = name.partition(".")[0]
    default = timm.get_pretrained_cfg(model)
    is_default = default is not None and (default.hf_hub_id or "").endswith(f"/{name}")
    return {"name": model if is_default else name, "weights": PRETRAINED}


def _preferred(networks: Sequence[Network], order: Sequence[str]) -> Network | None:
    """Return the first known network, else the largest; None without any."""
    known = [each for name in order for each in networks if each.name == name]
    return next(iter([*known, *_by_size(networks)]), None)


def _by_size(networks: Iterable[Network]) -> list[Network]:
    """Return networks, the largest first."""
    return sorted(networks, key=lambda each: each.params, reverse=True)
