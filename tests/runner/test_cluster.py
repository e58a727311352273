"""Starting Ray."""

import pytest
import ray

from tdmr_ray.errors import SearchStopped
from tdmr_ray.runner.cluster import ray_session


def start_fails_with(message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def init(**settings: object) -> None:
        raise Exception(message)

    monkeypatch.setattr(ray, "init", init)


def test_a_machine_too_busy_to_start_ray_gets_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    start_fails_with("The current node timed out during startup. This could happen because", monkeypatch)
    with pytest.raises(SearchStopped, match="too busy"), ray_session(None, verbose=False):
        pass


def test_other_faults_of_ray_are_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    start_fails_with("no such address", monkeypatch)
    with pytest.raises(Exception, match="no such address"), ray_session(None, verbose=False):
        pass
