"""Contract tests for components, data sources and listeners, for the authors of plug-ins; needs pytest.

    from tdmr_ray.testing import PromptContract, contract

    @contract(TintPrompt, {}, {"strength": 0.5})
    class TestTint(PromptContract):
        pass

pytest then runs every test of the contract with each of the configurations.
"""

import pytest

NAMES = ("component", "prompts", "mappings", "losses", "alignments", "schedules", "sources", "listeners")
pytest.register_assert_rewrite(*(f"{__name__}.{name}" for name in NAMES))

from tdmr_ray.testing.alignments import AlignmentContract  # noqa: E402
from tdmr_ray.testing.component import check_config, check_groups, check_problems, contract  # noqa: E402
from tdmr_ray.testing.listeners import ListenerContract  # noqa: E402
from tdmr_ray.testing.losses import LossContract  # noqa: E402
from tdmr_ray.testing.mappings import MappingContract  # noqa: E402
from tdmr_ray.testing.prompts import PromptContract  # noqa: E402
from tdmr_ray.testing.schedules import ScheduleContract  # noqa: E402
from tdmr_ray.testing.sources import SourceContract  # noqa: E402

__all__ = [
    "AlignmentContract",
    "ListenerContract",
    "LossContract",
    "MappingContract",
    "PromptContract",
    "ScheduleContract",
    "SourceContract",
    "check_config",
    "check_groups",
    "check_problems",
    "contract",
]
