"""Training of one configuration, from a space file or a finished trial, in this process or by Ray Train."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError

from tdmr_ray.data.loading import load_task
from tdmr_ray.errors import InputError, near_match
from tdmr_ray.ledger import Ledger
from tdmr_ray.models import save_target
from tdmr_ray.records import TrialRecord
from tdmr_ray.run_layout import METRICS, TrainLayout
from tdmr_ray.runner.cluster import check_fit, ray_session
from tdmr_ray.runner.gcs_watch import advised
from tdmr_ray.runner.train_together import train_together
from tdmr_ray.runner.weights import share_weights_of_trial
from tdmr_ray.space import Resources
from tdmr_ray.space.messages import rule_of
from tdmr_ray.space.reading import read_space
from tdmr_ray.storage import StoragePath
from tdmr_ray.store import Store
from tdmr_ray.training.config import TrialConfig
from tdmr_ray.training.fit import fit
from tdmr_ray.training.workers import Metrics

OnEpoch = Callable[[Metrics], object]


def first_configuration(space: Path, overrides: Mapping[str, Any]) -> TrialConfig:
    """Return the first pair of a space file with default values of what is searched."""
    plan = read_space(space, overrides)
    return plan.config(plan.default_values(), *plan.all_pairs[0])


def find_record(text: str) -> TrialRecord:
    """Return the record that `FILE:ID` names.

    Raises:
        InputError: If there is none.
    """
    path, _, name = text.rpartition(":")
    records = {record.id: record for record in Ledger(Path(path)).read()}
    if name not in records:
        raise InputError("--record", f"no trial '{name}' in '{path}'{near_match(name, records)}")
    return records[name]


def replace_values(record: TrialRecord, overrides: Mapping[str, Any]) -> TrialConfig:
    """Return a record's configuration with some values changed.

    Raises:
        InputError: If a key is unknown or a value illegal.
    """
    config = TrialConfig.model_validate(record.config)
    legal = config.flat()
    problems = [f"{key}: unknown parameter{near_match(key, legal)}" for key in overrides if key not in legal]
    if problems:
        raise InputError("--set", problems)
    try:
        return config.with_values(overrides)
    except ValidationError as error:
        details = error.errors()[0]
        raise InputError("--set", f"{'.'.join(map(str, details['loc']))}: {rule_of(details)}") from error


def replay(config: TrialConfig, out: Path, record: TrialRecord | None, on_epoch: OnEpoch) -> Metrics:
    """Train in this process, without Ray; on a CPU a record's figures are reproduced bit for bit."""
    torch.set_num_threads(record.threads if record else 1)
    reads_test = record is None or record.phase not in ("search", "tune")
    outcome = fit(config, load_task(config.data), on_epoch, read_test=reads_test)
    if outcome.target is not None:
        save_target(outcome.target, out)
    (out / METRICS).write_text(json.dumps(outcome.metrics, indent=1))
    return outcome.metrics


def train_with_ray(
    config: TrialConfig,
    resources: Resources,
    store: Store,
    results: StoragePath,
    on_epoch: OnEpoch,
    *,
    address: str | None,
    without_token: bool,
    verbose: bool,
) -> Metrics:
    """Train with Ray Train on one or several workers, on this machine or on the Ray at `address`."""
    layout = TrainLayout(results, scratch=store.local.parent)
    session = ray_session(address, verbose=verbose, without_token=without_token)
    with session, advised(address, lambda: "--resume continues after the last epoch"):
        if address is None:
            check_fit(resources)
        copies = share_weights_of_trial(config, store)
        return train_together(config, resources, store=store, layout=layout, on_progress=on_epoch, copies=copies)
