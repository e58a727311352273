"""The first configurations of a pair: the defaults, then the best of other searches and of its sister pairs."""

from collections.abc import Iterable, Sequence

from tdmr_ray.records import Pair, TrialRecord, complete
from tdmr_ray.space import Space, Value
from tdmr_ray.training.metrics import score
from tdmr_ray.tuning.replay import config_of

NUM_WINNERS = 3
"""Trials taken from each group: this pair in other searches, other pairs in other searches, sister pairs."""


def opening_values(
    space: Space, pair: Pair, *, others: Sequence[TrialRecord], finished: Sequence[TrialRecord]
) -> list[dict[str, Value]]:
    """Return the values with which a pair begins, each once, as near to their models as the space allows.

    Records of another version, whose configuration this one does not know, are left out, and so are those without the
    space's objective.

    Args:
        space: The search space.
        pair: The pair that begins.
        others: Trials of other searches.
        finished: Ended trials of this search; the best trial of each pair counts.
    """
    own = [record for record in others if record.pair == pair]
    rest = [record for record in others if record.pair != pair]
    sisters = {record.pair.name: record for record in reversed(_best_first(space, finished))}
    groups = (own, rest, sisters.values())
    winners = [record for group in groups for record in _best_first(space, group)[:NUM_WINNERS]]
    models = [config for record in winners if (config := config_of(record)) is not None]
    openers = [space.default_values(pair.target), *(space.values_near(config) for config in models)]
    return [values for index, values in enumerate(openers) if values not in openers[:index]]


def _best_first(space: Space, records: Iterable[TrialRecord]) -> list[TrialRecord]:
    """Return the completed search trials that know the space's objective, best first."""
    objective = space.objective.metric
    known = [record for record in complete(records, phase="search") if objective in record.metrics]
    return sorted(known, key=lambda record: -score(record.metrics, objective))
