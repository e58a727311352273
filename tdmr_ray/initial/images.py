"""Decisions about the images: size, faults and views."""

from typing import Literal

from tdmr_ray.data.preset import Preset
from tdmr_ray.initial.choice import Choice
from tdmr_ray.initial.facts import ImageFacts, Machine

LARGE_PX, SMALL_PX = 160, 96
"""Largest image side with enough processors, and on a laptop."""
LEAST_PX = 32
"""Smallest image side; the targets of this file halve their input five times."""
ENOUGH_CORES = 8
"""Number of cores from which on a machine without a GPU gets large images."""


def image_size(facts: ImageFacts, machine: Machine) -> Choice[int]:
    """Return the side of the target's images: that of the images, to the nearest multiple of 32, or a limit."""
    is_fast = bool(machine.gpu) or machine.cores >= ENOUGH_CORES
    limit = LARGE_PX if is_fast else SMALL_PX
    why_limit = f"{limit} px suit a small network on {machine.describe()}"
    if facts.median_px is None:
        return Choice(limit, f"{why_limit}; the size of the images is unknown")
    median = f"the median of the shorter sides is {facts.median_px} px"
    if facts.median_px >= limit:
        more = "" if is_fast else f"; {LARGE_PX} shows more detail and takes about three times as long"
        return Choice(limit, f"{median}; {why_limit}{more}")
    size = max(LEAST_PX, (facts.median_px + LEAST_PX // 2) // LEAST_PX * LEAST_PX)
    return Choice(size, f"{median}; larger would add no detail")


def near_duplicates(facts: ImageFacts) -> Choice[Literal["group"] | None]:
    """Return `group` if there are nearly identical images in different splits."""
    count = facts.num_near_duplicates
    if not count:
        return Choice(None, "no nearly identical images were found in different splits")
    pairs = "pair of nearly identical images lies" if count == 1 else "pairs of nearly identical images lie"
    return Choice("group", f"{count} {pairs} in different splits, which would inflate the accuracy")


def on_bad_image(facts: ImageFacts) -> Choice[Literal["skip"] | None]:
    """Return `skip` if there are unreadable images."""
    count = facts.num_unreadable
    if not count:
        return Choice(None, "every image can be read")
    return Choice("skip", f"{count} image{'s' if count > 1 else ''} cannot be read; remove this line to stop at them")


def views_preset(facts: ImageFacts) -> Choice[Preset]:
    """Return the preset of views that `auto` would choose, so that the file shows it."""
    reasons: dict[Preset, str] = {
        "photo": "the images have colours; set views.mirror: false too if a mirrored image changes its class",
        "document": "all images are grey, so they are not mirrored; photo if they are photographs",
        "none": "the source asks for images as they are",
    }
    return Choice(facts.preset, reasons[facts.preset])
