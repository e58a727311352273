"""The ledger, written as trials start, pass rungs and end."""

from collections.abc import Callable

from tdmr_ray.ledger import Ledger
from tdmr_ray.records import TrialRecord
from tdmr_ray.run_layout import RunLayout
from tdmr_ray.runner.trial_record import blank_record
from tdmr_ray.tuning.listener import Listener
from tdmr_ray.tuning.trial_spec import TrialSpec


class LedgerWriter(Listener):
    """Listener that writes a line when a trial starts, at each rung that it passes, and when it ends.

    It belongs to the owner of the output directory's lock, and cuts off what a killed process left unfinished.

    Args:
        layout: Files of the search; the checkpoint of a trial is removed when it has ended.
        rungs: Returns the epochs after which the record of a running trial is written.
    """

    def __init__(self, layout: RunLayout, rungs: Callable[[], tuple[int, ...]] = tuple) -> None:
        self.ledger, self.layout, self.rungs = Ledger(layout.records), layout, rungs
        self.ledger.cut_unfinished_line()
        self.known = {record.id for record in self.ledger.read()}

    def started(self, spec: TrialSpec) -> None:
        """Write a line for a new trial, so that no drawn configuration is lost."""
        if spec.id not in self.known:
            self.known.add(spec.id)
            self.ledger.append(blank_record(spec))

    def continued(self, spec: TrialSpec, record: TrialRecord) -> None:
        """Write a line at a rung."""
        if len(record.curve) in self.rungs():
            self.ledger.append(record)

    def ended(self, spec: TrialSpec, record: TrialRecord) -> None:
        """Write the last line."""
        self.ledger.append(record)
        self.layout.checkpoint(spec.id).remove()
