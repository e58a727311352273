"""A small space of two pairs, and trials with results that a test sets."""

from tdmr_ray.records import State, TrialRecord
from tdmr_ray.space import Space
from tdmr_ray.space.reading import check_tree
from tdmr_ray.training.metrics import score
from tdmr_ray.tuning.studies import PairStudies
from tdmr_ray.tuning.trial_spec import TrialSpec

MIXED: list[State] = ["complete", "pruned", "failed", "pruned", "complete", "complete"] * 2
"""Results of twelve trials."""


def build_space(trials: int = 12, *, objective: str = "val/top1", **search: object) -> Space:
    """Two pairs of 9 epochs; by default with a stepped, a categorical and a conditional continuous parameter."""
    tree = {
        "name": "test",
        "data": {"name": "digits", "shots": 5},
        "pairs": {"foundations": ["glyph_cnn", "glyph_hybrid"], "targets": ["lcnet_035"]},
        "objective": {"metric": objective},
        "budget": {"trials": trials, "epochs": 9, "allocation": "equal"},
        "search": search
        or {
            "prompt.size_px": {"low": 0, "high": 8, "step": 2},
            "temperature.schedule": {"choices": ["constant", "linear"]},
            "temperature.end": {"low": 1.0, "high": 4.0, "log": True, "when": {"temperature.schedule": ["linear"]}},
        },
    }
    space, problems = check_tree(tree)
    assert space is not None, problems
    return space


def record_of(spec: TrialSpec, state: State = "complete", value: float = 0.5) -> TrialRecord:
    """The record of a trial whose objective had the value `value` after each of its epochs."""
    objective = f"val/{spec.config.objective}"
    epochs = {"complete": 9, "pruned": 3, "failed": 0, "running": 3}[state]
    curve = [score({objective: value}, objective)] * epochs
    return TrialRecord(
        id=spec.id,
        phase="search",
        pair=spec.pair,
        config=spec.config.model_dump(mode="json"),
        values=dict(spec.values),
        state=state,
        metrics={objective: value} if curve else {},
        curve=curve,
        seed=0,
        seconds=1.0,
    )


def run_trials(studies: PairStudies, states: list[State]) -> list[TrialRecord]:
    """Draw a trial for each state and report it; the objective rises by 0.05 from trial to trial."""
    records = []
    for number, state in enumerate(states):
        spec = studies.next_spec()
        assert spec is not None
        record = record_of(spec, state, 0.1 + 0.05 * number)
        studies.tell(spec, record)
        records.append(record)
    return records
