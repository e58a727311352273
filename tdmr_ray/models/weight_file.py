"""Files of weights: read them, find a network's tensors in them, and refuse what does not fit the network."""

import argparse
import json
import pickle
import shlex
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import timm
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from timm.models import clean_state_dict
from torch import Tensor

EMA_NAMES = ("state_dict_ema", "model_ema", "ema", "ema_state_dict")
"""Names under which training scripts store averaged weights; those are preferred, as timm does."""
MOST_UNEXPECTED = 0.05
"""Largest share of tensors that a network does not know, such as those of an auxiliary loss; they are ignored."""
MOST_NESTED = 3
"""Depth of mappings that are searched for tensors."""
SHOWN = 3
"""Number of tensor names that a message shows."""
CONVERSION_ERRORS = (RuntimeError, ValueError, KeyError, AttributeError, TypeError, IndexError)
"""Exceptions of timm's converters, which expect the layout of one publisher."""


class UnusableWeights(ValueError):
    """A file of weights cannot be read, or belongs to another network."""


@dataclass(frozen=True)
class Layout:
    """Tensors of a network with its usual classifier.

    Attributes:
        name: timm name.
        shapes: Shape of every tensor.
        counters: Names of batch counters, which may be missing.
        heads: Names of the classifiers.
    """

    name: str
    shapes: dict[str, torch.Size]
    counters: frozenset[str]
    heads: tuple[str, ...]

    def is_of_head(self, key: str) -> bool:
        """Return whether a tensor belongs to a classifier."""
        return any(key == head or key.startswith(f"{head}.") for head in self.heads)


@dataclass(frozen=True)
class Fit:
    """Comparison of a file's tensors with a network's, by name and shape.

    Attributes:
        name: timm name of the network.
        num_fitting: Number of tensors that fit.
        num_expected: Number of tensors of the network.
        missing: Names of the network that the file lacks, without those of the classifier.
        reshaped: Names with another shape, without those of the classifier.
        unexpected: Names of the file that the network does not know.
    """

    name: str
    num_fitting: int
    num_expected: int
    missing: tuple[str, ...]
    reshaped: tuple[str, ...]
    unexpected: tuple[str, ...]

    @property
    def is_complete(self) -> bool:
        """Whether the file has every tensor of the network's body, and few others."""
        few = len(self.unexpected) <= MOST_UNEXPECTED * self.num_expected
        return not self.missing and not self.reshaped and few

    def describe(self) -> str:
        """Return the counts and the first names."""
        parts = [f"{self.num_fitting} of {self.num_expected} tensors fit '{self.name}'"]
        for what, names in (
            ("missing", self.missing),
            ("of another shape", self.reshaped),
            ("unexpected", self.unexpected),
        ):
            if names:
                parts.append(f"{what} for example {', '.join(names[:SHOWN])}" if names[SHOWN:] else _all(what, names))
        return "; ".join(parts)


def check_file(name: str, path: Path) -> list[str]:
    """Return the problem with a file of weights for a timm network; none if it fits."""
    facts = path.stat()
    problem = _problem_with(name, path, facts.st_mtime_ns, facts.st_size)
    return [f"the weights in {path} cannot be loaded into '{name}': {problem}"] if problem else []


def find_tensors(name: str, path: Path) -> tuple[dict[str, Tensor], int]:
    """Return a file's tensors for a timm network, without prefixes, and the number of classes of their classifier.

    Tensors may be nested, for example in `state_dict` or `ema`, and have a common prefix, for example `module.`.
    Layouts that timm converts itself are returned unconverted. The number of classes is 0 without a classifier.

    Raises:
        UnusableWeights: If the file cannot be read, or not nearly all tensors fit.
    """
    layout = layout_of(name)
    nests = list(_nests(read_file(path)))
    if not nests:
        raise UnusableWeights("it holds no tensors; save the state dict of the network")
    found = [_without_prefix(nest, layout) for nest in nests]
    fits = [compare(layout, tensors) for tensors in found]
    best = max(range(len(fits)), key=lambda index: fits[index].num_fitting)
    if fits[best].is_complete:
        return _completed(found[best], layout)
    for tensors in (found[best], *(clean_state_dict(nest) for nest in nests)):
        classes = _converted_classes(layout, tensors)
        if classes is not None:
            return tensors, classes
    raise UnusableWeights(f"{fits[best].describe()}; name the network that this file was saved from")


def compare(layout: Layout, tensors: Mapping[str, Tensor]) -> Fit:
    """Compare tensors with a network's; those of the classifier may differ."""
    body = [key for key in layout.shapes if not layout.is_of_head(key)]
    return Fit(
        name=layout.name,
        num_fitting=sum(key in tensors and tensors[key].shape == shape for key, shape in layout.shapes.items()),
        num_expected=len(layout.shapes),
        missing=tuple(key for key in body if key not in tensors and key not in layout.counters),
        reshaped=tuple(key for key in body if key in tensors and tensors[key].shape != layout.shapes[key]),
        unexpected=tuple(key for key in tensors if key not in layout.shapes and not layout.is_of_head(key)),
    )


@cache
def layout_of(name: str) -> Layout:
    """Return the layout of a timm network, which is built without memory for its weights."""
    with torch.device("meta"):
        network: Any = timm.create_model(name)
    state = network.state_dict()
    heads = network.pretrained_cfg.get("classifier") or ()
    return Layout(
        name=name,
        shapes={key: value.shape for key, value in state.items()},
        counters=frozenset(key for key in state if key.endswith("num_batches_tracked")),
        heads=(heads,) if isinstance(heads, str) else tuple(heads),
    )


def read_file(path: Path) -> Any:
    """Return what a file of weights holds: usually tensors by name, possibly nested.

    The content decides, whatever the suffix: a zip archive or a pickle is torch's, anything else safetensors.

    Raises:
        UnusableWeights: If it is empty, damaged, something else, or would have to run code.
    """
    with path.open("rb") as file:
        start = file.read(64)
    if not start:
        raise UnusableWeights("the file is empty; copy or download it again")
    if start[8:9] == b"{":  # eight bytes give the length of the header, which is JSON
        try:
            return load_file(path)
        except SafetensorError as error:
            raise UnusableWeights(f"the file is damaged or cut short ({error}); copy or download it again") from error
    if start.startswith((b"PK\x03\x04", b"\x80")):
        return _read_torch(path)
    begins = json.dumps(start.decode("latin-1")[:40])
    raise UnusableWeights(f"the file is neither safetensors nor torch's format; it begins with {begins}")


def strip_command(path: Path) -> str:
    """Return a shell command that saves the tensors of a trusted torch file alone, as safetensors."""
    code = (
        "import torch, safetensors.torch as s; "
        f"d = torch.load({str(path)!r}, map_location='cpu', weights_only=False); "
        "d = d if isinstance(d, dict) else {'model': d}; "
        "d = d.get('state_dict', d.get('model', d)); "
        "d = d if isinstance(d, dict) else d.state_dict(); "
        "s.save_file({k: v.contiguous().clone() for k, v in d.items() if torch.is_tensor(v)}, "
        f"{str(path.with_suffix('.safetensors'))!r})"
    )
    return f"python -c {shlex.quote(code)}" if '"' in code or "$" in code else f'python -c "{code}"'


def _all(what: str, names: tuple[str, ...]) -> str:
    return f"{what} {', '.join(names)}"


@cache
def _problem_with(name: str, path: Path, modified_ns: int, size: int) -> str:
    """Return why a file does not fit; '' if it does. Time and size are part of the cache's key."""
    try:
        find_tensors(name, path)
    except (UnusableWeights, OSError) as error:
        return str(error)
    return ""


def _read_torch(path: Path) -> Any:
    try:
        # timm's and Lightning's checkpoints hold the arguments of their training
        with torch.serialization.safe_globals([argparse.Namespace]), path.open("rb") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch warns about TorchScript archives before it refuses them
            return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise UnusableWeights(
            "the file needs unpickling, which can run code, because it holds more than tensors; "
            f"if you trust it, save its tensors alone and name that file: {strip_command(path)}"
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, AttributeError) as error:
        reason = " ".join(str(error).split())[:120]
        raise UnusableWeights(f"the file is damaged, cut short, or not torch's ({reason}); copy it again") from error


def _nests(held: Any, depth: int = 0) -> Iterator[dict[str, Tensor]]:
    """Yield every mapping that holds tensors, averaged weights first."""
    if not isinstance(held, Mapping) or depth > MOST_NESTED:
        return
    for key in sorted(held, key=lambda key: key not in EMA_NAMES):
        yield from _nests(held[key], depth + 1)
    tensors = {key: value for key, value in held.items() if isinstance(key, str) and isinstance(value, Tensor)}
    if tensors:
        yield tensors


def _without_prefix(tensors: dict[str, Tensor], layout: Layout) -> dict[str, Tensor]:
    """Return the tensors under the prefix with which most of them fit the network, without the prefix."""
    counts: Counter[str] = Counter()
    for key, value in tensors.items():
        start = 0
        while start >= 0:
            counts[key[:start]] += layout.shapes.get(key[start:]) == value.shape
            dot = key.find(".", start)
            start = dot + 1 if dot >= 0 else -1
    prefix = max(counts, key=lambda prefix: (counts[prefix], -len(prefix)))
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}


def _completed(tensors: dict[str, Tensor], layout: Layout) -> tuple[dict[str, Tensor], int]:
    """Return exactly the network's tensors, a classifier only if it is whole, and its number of classes."""
    head = [key for key in layout.shapes if layout.is_of_head(key)]
    whole = all(key in tensors and tensors[key].shape[1:] == layout.shapes[key][1:] for key in head)
    rows = {len(tensors[key]) for key in head} if whole else set()
    kept = {
        key: tensors[key] if key in tensors else torch.zeros((), dtype=torch.long)
        for key in layout.shapes
        if not layout.is_of_head(key) or len(rows) == 1
    }
    return kept, rows.pop() if len(rows) == 1 else 0


def _converted_classes(layout: Layout, tensors: dict[str, Tensor]) -> int | None:
    """Return the number of classes with which timm's own converter makes all tensors fit; None if it cannot."""
    heads = [f"{head}.weight" for head in layout.heads]
    *_, last = tensors.values()  # usually the bias of the classifier, whatever its name
    sizes = [len(tensors[head]) for head in heads if head in tensors] + [len(last) if last.ndim else 0]
    usual = [layout.shapes[head][0] for head in heads if head in layout.shapes]
    for classes in dict.fromkeys([*sizes, *usual, 0]):
        overlay = {"state_dict": dict(tensors), "num_classes": classes}
        try:
            with torch.device("meta"), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # copying into a network without memory does nothing
                timm.create_model(layout.name, pretrained=True, pretrained_cfg_overlay=overlay, num_classes=classes)
        except CONVERSION_ERRORS:
            continue
        return classes
    return None
