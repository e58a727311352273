"""Convert hours to US dollars by the dated table `prices.yaml`."""

import datetime
from functools import cache
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field

from tdmr_ray.records import TrialRecord


class Prices(BaseModel):
    """Prices of an hour of computing in USD.

    Attributes:
        date: Day on which the prices were valid.
        source: Where the prices were found.
        cpu_core_hour: Price of a core of a machine without GPU.
        gpu_hour: Price of a GPU, including the CPU cores beside it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    date: datetime.date
    source: str
    cpu_core_hour: float = Field(ge=0)
    gpu_hour: float = Field(ge=0)

    def usd(self, cpu_hours: float, gpu_hours: float) -> float:
        """Return the cost of some hours; the price of a GPU includes the CPU cores beside it."""
        return gpu_hours * self.gpu_hour if gpu_hours else cpu_hours * self.cpu_core_hour

    def usd_of(self, record: TrialRecord) -> float:
        """Return the cost of a trial."""
        return self.usd(record.cpu_hours, record.gpu_hours)


@cache
def load_prices() -> Prices:
    """Read the price table of this package."""
    return Prices.model_validate(yaml.safe_load((Path(__file__).parent / "prices.yaml").read_text(encoding="utf-8")))
