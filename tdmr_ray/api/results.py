"""Results of searches: one output directory, or a report over several."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pyarrow import ArrowException

from tdmr_ray.errors import InputError
from tdmr_ray.models import WEIGHTS_FILE
from tdmr_ray.records import TrialRecord
from tdmr_ray.report.fetch import fetched
from tdmr_ray.report.folder import Comparison, Search, compare, read_search
from tdmr_ray.report.leaderboard import Leaderboard
from tdmr_ray.report.write import write_reports
from tdmr_ray.run_layout import RECORDS, RunLayout


@dataclass(frozen=True)
class SearchResult:
    """Results of a search, finished or not.

    Attributes:
        out: Its output directory.
        records: Every trial.
        leaderboard: Rows, best first, and the recommendation.
        interrupted: Whether it ended early; `run_search(..., resume=True)` continues it.
    """

    out: Path
    records: Sequence[TrialRecord]
    leaderboard: Leaderboard
    interrupted: bool = False

    @property
    def models(self) -> dict[str, Path]:
        """Folders of the best model by TDMR of each pair, by the name of the pair."""
        best = RunLayout(self.out).best
        return {path.name: path for path in sorted(best.iterdir()) if path.is_dir()} if best.exists() else {}

    @property
    def best(self) -> Path:
        """Folder of the recommended model, whichever method made it.

        Raises:
            InputError: If nothing is confirmed, so that nothing is recommended.
        """
        best = RunLayout(self.out).best
        if not (best / WEIGHTS_FILE).exists():
            raise InputError(str(self.out), "recommends no model; confirm at least one finalist (confirm.top: 1)")
        return best


def read_results(out: str | Path) -> SearchResult:
    """Read the output directory of a search.

    Raises:
        InputError: If it holds no records.
    """
    found = read_search(Path(out))
    if not found.records:
        raise InputError(str(out), "holds no records.jsonl of a search; give its output directory")
    return result_of(found, Path(out), interrupted=False)


def result_of(found: Search, root: Path, *, interrupted: bool) -> SearchResult:
    """Build the result of a search that was read from its output directory."""
    return SearchResult(root, found.records, compare([found])[0].board, interrupted)


def merge_results(locations: Sequence[str | Path], out: str | Path) -> tuple[list[Comparison], Mapping[str, Path]]:
    """Write one report over several searches.

    Args:
        locations: Output directories of searches, or URIs such as `s3://bucket/prefix/NAME`.
        out: Folder for the report; made if missing.

    Returns:
        A comparison for each set of images, and the report's files by their endings.

    Raises:
        InputError: If a location is unreachable or holds no search.
    """
    searches = [_fetch(str(location)) for location in locations]
    empty = [location for location, found in zip(locations, searches, strict=True) if not found.records]
    if empty:
        rule = f"holds no {RECORDS}; give the output directory of a search"
        raise InputError("leaderboard", [f"{location} {rule}" for location in empty])
    comparisons, target = compare(searches), Path(out)
    target.mkdir(parents=True, exist_ok=True)
    return comparisons, write_reports(comparisons, target)


def _fetch(location: str) -> Search:
    try:
        with fetched(location) as folder:
            return read_search(folder)
    except (OSError, ArrowException) as error:
        reason = str(error).splitlines()[0]
        rule = f"{location} cannot be read: {reason}; check the address and your rights"
        raise InputError("leaderboard", rule) from error
