"""Prompts: learnable changes of a foundation's input. One class a file, one entry below."""

from tdmr_ray.method.component import component_problem
from tdmr_ray.method.prompts.border import BorderPrompt
from tdmr_ray.method.prompts.masked import MaskedPrompt
from tdmr_ray.method.prompts.overlay import OverlayPrompt
from tdmr_ray.method.prompts.prompt import Prompt, PromptConfig
from tdmr_ray.method.prompts.tokens import TokenPrompt
from tdmr_ray.plugins import Registry

PROMPTS: Registry[type[Prompt]] = Registry(
    "tdmr_ray.prompts",
    {"border": BorderPrompt, "overlay": OverlayPrompt, "masked": MaskedPrompt, "tokens": TokenPrompt},
    component_problem(Prompt),
)

__all__ = ["PROMPTS", "BorderPrompt", "MaskedPrompt", "OverlayPrompt", "Prompt", "PromptConfig", "TokenPrompt"]
