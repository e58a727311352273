"""Decisions about what is searched."""

from collections.abc import Sequence
from typing import Any

from tdmr_ray.initial.choice import Choice
from tdmr_ray.initial.facts import ImageFacts, Machine
from tdmr_ray.initial.networks import BUILT_IN

MOST_STAGES = 4


def fixed_prompt(chosen: Sequence[Any], machine: Machine) -> Choice[int | None]:
    """Return 0 where learned prompts would take most of the time, None where they are searched.

    Args:
        chosen: The foundations.
        machine: The processors.
    """
    if machine.gpu or list(chosen) == [BUILT_IN]:
        return Choice(None, "searched")
    why = "learning a prompt runs the foundation many times, which would take most of the time without a GPU"
    return Choice(0, f"{why}; to search it: {{low: 0, high: 8, step: 4}} under search")


def search_ranges(facts: ImageFacts, pretrained: bool, epochs: int, with_prompt: bool) -> dict[str, Choice[Any]]:
    """Return the searched parameters.

    Args:
        facts: The images.
        pretrained: Whether the targets start from weights.
        epochs: Epochs of a trial, the largest number of stages.
        with_prompt: Whether prompts are searched.
    """
    rates = (0.00003, 0.0003) if pretrained else (0.006, 0.03)
    start = "the target has pretrained weights" if pretrained else "the target starts from random weights"
    rounds = Choice({"choices": [0, 1]}, "whether the teacher learns from its own labels for the other images")
    prompt = Choice({"low": 0, "high": 8, "step": 4}, "border of learned pixels; 0 is none")
    later = {"temperature.schedule": ["linear", "cosine"]}
    return {
        "prompt.size_px": prompt if with_prompt else Choice(None, "fixed"),
        "mapping.kind": Choice({"choices": ["discriminant", "linear"]}, "both suit few labels"),
        "pseudo_labels.rounds": rounds if facts.num_unlabeled else Choice(None, "every image has a label"),
        "temperature.schedule": Choice({"choices": ["constant", "linear", "cosine"]}, "course of the temperature"),
        "temperature.start": Choice({"low": 1.0, "high": 8.0, "log": True}, "how soft the teacher's outputs are"),
        "temperature.end": Choice({"low": 1.0, "high": 4.0, "log": True, "when": later}, "at the end"),
        "distill.num_stages": Choice({"low": 1, "high": min(MOST_STAGES, epochs)}, "progressive distillation"),
        "distill.lr": Choice({"low": rates[0], "high": rates[1], "log": True}, start),
    }
