"""The order of trials by their results on val."""

from tdmr_ray.records import TrialRecord
from tdmr_ray.training.config import TrialConfig
from tdmr_ray.training.metrics import preference

DEFAULT = TrialConfig().objective


def objective_of(record: TrialRecord) -> str:
    """Return the name of the metric by which a trial and its epochs were chosen."""
    return str(record.config.get("objective", DEFAULT))


def rank(record: TrialRecord) -> tuple[float, float]:
    """Return a key that sorts finished trials: by the objective on val, equal ones by their log loss."""
    return preference(record.metrics, f"val/{objective_of(record)}")
