"""Token prompt: learned tokens beside the patches of a transformer."""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from tdmr_ray.method.component import FoundationFacts, FoundationShape, ParameterGroup, TaskFacts
from tdmr_ray.method.prompts.prompt import Prompt, PromptConfig
from tdmr_ray.method.resize import resize


class TokenPrompt(Prompt):
    """Learned tokens that join the patches of a plain transformer; the image is only resized.

    The tokens enter between the class token and the patches before the first block and leave after the last one
    (shallow prompting). They start uniform within +-sqrt(6 / (num_tokens + token_dim)), Xavier's bounds.

    Source: Jia et al. 2022 (VPT shallow), arXiv 2203.12119, whose bounds have 3 * patch_px**2 in place of num_tokens.
    """

    class Config(PromptConfig):
        """Hyperparameters of a token prompt."""

        kind: Literal["tokens"] = "tokens"
        num_tokens: int = Field(default=5, ge=1)
        """Number of learned tokens."""
        lr: float = Field(default=0.01, gt=0)
        """Peak learning rate of the tokens."""

        def check(self, foundation: FoundationFacts, task: TaskFacts) -> list[str]:
            """Require a foundation with tokens."""
            if foundation.takes_tokens:
                return []
            return [f"kind: 'tokens' needs a plain transformer, and '{foundation.name}' is none; leave it out"]

    def __init__(self, config: Config, foundation: FoundationShape) -> None:
        super().__init__(config, foundation)
        self.lr = config.lr
        bound = (6 / (config.num_tokens + foundation.token_dim)) ** 0.5
        self.tokens = nn.Parameter(torch.empty(config.num_tokens, foundation.token_dim).uniform_(-bound, bound))

    def forward(self, images: Tensor) -> Tensor:
        """Map images [B, 3, h, w] in 0..1 to [B, 3, image_px, image_px] in 0..1."""
        return resize(images, self.image_px)

    def extra_tokens(self) -> Tensor:
        """Return the learned tokens, [num_tokens, token_dim]."""
        return self.tokens

    def parameter_groups(self) -> list[ParameterGroup]:
        """Return the tokens, without weight decay."""
        return [ParameterGroup([self.tokens], self.lr)]
