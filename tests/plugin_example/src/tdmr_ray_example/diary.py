"""A line of text for each trial that has ended."""

from tdmr_ray.records import TrialRecord
from tdmr_ray.tuning.listener import Listener, SearchInfo
from tdmr_ray.tuning.trial_spec import TrialSpec


class Diary(Listener):
    """Writes `diary.txt` into the output directory."""

    def search_begun(self, search: SearchInfo) -> None:
        """Remember where to write."""
        self.file = search.root / "diary.txt"

    def ended(self, spec: TrialSpec, record: TrialRecord) -> None:
        """Write a line."""
        self._write(f"{record.id} {record.state}")

    def search_reported(self, *, interrupted: bool) -> None:
        """Write the last line."""
        self._write("interrupted" if interrupted else "complete")

    def _write(self, line: str) -> None:
        with self.file.open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")
