"""The best weights of a training: ties, restoring, and state."""

import torch
from torch import nn

from tdmr_ray.training.best_weights import BestWeights


def layer(value: float) -> nn.Linear:
    """A layer whose weights are all the same number."""
    made = nn.Linear(2, 2)
    nn.init.constant_(made.weight, value)
    nn.init.constant_(made.bias, value)
    return made


def kept(best: BestWeights) -> float:
    """The number in the weights that were kept."""
    module = layer(-1.0)
    best.load_into(module)
    assert module.weight.unique().numel() == 1
    return module.weight[0, 0].item()


def test_larger_scores_replace_smaller_ones() -> None:
    best = BestWeights()
    assert [best.offer(layer(number), score) for number, score in enumerate((0.3, 0.5, 0.4))] == [True, True, False]
    assert kept(best) == 1.0
    assert best.score == (0.5,)


def test_later_of_two_equal_scores_wins() -> None:
    best = BestWeights()
    assert best.offer(layer(1.0), 0.5)
    assert best.offer(layer(2.0), 0.5)
    assert kept(best) == 2.0


def test_first_number_of_a_score_counts_most() -> None:
    best = BestWeights()
    best.offer(layer(1.0), 0.5, -0.9)
    assert best.offer(layer(2.0), 0.5, -0.8)
    assert not best.offer(layer(3.0), 0.4, -0.1)
    assert best.offer(layer(4.0), 0.6, -2.0)
    assert kept(best) == 4.0
    assert best.score == (0.6, -2.0)


def test_kept_weights_do_not_follow_the_module() -> None:
    best, module = BestWeights(), layer(1.0)
    best.offer(module, 0.5)
    nn.init.constant_(module.weight, 9.0)
    assert kept(best) == 1.0


def test_nothing_is_loaded_before_the_first_offer() -> None:
    assert kept(BestWeights()) == -1.0


def test_state_restores_score_and_weights() -> None:
    first, second = BestWeights(), BestWeights()
    first.offer(layer(1.0), 0.5, -0.9)
    second.restore(first.state())
    assert second.score == (0.5, -0.9)
    assert kept(second) == 1.0
    assert not second.offer(layer(2.0), 0.5, -1.0)
    assert second.offer(layer(3.0), 0.5, -0.9)


def test_state_survives_torch_with_weights_only(tmp_path: object) -> None:
    best, again = BestWeights(), BestWeights()
    best.offer(layer(1.0), 0.5)
    torch.save(best.state(), f"{tmp_path}/best.pt")
    again.restore(torch.load(f"{tmp_path}/best.pt", weights_only=True))
    assert again.score == (0.5,)
    assert kept(again) == 1.0
