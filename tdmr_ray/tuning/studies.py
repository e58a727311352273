"""The Optuna search over all pairs: divides the trials among the pairs' studies and rebuilds them from records."""

from collections import deque
from collections.abc import Iterable
from pathlib import Path

import optuna

from tdmr_ray.records import Pair, TrialRecord
from tdmr_ray.space import Space, Value
from tdmr_ray.tuning.allocation import ALLOCATIONS, PairScores
from tdmr_ray.tuning.pair_study import REPEATED, PairStudy
from tdmr_ray.tuning.replay import divide_records
from tdmr_ray.tuning.trial_spec import TrialSpec
from tdmr_ray.tuning.warm_start import opening_values


class PairStudies:
    """A `TrialSource` with one Optuna study for each pair.

    A pair begins with the default configuration (or the nearest one that the space allows), then with the best trials
    of other searches and of sister pairs that have results already; see `warm_start`. After that its sampler draws.

    Args:
        space: The search space.
        records: Trials of an earlier part of the same search; those that the space holds are replayed.
        others: Trials of other searches; only the configurations of the best count.
        search_data: Fingerprint of the search's images; see `divide_records`.

    Attributes:
        pairs: The pairs' studies by name of the pair.
        outside: Records whose configuration the space does not hold, or which had other images.
    """

    def __init__(
        self,
        space: Space,
        records: Iterable[TrialRecord] = (),
        others: Iterable[TrialRecord] = (),
        *,
        search_data: str = "",
    ) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.space = space
        pairs = [Pair(foundation=foundation, target=target) for foundation, target in space.all_pairs]
        self.pairs = {pair.name: PairStudy(space, pair, index, search_data) for index, pair in enumerate(pairs)}
        self._finished: list[TrialRecord] = []
        self._interrupted: deque[TrialSpec] = deque()
        self._openers: dict[str, list[dict[str, Value]]] = {}
        inside, self.outside = divide_records(space, records, search_data)
        self._others = [*self.outside, *others]
        for spec, record in inside:
            self._replay(spec, record)

    @property
    def studies(self) -> dict[str, optuna.Study]:
        """Optuna's studies by name of the pair."""
        return {name: pair.study for name, pair in self.pairs.items()}

    @property
    def exhausted(self) -> bool:
        """Whether all trials are handed out."""
        return not self._interrupted and self._next_pair() is None

    @property
    def num_left(self) -> int:
        """The number of trials still to be handed out; fewer if a pair's space is used up before."""
        handed_out = sum(pair.handed_out for pair in self.pairs.values())
        return len(self._interrupted) + max(0, self.space.budget.trials - handed_out)

    def next_spec(self) -> TrialSpec | None:
        """Hand out an interrupted spec, or else a new one for the pair whose turn it is; None when none is left."""
        if self._interrupted:
            return self._interrupted.popleft()
        while (name := self._next_pair()) is not None:
            if (spec := self._draw(self.pairs[name])) is not None:
                return spec
        return None

    def tell(self, spec: TrialSpec, record: TrialRecord) -> None:
        """Report a result to the study of its pair."""
        self.pairs[spec.pair.name].tell(spec, record)
        self._finished.append(record)

    def _next_pair(self) -> str | None:
        states = {name: PairScores(pair.handed_out, pair.scores, pair.used_up) for name, pair in self.pairs.items()}
        return ALLOCATIONS[self.space.allocation](self.space.budget.trials, states)

    def _draw(self, pair: PairStudy) -> TrialSpec | None:
        """Draw a pair's next spec; None if its space is used up."""
        openers = self._openers_of(pair.pair)
        while openers:
            if (spec := pair.draw(openers.pop(0))) is not None:
                return spec
        return pair.draw_new()

    def _openers_of(self, pair: Pair) -> list[dict[str, Value]]:
        """The opening values that are still to be tried; they are chosen when the pair begins."""
        if pair.name not in self._openers:
            found = opening_values(self.space, pair, others=self._others, finished=self._finished)
            self._openers[pair.name] = found
        return self._openers[pair.name]

    def _replay(self, spec: TrialSpec, record: TrialRecord) -> None:
        """Put a recorded trial back into its study, drawn and told as it was."""
        openers = self._openers_of(spec.pair)
        openers[:] = [values for values in openers if values != spec.values]
        again = self.pairs[spec.pair.name].draw(dict(spec.values))
        assert again is not None and again.id == spec.id, "its values give its configuration, and ids appear once"
        if record.state == "running":
            self._interrupted.append(spec)
        else:
            self.tell(spec, record)


def export_studies(studies: dict[str, optuna.Study], path: Path) -> None:
    """Copy the trials that have run into a database for optuna-dashboard, which replaces the file."""
    path.unlink(missing_ok=True)
    url = f"sqlite:///{path}"
    for name, study in studies.items():
        copy = optuna.create_study(study_name=name, storage=url, directions=study.directions)
        finished = [trial for trial in study.trials if trial.state.is_finished()]
        copy.add_trials([trial for trial in finished if REPEATED not in trial.user_attrs])
