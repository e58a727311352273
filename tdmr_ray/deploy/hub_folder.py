"""A small model in the layout of Hugging Face's hub, which timm opens without this package."""

import json
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from safetensors.torch import save

from tdmr_ray import __version__
from tdmr_ray.deploy.artifact import ARTIFACTS, read_artifacts
from tdmr_ray.deploy.small_model import SmallModel, load_model
from tdmr_ray.errors import InputError

MARK = "tdmr_ray.json"
"""Name of the file that marks a folder as a former push, and says what timm has no place for."""
HUB_WEIGHTS, HUB_CONFIG, CARD = "model.safetensors", "config.json", "README.md"
CROP_MODES = {"crop": "center", "pad": "border", "squash": "squash"}
"""timm's names for the ways to a square."""
KEPT = ("architecture", "tag", "fixed_input_size", "first_conv", "classifier", "license")
"""Entries of timm's own description of a network that stay true of the shipped one."""


def write_hub_folder(source: Path, folder: Path) -> list[str]:
    """Write a model for the hub: weights, timm's configuration, model card and exported files, no images.

    Args:
        source: The model's folder under `best/`.
        folder: Where to write; made if missing. Files of a former push are replaced, and others stay.

    Returns:
        Names of the files.

    Raises:
        InputError: If `source` holds no model, or `folder` holds something that was not pushed there.
    """
    model = load_model(source)
    check_may_write(folder)
    with TemporaryDirectory() as scratch:
        draft = Path(scratch)
        _write(model, source, draft)
        names = sorted(path.name for path in draft.iterdir())
        description = {"tdmr_ray": __version__, "files": [*names, MARK], **_for_predictions(model)}
        (draft / MARK).write_text(json.dumps(description, indent=1, ensure_ascii=False), encoding="utf-8")
        _remove_former(folder)
        folder.mkdir(parents=True, exist_ok=True)
        for path in draft.iterdir():
            shutil.move(path, folder / path.name)
    return [*names, MARK]


def check_may_write(folder: Path) -> None:
    """Raise an `InputError` if a folder holds something that was not pushed there."""
    if folder.exists() and not folder.is_dir():
        raise InputError(str(folder), "must be a folder, got a file; give another DEST")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / MARK).is_file():
        raise InputError(str(folder), "holds files that were not pushed there; give an empty or new folder")


def hub_config(model: SmallModel) -> dict[str, Any]:
    """Return the network's description as `timm.create_model("local-dir:...")` and `hf-hub:` read it."""
    network, spec, form = model.target.network, model.target.spec, model.input_format
    known = {name: network.pretrained_cfg.get(name) for name in KEPT}
    size = [3, spec.size_px, spec.size_px]
    return {
        "architecture": known.pop("architecture"),
        "num_classes": len(model.class_names),
        "num_features": network.num_features,
        "label_names": list(model.class_names),
        **({"model_args": {"img_size": spec.size_px}} if _is_sized(network) else {}),
        "pretrained_cfg": {
            **{name: value for name, value in known.items() if value is not None},
            "custom_load": False,
            "input_size": size,
            "num_classes": len(model.class_names),
            "pool_size": None,
            "crop_pct": 1.0,
            "crop_mode": CROP_MODES[form.resize],
            "interpolation": form.interpolation,
            "mean": list(spec.mean),
            "std": list(spec.std),
        },
    }


def _write(model: SmallModel, source: Path, folder: Path) -> None:
    weights = {name: value.cpu().contiguous() for name, value in model.target.network.state_dict().items()}
    (folder / HUB_WEIGHTS).write_bytes(save(weights, metadata={"format": "pt"}))
    text = json.dumps(hub_config(model), indent=1, ensure_ascii=False)
    (folder / HUB_CONFIG).write_text(text, encoding="utf-8")
    for name in [CARD, ARTIFACTS, *_exported_names(source)]:
        if (source / name).is_dir():
            shutil.copytree(source / name, folder / name)
        elif (source / name).exists():
            shutil.copyfile(source / name, folder / name)


def _exported_names(source: Path) -> list[str]:
    """Return the names of exported files, with OpenVINO's weights beside their graphs."""
    names = [Path(each.file) for each in read_artifacts(source)]
    if wrong := [name for name in names if name.name != str(name)]:
        raise InputError(str(source / ARTIFACTS), f"must name files in its own folder, got {wrong[0]}; export again")
    return [name for each in names for name in dict.fromkeys((each.name, *_beside(each)))]


def _beside(name: Path) -> tuple[str, ...]:
    return (name.with_suffix(".bin").name,) if name.suffix == ".xml" else ()


def _for_predictions(model: SmallModel) -> dict[str, Any]:
    return {
        "temperature": model.temperature,
        "class_names": list(model.class_names),
        "decode_px": model.input_format.size_px,
    }


def _is_sized(network: Any) -> bool:
    """Return whether a network is built for one size of images."""
    return bool(network.pretrained_cfg.get("fixed_input_size")) or hasattr(
        getattr(network, "patch_embed", None), "img_size"
    )


def _remove_former(folder: Path) -> None:
    mark = folder / MARK
    if not mark.is_file():
        return
    for name in json.loads(mark.read_text(encoding="utf-8"))["files"]:
        path = folder / Path(name).name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
