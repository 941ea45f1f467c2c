"""Replicas whose clocks differ by months, each of which finds wrong what the other has made: they tell, and do not write on and on."""

from __future__ import annotations

import pytest

from apiservice.issuance.issuer import PERIOD
from apiservice.issuance.renewal import MOST_UNDONE, RESPITE
from tests.doubles.clock import ManualClock
from tests.unit.apiservice.issuance.simulated import SECRET, Cluster, Replica

DAY = 86_400.0


class Pair:
    """Two replicas, the clock of the second so many days ahead."""

    def __init__(self, cluster: Cluster, days: float) -> None:
        self.cluster = cluster
        self.clocks = (ManualClock(), ManualClock())
        self.clocks[1].advance(days * DAY)
        self.replicas = tuple(Replica(cluster, clock) for clock in self.clocks)
        self.troubles: list[str] = []

    def look(self, looks: int, period: float = PERIOD) -> int:
        """Look in turn, so often; how often the Secret was written."""
        before = self._writes()
        for _ in range(looks):
            for clock, replica in zip(self.clocks, self.replicas, strict=True):
                clock.advance(period)
                replica.look()
                self.troubles.append(str(replica.issuer.trouble() or ""))
        return self._writes() - before

    def _writes(self) -> int:
        return sum(call.startswith(("PUT", "POST")) for call in self.cluster.calls)


@pytest.mark.parametrize("days", [61, 400, 3500], ids="{} days apart".format)
def test_two_that_undo_each_other_stop_and_say_so(cluster: Cluster, days: int) -> None:
    pair = Pair(cluster, days)
    assert pair.look(30) <= 2 * MOST_UNDONE + 3
    trouble = "".join(pair.troubles[-2:])
    assert "Secret mesh/issued was renewed by somebody else each time" in trouble
    assert "is a clock wrong" in trouble
    # They serve with what they had meanwhile.
    assert all(replica.leaf is not None for replica in pair.replicas)
    assert pair.look(30) == 0


def test_it_is_tried_again_later_so_that_a_clock_that_was_set_right_is_enough(cluster: Cluster) -> None:
    pair = Pair(cluster, 61)
    pair.look(30)
    pair.clocks[0].advance(61 * DAY)
    pair.look(3, period=RESPITE)
    assert [replica.issuer.trouble() for replica in pair.replicas] == [None, None]
    assert pair.replicas[0].leaf == pair.replicas[1].leaf


def test_a_secret_that_is_broken_again_and_again_is_mended_each_time(
    cluster: Cluster, replica: Replica, clock: ManualClock
) -> None:
    for number in range(3 * MOST_UNDONE):
        replica.look()
        assert replica.issuer.trouble() is None
        if number % 2:
            cluster.delete_secret()
        else:
            cluster.set_data(cluster.data | {"tls.key": b"garbage"})
        clock.advance(PERIOD)


def test_renewals_that_take_turns_over_the_years_are_no_quarrel(cluster: Cluster) -> None:
    pair = Pair(cluster, 0)
    pair.look(1)
    for number in range(4 * MOST_UNDONE):
        for clock in pair.clocks:
            clock.advance(61 * DAY)
        pair.replicas[number % 2].look()
        pair.replicas[1 - number % 2].look()
        assert [replica.issuer.trouble() for replica in pair.replicas] == [None, None]
    assert cluster.calls.count(f"PUT {SECRET}") >= 4 * MOST_UNDONE
