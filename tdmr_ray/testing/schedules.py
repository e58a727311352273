"""The contract of temperature schedules."""

import torch

from tdmr_ray.method.schedules import Moment, Schedule, ScheduleConfig
from tdmr_ray.testing.component import ComponentContract, check_groups


class ScheduleContract(ComponentContract):
    """Contract of a temperature schedule."""

    base, key = Schedule, "schedule"

    def test_temperatures_are_positive(self, component: type[Schedule], config: ScheduleConfig) -> None:
        schedule = component(config)
        for step in range(21):
            moment = Moment(step / 20, step // 7, 3)
            assert torch.as_tensor(schedule(moment)) > 0
            assert schedule.planned(moment) > 0

    def test_parameter_groups_hold_every_parameter(self, component: type[Schedule], config: ScheduleConfig) -> None:
        schedule = component(config)
        groups = schedule.parameter_groups(lr=0.3)
        check_groups(groups, schedule)
        assert {group.lr for group in groups} <= {0.3}
