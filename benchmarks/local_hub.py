"""A generated copy of the Hugging Face cache, so that timm's real loading code runs offline.

`make_hub` fills it with random weights, which serve to measure speed only.
"""

import os
from pathlib import Path

import timm
import torch
from huggingface_hub import constants
from timm.models import save_for_hf
from torch import nn

REVISION = "0" * 40


def make_hub(folder: Path, names: tuple[str, ...]) -> None:
    """Fill a folder with random weights and make this process and its children use it as the hub's cache, offline.

    Args:
        folder: New or empty.
        names: timm models that have a repository on the hub.
    """
    for name in names:
        config = timm.get_pretrained_cfg(name)
        assert config is not None and config.hf_hub_id, f"{name} has no repository on the hub"
        torch.manual_seed(0)
        add_to_hub(folder, config.hf_hub_id, timm.create_model(name, pretrained=False))
    use_hub(folder)


def add_to_hub(folder: Path, repository: str, network: nn.Module) -> None:
    """Save a timm network as if OWNER/MODEL had been downloaded."""
    repository_dir = folder / "hub" / f"models--{repository.replace('/', '--')}"
    save_for_hf(network, str(repository_dir / "snapshots" / REVISION), safe_serialization=True)
    (repository_dir / "refs").mkdir()
    (repository_dir / "refs" / "main").write_text(REVISION)


def use_hub(folder: Path) -> None:
    """Make this process and its children use this cache only."""
    os.environ |= {"HF_HOME": str(folder), "HF_HUB_CACHE": str(folder / "hub"), "HF_HUB_OFFLINE": "1"}
    constants.HF_HUB_CACHE, constants.HF_HUB_OFFLINE = (
        str(folder / "hub"),
        True,
    )  # the library reads its environment on import
