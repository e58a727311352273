"""Hours into money, by the dated table `prices.yaml`."""

import datetime
from functools import cache
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field

from tdmr_ray.records import TrialRecord


class Prices(BaseModel):
    """What an hour costs, in USD.

    Attributes:
        date: When it was so.
        source: Where it was read.
        cpu_core_hour: A core of a machine without GPU.
        gpu_hour: A GPU with the cores beside it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    date: datetime.date
    source: str
    cpu_core_hour: float = Field(ge=0)
    gpu_hour: float = Field(ge=0)

    def usd(self, cpu_hours: float, gpu_hours: float) -> float:
        """Cost of so many hours; cores beside a GPU are in its price."""
        return gpu_hours * self.gpu_hour if gpu_hours else cpu_hours * self.cpu_core_hour

    def usd_of(self, record: TrialRecord) -> float:
        """Cost of a trial."""
        return self.usd(record.cpu_hours, record.gpu_hours)


@cache
def load_prices() -> Prices:
    """The table of this package."""
    return Prices.model_validate(yaml.safe_load((Path(__file__).parent / "prices.yaml").read_text(encoding="utf-8")))
