"""Leases: one process of the cluster makes what all need."""

import threading

from tdmr_ray.runner.leases import EXPIRES_S, LeaseTable, renewed


def test_a_lease_has_one_holder_until_it_is_returned_or_expires() -> None:
    now = [0.0]
    leases = LeaseTable(clock=lambda: now[0])
    assert leases.take("key", "one")
    assert not leases.take("key", "two")
    assert leases.take("other", "two")
    leases.give_back("key", "two")
    assert not leases.take("key", "two"), "only its holder gives a lease back"
    leases.give_back("key", "one")
    assert leases.take("key", "two")
    now[0] += EXPIRES_S * 0.9
    assert leases.take("key", "two"), "asking again renews it"
    now[0] += EXPIRES_S * 0.9
    assert not leases.take("key", "one")
    now[0] += EXPIRES_S * 0.2
    assert leases.take("key", "one"), "its holder is dead"


def test_a_lease_is_renewed_while_its_holder_works() -> None:
    leases = LeaseTable(expires_s=0.3)
    assert leases.take("key", "one")
    waited = threading.Event()
    with renewed(leases, "key", "one", every_s=0.05):
        assert not waited.wait(1.0)
        assert not leases.take("key", "two")
    assert leases.take("key", "two")
