"""Several replicas whose calls to kube-apiserver interleave in any order: whoever serves is trusted by the aggregator, all the time."""

from __future__ import annotations

import base64
import datetime as dt

import hypothesis.strategies as st
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from apiservice.certificates import make_authority, make_leaf
from apiservice.issuance.contents import Contents, written
from apiservice.issuance.issuer import PERIOD, SETTLING
from apiservice.issuance.renewal import LEAF_LIFE
from tests.doubles.clock import ManualClock
from tests.unit.apiservice.issuance.simulated import APIS, NAMES, Cluster, Replica

_LAG = SETTLING - 1
"""Seconds after which every kube-apiserver has learnt of a change to an APIService."""
_PATIENCE = 240.0
"""Seconds that one replica may need for a look, or be kept from looking, in the machine where people meddle."""

WHICH = st.integers(0, 2)


class _Fleet(RuleBasedStateMachine):
    """Three replicas, and an aggregator that learns of new bundles some seconds later."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = ManualClock()
        self.cluster = Cluster()
        self.replicas = [Replica(self.cluster, self.clock) for _ in range(3)]
        self.unspread = 0.0

    def teardown(self) -> None:
        for replica in self.replicas:
            replica.close()

    @initialize(age=st.sampled_from([3270, 3270, 3270, 100, None]))
    def begin(self, age: int | None) -> None:
        """With nothing, all at once; or three weeks after all have looked at an authority of that age, of which the oldest is due."""
        if age is None:
            return
        now = self.clock.now()
        authority = make_authority(now - dt.timedelta(days=age))
        leaf = make_leaf(authority, NAMES, now, LEAF_LIFE)
        data = written(Contents(authority, leaf, (authority[0],)))
        self.cluster.set_data({key: base64.b64decode(value) for key, value in data.items()})
        for replica in self.replicas:
            replica.look()
        self.spread()
        self.clock.advance(dt.timedelta(days=21).total_seconds())

    @rule(which=WHICH, calls=st.integers(1, 12))
    def work(self, which: int, calls: int) -> None:
        for _ in range(calls):
            self.replicas[which].step()

    @rule(which=WHICH)
    def look(self, which: int) -> None:
        self.replicas[which].look()

    @rule(which=WHICH)
    def restart(self, which: int) -> None:
        self.replicas[which].close()
        self.replicas[which].restart()

    @rule()
    def spread(self) -> None:
        self.cluster.spread()
        self.unspread = 0.0
        # A kubelet needs longer to find a server ready than an aggregator to learn of a bundle.
        for replica in self.replicas:
            replica.ready = replica.leaf is not None and not replica.expired

    @rule(seconds=st.sampled_from([1.0, SETTLING, PERIOD]))
    def wait(self, seconds: float) -> None:
        self.unspread += seconds
        if self.unspread > _LAG:
            self.clock.advance(_LAG)
            self.spread()
            self.clock.advance(max(0.0, seconds - _LAG))
        else:
            self.clock.advance(seconds)

    @invariant()
    def whoever_serves_is_trusted(self) -> None:
        for name in APIS:
            for replica in self.replicas:
                assert not replica.distrusted(name)


class Rotating(_Fleet):
    """Nobody meddles, but a replica may be stuck in the midst of a look for months."""

    @rule(days=st.sampled_from([1, 15, 29, 61, 91]))
    def months_pass(self, days: int) -> None:
        self.spread()
        self.clock.advance(dt.timedelta(days=days).total_seconds())
        # The readiness check fails of those who have slept through their time.
        self.spread()


class Meddling(_Fleet):
    """People delete the Secret, break it and put old ones back; every replica gets to look every few minutes."""

    def __init__(self) -> None:
        super().__init__()
        self.backup: dict[str, bytes] = {}

    @rule(seconds=st.sampled_from([30.0, 60.0, 120.0]))
    def minutes_pass(self, seconds: float) -> None:
        self.spread()
        for replica in self.replicas:
            if self.clock.monotonic() + seconds - replica.looked > _PATIENCE:
                replica.look()
        self.spread()
        self.clock.advance(seconds)

    @precondition(lambda self: self.cluster.data)
    @rule()
    def delete(self) -> None:
        self.cluster.delete_secret()

    @precondition(lambda self: self.cluster.data)
    @rule(key=st.sampled_from(["ca.crt", "ca.key", "tls.crt", "tls.key"]), garbage=st.sampled_from([b"", b"garbage"]))
    def damage(self, key: str, garbage: bytes) -> None:
        self.cluster.set_data(self.cluster.data | {key: garbage})

    @precondition(lambda self: self.cluster.data)
    @rule()
    def back_up(self) -> None:
        self.backup = self.cluster.data

    @precondition(lambda self: self.backup)
    @rule()
    def restore(self) -> None:
        self.cluster.set_data(self.backup)


_SETTINGS = settings(max_examples=20, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])

TestRotating = Rotating.TestCase
TestRotating.settings = _SETTINGS
TestMeddling = Meddling.TestCase
TestMeddling.settings = _SETTINGS
