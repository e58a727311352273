"""Check which timm foundations can be reprogrammed: build each with random weights and take one step.

Run:    python benchmarks/foundations.py            (--only vit for names with "vit")
Cost:   about 5 minutes and 4 GB on 2 cores.
Result: results/foundations.json and .md: a line for each, with the reason if it fails.

A step is a forward and backward pass of two images with a border prompt of 8 px and a `linear` mapping. The prompt must
get a finite gradient that is not zero. Weights are random, so this tests the code path and says nothing of accuracy.
"""

import sys
from pathlib import Path
from time import perf_counter
from typing import Annotated

import torch
import typer
from torch.nn.functional import cross_entropy

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.results_file import show_and_keep
from tdmr_ray.data.task import Images
from tdmr_ray.models.foundation import load_foundation
from tdmr_ray.models.names import RANDOM
from tdmr_ray.training.config import TrialConfig
from tdmr_ray.training.reprogram import build_teacher

NAME = "foundations"
NAMES = {
    "CNN": (
        "resnet50.a1_in1k",
        "resnext50_32x4d.fb_swsl_ig1b_ft_in1k",
        "resnetv2_50x1_bit.goog_in21k",
        "convnext_tiny.fb_in22k",
        "convnextv2_tiny.fcmae",
        "convnext_tiny.dinov3_lvd1689m",
        "regnety_040.ra3_in1k",
        "efficientnet_b0.ra_in1k",
        "densenet121.ra_in1k",
    ),
    "transformer": (
        "vit_small_patch16_224.augreg_in21k",
        "vit_small_patch14_dinov2.lvd142m",
        "vit_small_patch14_reg4_dinov2.lvd142m",
        "vit_small_patch16_dinov3.lvd1689m",
        "vit_base_patch32_clip_224.openai",
        "vit_base_patch16_siglip_224.webli",
        "eva02_tiny_patch14_224.mim_in22k",
        "beit_base_patch16_224.in22k_ft_in22k",
        "deit3_small_patch16_224.fb_in22k_ft_in1k",
        "swin_tiny_patch4_window7_224.ms_in22k",
        "swinv2_tiny_window8_256.ms_in1k",
    ),
    "mix": (
        "maxvit_tiny_tf_224.in1k",
        "coatnet_0_rw_224.sw_in1k",
        "coat_lite_tiny.in1k",
        "mobilevit_s.cvnets_in1k",
        "levit_128s.fb_dist_in1k",
        "efficientformer_l1.snap_dist_in1k",
        "fastvit_t8.apple_in1k",
        "edgenext_small.usi_in1k",
    ),
}
PROMPT_PX = 8


def step(name: str) -> str:
    """Take a step and return the rest of a foundation's line.

    Raises:
        ValueError: If the prompt gets no gradient.
    """
    started = perf_counter()
    foundation = load_foundation(name, weights=RANDOM)
    config = TrialConfig().with_values({"prompt.size_px": PROMPT_PX, "mapping.kind": "linear"})
    teacher = build_teacher(config, foundation, num_classes=3)
    for parameter in teacher.mapping.parameters():
        torch.nn.init.normal_(parameter, std=0.1)  # its initial weights are zero and pass no gradient
    generator = torch.Generator().manual_seed(0)
    images = Images(torch.randint(0, 256, (2, 3, 64, 64), generator=generator, dtype=torch.uint8), torch.tensor([0, 1]))
    shown = images.images.float().div(255)
    teacher.prompt.start_from(shown)
    cross_entropy(teacher(shown).logits, images.labels).backward()
    gradient = teacher.prompt.delta.grad
    if gradient is None or not gradient.isfinite().all() or not gradient.any():
        raise ValueError("the prompt gets no gradient")
    millions = sum(parameter.numel() for parameter in foundation.parameters()) / 1e6
    classes = foundation.num_source_classes or "none"
    tokens = "yes" if foundation.token_dim else "no"
    size, width = foundation.spec.size_px, foundation.feature_dim
    return f"{size} | {millions:.0f} | {width} | {classes} | {tokens} | {perf_counter() - started:.1f} |"


def main(only: Annotated[str, typer.Option(help="Text in the name.")] = "") -> None:
    """Try each foundation, print and keep the table."""
    columns = ("kind", "image, px", "parameters, M", "features", "source classes", "takes tokens", "build and step, s")
    lines = [f"| foundation | {' | '.join(columns)} |", "|---|---|--:|--:|--:|--:|---|--:|"]
    went, failed = 0, 0
    for kind, names in NAMES.items():
        for name in (each for each in names if only in each):
            try:
                lines.append(f"| {name} | {kind} | {step(name)}")
                went += 1
            except Exception as error:  # noqa: BLE001 - the table says why
                lines.append(f"| {name} | {kind} | fails: {' '.join(str(error).split())[:120]} | | | | | |")
                failed += 1
            print(lines[-1], flush=True)
    show_and_keep(NAME, lines, {"foundations_that_take_a_step": went, "foundations_that_do_not": failed})


if __name__ == "__main__":
    typer.run(main)
