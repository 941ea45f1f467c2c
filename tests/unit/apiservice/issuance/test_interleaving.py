"""What comes between a replica's reading and its writing, or between two of its looks: others are not undone, nor distrusted."""

from __future__ import annotations

import pytest

from apiservice.issuance.contents import certificates_of
from apiservice.issuance.registration import LINGERING
from tests.doubles.authority import Authority
from tests.doubles.clock import ManualClock
from tests.unit.apiservice.issuance.simulated import APIS, Cluster, Replica


@pytest.mark.parametrize("ahead", range(1, 12))
def test_of_two_that_start_at_once_one_makes_the_secret_and_both_serve_with_it(
    cluster: Cluster, replica: Replica, clock: ManualClock, ahead: int
) -> None:
    other = Replica(cluster, clock)
    for _ in range(ahead):
        replica.step()
    other.look()
    if replica.busy:
        replica.finish()
    assert other.leaf == replica.leaf == certificates_of(cluster.data["tls.crt"])[0]
    assert [cluster.bundle(name) for name in APIS] == [cluster.data["ca.crt"]] * 2
    assert len(certificates_of(cluster.data["ca.crt"])) == 1
    other.close()


def test_what_is_put_into_a_bundle_between_reading_and_writing_it_is_not_lost(cluster: Cluster, replica: Replica) -> None:
    theirs = Authority("theirs").pem.encode()
    while not any(call.startswith("POST") for call in cluster.calls):
        replica.step()
    cluster.set_bundle(theirs)
    replica.finish()
    assert cluster.bundle() == cluster.data["ca.crt"] + theirs


def test_a_replica_that_cannot_look_for_weeks_is_trusted_until_its_leaf_ends(
    cluster: Cluster, replica: Replica, clock: ManualClock
) -> None:
    stuck = Replica(cluster, clock)
    for each in (replica, stuck):
        each.look()
    cluster.delete_secret()
    for _ in range(90):
        for _ in range(2):
            replica.look()
            clock.advance(LINGERING)
        cluster.spread()
        stuck.ready = True
        assert not stuck.distrusted(APIS[0])
        clock.advance(86_400 - 2 * LINGERING)
    assert replica.leaf != stuck.leaf
    assert stuck.expired
    for _ in range(2):
        replica.look()
        clock.advance(LINGERING)
    assert len(certificates_of(cluster.bundle())) == 1
    stuck.close()


def test_a_secret_that_was_put_back_gets_the_authority_that_is_served(
    cluster: Cluster, replica: Replica, clock: ManualClock
) -> None:
    replica.look()
    backup = cluster.data
    cluster.delete_secret()
    for _ in range(2):
        replica.look()
        clock.advance(10)
    served = certificates_of(cluster.data["ca.crt"])[0]
    cluster.set_data(backup)
    replica.look()
    assert certificates_of(cluster.data["ca.crt"])[1:] == (served,)
