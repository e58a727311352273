"""Foundations with random weights where timm looks for downloaded ones, so that the real loading code runs offline.

For measuring speed only: such a foundation knows nothing.
"""

import os
from pathlib import Path

import timm
import torch
from huggingface_hub import constants
from safetensors.torch import save_file

REVISION = "0" * 40


def make_hub(folder: Path, names: tuple[str, ...]) -> None:
    """Fill a folder as the Hugging Face hub's cache and make this process and its children use it, offline.

    Args:
        folder: New or empty.
        names: timm models that have a repository on the hub.
    """
    for name in names:
        config = timm.get_pretrained_cfg(name)
        assert config is not None and config.hf_hub_id, f"{name} has no repository on the hub"
        torch.manual_seed(0)
        network = timm.create_model(name, pretrained=False)
        repository = folder / "hub" / f"models--{config.hf_hub_id.replace('/', '--')}"
        snapshot = repository / "snapshots" / REVISION
        snapshot.mkdir(parents=True)
        (repository / "refs").mkdir()
        (repository / "refs" / "main").write_text(REVISION)
        save_file(network.state_dict(), snapshot / "model.safetensors")
    os.environ |= {"HF_HOME": str(folder), "HF_HUB_CACHE": str(folder / "hub"), "HF_HUB_OFFLINE": "1"}
    constants.HF_HUB_CACHE, constants.HF_HUB_OFFLINE = str(folder / "hub"), True  # read when it was imported
