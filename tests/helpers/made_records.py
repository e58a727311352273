"""Records of trials that never ran."""

from tdmr_ray.records import Pair, TrialRecord


def record(name: str, **values: object) -> TrialRecord:
    """A complete trial of the search, with some fields changed."""
    base = {
        "id": name,
        "phase": "search",
        "pair": Pair(foundation="f", target="t"),
        "config": {"a": {"b": 1}},
        "state": "complete",
        "seed": 0,
        "seconds": 1.5,
    }
    return TrialRecord.model_validate({**base, **values})
