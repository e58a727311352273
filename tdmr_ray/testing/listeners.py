"""The contract of listeners."""

from pathlib import Path

import pytest

from tdmr_ray.records import TrialRecord
from tdmr_ray.training.config import TrialConfig
from tdmr_ray.tuning.listener import Listener, SearchInfo
from tdmr_ray.tuning.trial_spec import TrialSpec, build_spec


class ListenerContract:
    """Contract of a listener; set `listener`, or override the fixture `fresh`.

    Attributes:
        listener: Its class.
    """

    listener: type[Listener]

    @pytest.fixture
    def fresh(self) -> Listener:
        """Return a listener that has had no event; `tracking` builds it without arguments."""
        return self.listener()

    def test_it_receives_every_event_of_a_search(self, fresh: Listener, tmp_path: Path) -> None:
        """One trial is lost and continues, one fails at once."""
        specs = [build_spec(TrialConfig(seed=seed), phase="search") for seed in (0, 1)]
        fresh.search_begun(SearchInfo("contract", tmp_path, "val/top1", {"name": "contract"}))
        fresh.started(specs[0])
        fresh.epoch_ended(specs[0], metrics_of(1))
        fresh.continued(specs[0], record_of(specs[0], 1, "running"))
        fresh.working([(specs[0], "epoch 2")])
        fresh.lost(specs[0], "it was killed")
        fresh.started(specs[0])
        for epoch in (1, 2):
            fresh.epoch_ended(specs[0], metrics_of(epoch))
        fresh.ended(specs[0], record_of(specs[0], 2, "complete"))
        fresh.started(specs[1])
        fresh.ended(specs[1], record_of(specs[1], 0, "failed"))
        fresh.search_reported(interrupted=False)

    def test_it_takes_up_an_interrupted_search(self, fresh: Listener, tmp_path: Path) -> None:
        done, running, new = (build_spec(TrialConfig(seed=seed), phase="search") for seed in (0, 1, 2))
        records = (record_of(done, 2, "complete"), record_of(running, 1, "running"))
        fresh.search_begun(SearchInfo("contract", tmp_path, "val/top1", {"name": "contract"}, records))
        for spec in (running, new):
            fresh.started(spec)
            fresh.epoch_ended(spec, metrics_of(1))
        fresh.search_reported(interrupted=True)


def metrics_of(epoch: int) -> dict[str, float]:
    """Return the metrics of an epoch."""
    return {"epoch": float(epoch), "train/loss": 2.0 / epoch, "val/top1": 0.25 * epoch, "val/log_loss": float("nan")}


def record_of(spec: TrialSpec, epochs: int, state: str) -> TrialRecord:
    """Return the record of a trial after some epochs."""
    return TrialRecord.model_validate(
        {
            "id": spec.id,
            "phase": spec.phase,
            "pair": spec.pair,
            "config": spec.config.model_dump(mode="json"),
            "state": state,
            "metrics": metrics_of(epochs) if epochs else {},
            "curve": [0.25 * epoch for epoch in range(1, epochs + 1)],
            "error": "it diverged" if state == "failed" else "",
            "seed": spec.config.seed,
            "seconds": 1.0,
        }
    )
