"""Linear mapping: one trained layer on the foundation's features."""

from typing import ClassVar, Literal

from torch import Tensor, nn

from tdmr_ray.method.component import FoundationShape, ParameterGroup, TaskFacts
from tdmr_ray.method.mappings.feature_scaler import FeatureScaler
from tdmr_ray.method.mappings.mapping import Mapping, Refit, TrainedMappingConfig


class LinearMapping(Mapping):
    """A linear layer on standardised features; with an empty prompt the teacher is the control `linear_probe`.

    logits = W f + b, with features f [B, d] that a `FeatureScaler` standardised and that are also its embedding, W
    [C, d] and b [C]. W and b start at zero, so that every class is equally likely. AdamW trains them for
    `reprogram.epochs` on augmented views, and the epoch that is best on val counts; a logistic regression that is
    solved to its optimum is another model.
    """

    refits: ClassVar[Refit | None] = Refit()
    starts_blank: ClassVar[bool] = True

    class Config(TrainedMappingConfig):
        """Hyperparameters of a linear mapping."""

        kind: Literal["linear"] = "linear"

    def __init__(self, config: Config, foundation: FoundationShape, task: TaskFacts, *, seed: int) -> None:
        super().__init__(config, foundation, task, seed=seed)
        self.config = config
        self.scaler = FeatureScaler(foundation.feature_dim)
        self.layer = nn.Linear(foundation.feature_dim, task.num_classes)
        nn.init.zeros_(self.layer.weight)
        nn.init.zeros_(self.layer.bias)

    def forward(self, features: Tensor, source_logits: Tensor) -> tuple[Tensor, Tensor]:
        """Return standardised features [B, d] and task logits [B, C]; source logits are not read."""
        scaled = self.scaler(features)
        return scaled, self.layer(scaled)

    def refit(self, features: Tensor, source_logits: Tensor, labels: Tensor) -> None:
        """Set the scaler from features [N, d] of images with the prompt at its initial values."""
        self.scaler.refit(features)

    def parameter_groups(self) -> list[ParameterGroup]:
        """Return the layer."""
        return [ParameterGroup(list(self.parameters()), self.config.lr, self.config.weight_decay)]
