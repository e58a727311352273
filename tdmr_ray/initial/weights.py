"""Pretrained weights that this machine can reach: given files, the hub's cache, and the hub itself."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import timm
from huggingface_hub import constants, try_to_load_from_cache

from tdmr_ray.errors import InputError
from tdmr_ray.models import check_foundation
from tdmr_ray.models.weight_file import layout_of

CACHED_AS = "models--timm--"
"""Prefix of the folders in the hub's cache that hold timm's weights."""
HUB_FILES = ("model.safetensors", "pytorch_model.bin", "open_clip_model.safetensors", "open_clip_pytorch_model.bin")
"""Names of files of weights in timm's repositories on the hub."""


@dataclass(frozen=True)
class Network:
    """A network whose weights lie on this machine.

    Attributes:
        name: timm name.
        params: Number of parameters.
        file: File of its weights; empty if they lie in the hub's cache.
    """

    name: str
    params: int
    file: str = ""


@dataclass(frozen=True)
class Reachable:
    """What a search can load.

    Attributes:
        files: Networks with given files.
        cached: Networks in the hub's cache.
        offline: Whether the hub must not be asked.
    """

    files: tuple[Network, ...] = ()
    cached: tuple[Network, ...] = ()
    offline: bool = True


def find_weights(given: Sequence[str]) -> Reachable:
    """Look at given files and the hub's cache; no connection is opened.

    Args:
        given: `FILE` or `NAME=FILE`.

    Raises:
        InputError: If a file is missing, damaged, or belongs to another network.
    """
    return Reachable(given_files(given), cached_networks(Path(constants.HF_HUB_CACHE)), constants.HF_HUB_OFFLINE)


def given_files(given: Sequence[str]) -> tuple[Network, ...]:
    """Return the networks of given files.

    Raises:
        InputError: With the problems of all files.
    """
    pairs = [_name_and_file(text) for text in given]
    problems = [problem for name, file in pairs for problem in _problems(name, file)]
    if problems:
        raise InputError("--weights", problems)
    return tuple(Network(name, count_params(name), str(file.absolute())) for name, file in pairs)


def cached_networks(cache: Path) -> tuple[Network, ...]:
    """Return the timm networks whose weights lie in a cache of the hub."""
    names = sorted(folder.name.removeprefix(CACHED_AS) for folder in cache.glob(f"{CACHED_AS}*"))
    known = [name for name in names if timm.is_model(name) and timm.is_model_pretrained(name)]
    return tuple(Network(name, count_params(name)) for name in known if _is_cached(name, cache))


def count_params(name: str) -> int:
    """Return the number of values in a network's tensors; it is built without memory for them."""
    return sum(shape.numel() for shape in layout_of(name).shapes.values())


def _is_cached(name: str, cache: Path) -> bool:
    found = (try_to_load_from_cache(f"timm/{name}", file, cache_dir=cache) for file in HUB_FILES)
    return any(isinstance(path, str) for path in found)


def _name_and_file(text: str) -> tuple[str, Path]:
    """Split `NAME=FILE`; a file alone is named like its network."""
    name, found, file = text.partition("=")
    return (name, Path(file)) if found and not Path(text).is_file() else (Path(text).stem, Path(text))


def _problems(name: str, file: Path) -> list[str]:
    if not file.is_file():
        return [f"there is no file {file}; give FILE or NAME=FILE"]
    if not timm.is_model(name):
        return [f"'{name}' is no timm name, so the network of {file} is unknown; give NAME={file}"]
    return check_foundation(name, str(file))
