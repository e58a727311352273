"""The named actor that all processes of a cluster share: leases, and what everybody is doing."""

from typing import Any

from tdmr_ray.runner.activities import Activities, ActivityTable, ClusterActivities
from tdmr_ray.runner.leases import ClusterLeases, Leases, LeaseTable

ACTOR, NAMESPACE = "coordinator", "tdmr_ray"


class Coordinator(LeaseTable, ActivityTable):
    """One actor instead of two, since each is a process."""

    def __init__(self) -> None:
        LeaseTable.__init__(self)
        ActivityTable.__init__(self)


def cluster_tables() -> tuple[Leases, Activities]:
    """Return the tables of the running Ray, one for all its searches; without Ray, tables for this process alone.

    If the actor's machine is lost, it starts elsewhere with empty tables; at worst something is made twice.
    """
    import ray

    if not ray.is_initialized():
        return LeaseTable(), ActivityTable()
    actor: Any = (
        ray.remote(Coordinator)
        .options(name=ACTOR, namespace=NAMESPACE, get_if_exists=True, num_cpus=0, max_restarts=-1, lifetime="detached")
        .remote()
    )
    return ClusterLeases(actor), ClusterActivities(actor)
