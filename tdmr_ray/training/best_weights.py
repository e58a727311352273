"""The best weights of a training, chosen on val; shared by reprogramming and distillation."""

from typing import Any

from torch import Tensor, nn

Score = tuple[float, ...]


class BestWeights:
    """Copy of a module's weights at its best score; a later score that is equal replaces an earlier one."""

    def __init__(self) -> None:
        self.score: Score = ()
        self.weights: dict[str, Tensor] = {}

    def offer(self, module: nn.Module, *score: float) -> bool:
        """Keep the module's weights if no better score was offered before; return whether they were kept.

        Args:
            module: The module as it is now.
            score: Larger is better; the first number counts most.
        """
        if score < self.score:
            return False
        self.score = score
        self.weights = {name: value.detach().clone() for name, value in module.state_dict().items()}
        return True

    def load_into(self, module: nn.Module) -> None:
        """Restore the kept weights, if there are any."""
        if self.weights:
            module.load_state_dict(self.weights)

    def state(self) -> dict[str, Any]:
        """Return what `restore` needs."""
        return {"score": self.score, "weights": self.weights}

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a `state()`."""
        self.score, self.weights = tuple(state["score"]), dict(state["weights"])
