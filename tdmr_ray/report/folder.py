"""A search's folder, as the report reads it."""

import json
from pathlib import Path

from tdmr_ray.errors import InputError
from tdmr_ray.records import Ledger, TrialRecord

RECORDS, TARGETS = "records.jsonl", "targets.json"

Costs = dict[str, dict[str, float]]


def read_folder(folder: Path) -> tuple[list[TrialRecord], Costs]:
    """The records of a search, and what its targets cost.

    Raises:
        InputError: If the folder holds no records.
    """
    records = Ledger(folder / RECORDS).read()
    if not records:
        raise InputError(str(folder), f"holds no trials ({RECORDS} is missing or empty); give the --out of a search")
    costs = folder / TARGETS
    return records, json.loads(costs.read_text(encoding="utf-8")) if costs.exists() else {}
