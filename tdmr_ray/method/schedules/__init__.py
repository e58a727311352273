"""Temperature schedules. One class a file, one entry below."""

from tdmr_ray.method.component import component_problem
from tdmr_ray.method.moment import Moment
from tdmr_ray.method.schedules.constant import ConstantSchedule
from tdmr_ray.method.schedules.cosine import CosineSchedule
from tdmr_ray.method.schedules.exponential import ExponentialSchedule
from tdmr_ray.method.schedules.learned import LearnedSchedule
from tdmr_ray.method.schedules.linear import LinearSchedule
from tdmr_ray.method.schedules.schedule import Schedule, ScheduleConfig
from tdmr_ray.method.schedules.step import StepSchedule
from tdmr_ray.plugins import Registry

SCHEDULES: Registry[type[Schedule]] = Registry(
    "tdmr_ray.schedules",
    {
        "constant": ConstantSchedule,
        "linear": LinearSchedule,
        "cosine": CosineSchedule,
        "exponential": ExponentialSchedule,
        "step": StepSchedule,
        "learned": LearnedSchedule,
    },
    component_problem(Schedule, "schedule"),
)

__all__ = [
    "SCHEDULES",
    "ConstantSchedule",
    "CosineSchedule",
    "ExponentialSchedule",
    "LearnedSchedule",
    "LinearSchedule",
    "Moment",
    "Schedule",
    "ScheduleConfig",
    "StepSchedule",
]
