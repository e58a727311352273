"""Learning rates that a rival tries: its own first, then the nearest on a logarithmic grid."""

import pytest

from tdmr_ray.training.config import TrialConfig
from tdmr_ray.training.controls import CONTROLS

CONFIG = TrialConfig().with_values({"method": "scratch", "distill.lr": 0.01, "seed": 3})


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
