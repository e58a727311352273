"""Number of trials that share a GPU or run at the same time."""

from pathlib import Path

import pytest
import ray

from tdmr_ray.data.decoded import task_key
from tdmr_ray.errors import InputError
from tdmr_ray.runner.cluster import check_fit, largest_cluster, num_slots
from tdmr_ray.runner.gpu_share import gpu_share, shortened
from tdmr_ray.runner.gpu_sharing import taken_bytes, with_gpu_share
from tdmr_ray.runner.messages import WorkerSettings
from tdmr_ray.space import Resources, Space
from tdmr_ray.space.reading import check_tree
from tdmr_ray.training.config import TrialConfig


def space_with(gpu: object) -> Space:
    tree = {
        "name": "test",
        "data": {"name": "digits", "shots": 5},
        "pairs": {"foundations": ["glyph_cnn"], "targets": ["lcnet_035"]},
        "resources": {"gpu": gpu},
    }
    space, problems = check_tree(tree)
    assert space is not None, problems
    return space


@pytest.mark.parametrize(
    ("taken", "total", "share"),
    [(10, 100, 1 / 8), (20, 100, 1 / 4), (40, 100, 1 / 2), (50, 100, 1.0), (90, 100, 1.0), (1, 100, 1 / 8)],
)
def test_trials_share_a_gpu_as_far_as_its_memory_holds_them_with_a_margin(taken: int, total: int, share: float) -> None:
    assert gpu_share(taken, total) == share


def test_taken_memory_is_read_after_an_epoch_of_each_pair(tmp_path: Path) -> None:
    config = TrialConfig().with_values(
        {"data.shots": 5, "foundation.name": "glyph_cnn", "target.name": "lcnet_035", "distill.num_stages": 3}
    )
    short = shortened(config)
    assert (short.distill.epochs, short.distill.batch_size) == (1, config.distill.batch_size)
    settings = WorkerSettings(tmp_path)
    assert taken_bytes([short], settings, task_key(config.data), lambda: (30, 100)) == (70, 100)


def test_auto_is_no_gpu_on_a_machine_without_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray, "cluster_resources", lambda: {"CPU": 2.0})
    assert with_gpu_share(space_with("auto"), WorkerSettings(tmp_path)).resources.gpu == 0
    assert with_gpu_share(space_with(0.5), WorkerSettings(tmp_path)).resources.gpu == 0.5


@pytest.mark.parametrize(("gpu", "slots"), [(0, 16), (1 / 3, 12), (0.25, 16), (1, 4), (2, 2)])
def test_slots_are_the_trials_that_fit(gpu: float, slots: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray, "cluster_resources", lambda: {"CPU": 16.0, "GPU": 4.0})
    assert num_slots(Resources(gpu=gpu)) == slots


def test_slots_leave_room_for_several_workers_and_for_teachers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray, "cluster_resources", lambda: {"CPU": 16.0})
    assert num_slots(Resources(workers=4)) == 4
    assert num_slots(Resources(cpu=2, workers=4)) == 2
    assert num_slots(Resources(reprogram_workers=4)) == 12
    monkeypatch.setattr(ray, "cluster_resources", lambda: {"CPU": 2.0})
    with pytest.raises(InputError, match="a trial and 2 workers for a teacher takes 3, this machine has 2"):
        check_fit(Resources(reprogram_workers=2))


def test_concurrent_counts_on_a_cluster_that_grows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray, "cluster_resources", lambda: {"CPU": 2.0})
    assert num_slots(Resources(concurrent=8)) == 2
    assert num_slots(Resources(concurrent=8), joined=True) == 8


def test_a_cluster_of_rays_launcher_counts_with_its_largest_size(tmp_path: Path) -> None:
    path = tmp_path / "bootstrap.yaml"
    assert largest_cluster(path) == {}
    path.write_text(
        """
        max_workers: 3
        head_node_type: head
        available_node_types:
          head: {resources: {CPU: 2}}
          large: {resources: {CPU: 8, GPU: 2}, max_workers: 1}
          small: {resources: {CPU: 4, GPU: 1}, max_workers: 9}
        """
    )
    assert largest_cluster(path) == {"CPU": 16, "GPU": 4}


def test_a_trial_that_does_not_fit_on_this_machine_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray, "cluster_resources", lambda: {"CPU": 2.0})
    check_fit(Resources(cpu=2))
    with pytest.raises(InputError) as error:
        check_fit(Resources(cpu=3, gpu=0.5))
    assert list(error.value.problems) == [
        "resources.cpu: a trial takes 3, this machine has 2; give less, or --address",
        "resources.gpu: a trial takes 0.5, this machine has 0; give less, or --address",
    ]
