"""State that a worker process keeps from one trial to the next."""

from dataclasses import dataclass

from tdmr_ray.models.weights import FindCopy
from tdmr_ray.runner.activities import Activities
from tdmr_ray.runner.coordinator import cluster_tables
from tdmr_ray.runner.messages import WorkerSettings
from tdmr_ray.runner.shared_store import SharedStore
from tdmr_ray.runner.task_cache import TaskCache
from tdmr_ray.runner.teacher_provider import GroupTeacherProvider, StoredTeacherProvider
from tdmr_ray.runner.weights import copies_in
from tdmr_ray.training.workers import ALONE, Workers


@dataclass(frozen=True)
class WorkerContext:
    """State that a worker process keeps from one trial to the next.

    Attributes:
        shared: Store of teachers, decoded images and weights.
        tasks: Tasks in memory.
        provider: Source of teachers.
        find_copy: Finds copies of pretrained weights in the store.
        activities: Where this process tells what it does.
    """

    shared: SharedStore
    tasks: TaskCache
    provider: StoredTeacherProvider
    find_copy: FindCopy
    activities: Activities


def open_context(settings: WorkerSettings, workers: Workers = ALONE) -> WorkerContext:
    """Open the store of this machine."""
    leases, activities = cluster_tables()
    shared = SharedStore(settings.open_store(), leases)
    provider = StoredTeacherProvider(shared) if workers.count == 1 else GroupTeacherProvider(shared, workers)
    return WorkerContext(shared, TaskCache(shared), provider, copies_in(shared, settings.copies), activities)
