"""Records of an earlier part of a search, as specs of its space."""

from collections.abc import Iterable

from pydantic import ValidationError

from tdmr_ray.records import TrialRecord
from tdmr_ray.space import Space
from tdmr_ray.training.config import TrialConfig
from tdmr_ray.tuning.trial_spec import TrialSpec, build_spec


def divide_records(
    space: Space, records: Iterable[TrialRecord], search_data: str = ""
) -> tuple[list[tuple[TrialSpec, TrialRecord]], list[TrialRecord]]:
    """Divide the search trials among some records into those that a space holds and those outside it.

    Args:
        space: The space.
        records: The records.
        search_data: Fingerprint of the search's images; trials with others are outside. '' accepts all.

    Returns:
        Specs with their records, each configuration once (the last record counts); and the records outside.
    """
    inside: dict[str, tuple[TrialSpec, TrialRecord]] = {}
    outside = []
    for record in records:
        if record.phase != "search":
            continue
        spec = spec_of(space, record, search_data)
        if spec is None:
            outside.append(record)
        else:
            inside[spec.id] = spec, record
    return list(inside.values()), outside


def spec_of(space: Space, record: TrialRecord, search_data: str = "") -> TrialSpec | None:
    """Return the spec that gives a record's configuration in a space; None if it is outside; see `divide_records`."""
    config = config_of(record) if record.has_data(search_data) else None
    values = None if config is None else space.values_of(config)
    if config is None or values is None:
        return None
    return build_spec(config, phase="search", values=values, search_data=search_data)


def config_of(record: TrialRecord) -> TrialConfig | None:
    """Return a record's configuration; None if this version does not know it."""
    try:
        return TrialConfig.model_validate(record.config)
    except ValidationError:
        return None
