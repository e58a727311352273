"""Learning rates that a rival tries: its own first, then the nearest on a logarithmic grid."""

import pytest
import torch

from tdmr_ray.data.task import Images, Task
from tdmr_ray.training.config import TrialConfig
from tdmr_ray.training.controls import CONTROLS

CONFIG = TrialConfig().with_values({"method": "scratch", "distill.lr": 0.01, "seed": 3})
SOME = Images(torch.zeros(100, 3, 1, 1, dtype=torch.uint8), torch.zeros(100, dtype=torch.int64))
TASK = Task(SOME, 100, SOME, SOME, ("a", "b"), preset="document", fingerprint="")


@pytest.mark.parametrize(
    ("count", "factors"),
    [
        (0, [1]),
        (1, [1]),
        (2, [1, 1 / 4]),
        (3, [1, 1 / 4, 4]),
        (4, [1, 1 / 2, 2, 1 / 4]),
        (5, [1, 1 / 2, 2, 1 / 4, 4]),
        (9, [1, 2**-0.5, 2**0.5, 1 / 2, 2, 2**-1.5, 2**1.5, 1 / 4, 4]),
    ],
)
def test_rates_move_outwards_on_a_logarithmic_grid(count: int, factors: list[float]) -> None:
    found = CONTROLS["scratch"]().rates(CONFIG, count)
    assert [config.distill.lr for config in found] == pytest.approx([0.01 * factor for factor in factors])
    assert found[0] == CONFIG
    assert {config.replace(distill__lr=0.01).key() for config in found} == {CONFIG.key()}


@pytest.mark.parametrize("name", CONTROLS)
def test_control_without_a_rate_has_one_variant(name: str) -> None:
    assert len(CONTROLS[name]().rates(CONFIG, 5)) == (5 if CONTROLS[name].trains else 1)


@pytest.mark.parametrize(
    ("name", "rate"),
    [("scratch", 0.012), ("fine_tune", 0.0001), ("self_training_pretrained", 0.0001), ("plain_kd", 0.01)],
)
def test_rates_from_pretrained_weights_are_far_below_those_from_random_ones(name: str, rate: float) -> None:
    control = CONTROLS[name]()
    config = control.configure(CONFIG.replace(method="tdmr"), TASK, 1500)
    rates = sorted(each.distill.lr for each in control.rates(config, 5))
    assert config.distill.lr == rate
    assert rates == pytest.approx([rate / 4, rate / 2, rate, 2 * rate, 4 * rate])
