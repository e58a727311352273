"""Reads the results of a search in a loop, as `tdmr leaderboard` does; fails unless it sees whole records."""

import sys
import time
from contextlib import suppress
from pathlib import Path

from tdmr_ray.errors import InputError
from tdmr_ray.ledger import Ledger
from tdmr_ray.report.folder import compare, read_search

TIMES = 10

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    for _ in range(TIMES):
        with suppress(InputError):  # says that a line is damaged, as it may be for a moment; see `RecordDamaged`
            before = Ledger(folder / "records.jsonl").read()
            if before:
                compare([read_search(folder)])
            after = Ledger(folder / "records.jsonl").read()
            assert {record.id for record in before} <= {record.id for record in after}
        time.sleep(0.5)
