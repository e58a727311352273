"""Prompts: learnable changes of a foundation's input. One class a file, one entry below."""

from tdmr_ray.method.prompts.border import BorderPrompt
from tdmr_ray.method.prompts.masked import MaskedPrompt
from tdmr_ray.method.prompts.overlay import OverlayPrompt
from tdmr_ray.method.prompts.prompt import Prompt, PromptConfig
from tdmr_ray.method.prompts.tokens import TokenPrompt

PROMPTS: dict[str, type[Prompt]] = {
    "border": BorderPrompt,
    "overlay": OverlayPrompt,
    "masked": MaskedPrompt,
    "tokens": TokenPrompt,
}

__all__ = ["PROMPTS", "BorderPrompt", "MaskedPrompt", "OverlayPrompt", "Prompt", "PromptConfig", "TokenPrompt"]
