"""Hiding: whoever may be told of whatever, all requests are there, nobody is named who may not be, and nothing depends on who is hidden."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from apiservice.hiding import NODES, hide, home_of, namespace_of, place_of
from metrics_api import EVERYTHING, UNKNOWN, Direction, Histogram, Identities, ResourceRef, Sample, Side, best_observers, row_name
from metrics_api.resources import host

SPACES = ("shop", "data", "secret", "hideout")
names = st.sampled_from(["web", "api", "unknown", "a.b"])
namespaced = st.builds(ResourceRef, st.sampled_from(["Deployment", "Pod", "Service"]), st.sampled_from(SPACES), names)
peers = st.one_of(
    namespaced,
    namespaced.map(lambda peer: namespace_of(peer.namespace)),
    st.builds(ResourceRef, st.just("Node"), st.just(""), names),
    st.builds(host, st.sampled_from(["example.com", "web.secret.svc"])),
    st.just(UNKNOWN),
    st.just(EVERYTHING),
)
counts = st.none() | st.integers(0, 1000).map(float)
latencies = st.none() | st.tuples(*[st.integers(0, 100).map(float)] * 2).map(lambda counts: Histogram((1.0, math.inf), counts))
samples = st.builds(
    Sample,
    resource=st.one_of(namespaced.map(lambda ref: ref._replace(namespace="shop")), st.just(namespace_of("shop"))),
    peer=peers,
    direction=st.sampled_from(Direction),
    side=st.sampled_from(Side),
    success=counts,
    failure=counts,
    latency=latencies,
    trust=st.integers(0, 2),
    source=st.sampled_from(["one", "two"]),
    dialect=st.sampled_from(["istio", "viz"]),
    identities=st.none() | st.sampled_from(SPACES).map(lambda space: Identities(f"default.{space}", "web.shop")),
)
groups = st.lists(samples, max_size=12).map(best_observers)
places = st.frozensets(st.sampled_from([*map(namespace_of, SPACES), NODES, host("example.com"), host("web.secret.svc")]))


def totals(found: list[Sample]) -> dict[tuple[ResourceRef, Direction], tuple[float, float, float]]:
    """Successes, failures and latencies observed, of each resource in each direction."""
    sums: dict[tuple[ResourceRef, Direction], list[float]] = defaultdict(lambda: [0.0, 0.0, 0.0])
    for sample in found:
        total = sums[sample.resource, sample.direction]
        total[0] += sample.success or 0
        total[1] += sample.failure or 0
        total[2] += sum(sample.latency.counts) if isinstance(sample.latency, Histogram) else 0
    return {key: (success, failure, seen) for key, (success, failure, seen) in sums.items()}


@given(groups, places)
def test_numbers_add_up_whoever_is_hidden(found: list[Sample], visible: frozenset[ResourceRef]):
    of_one_source = [replace(sample, source="one") for sample in found]
    assert totals(hide(of_one_source, visible)[0]) == totals(found)


@given(groups, places)
def test_counts_add_up_whoever_observed(found: list[Sample], visible: frozenset[ResourceRef]):
    """Latencies need not: where a source has none of its requests, there is none of all."""
    shown, told = totals(hide(found, visible)[0]), totals(found)
    assert {key: numbers[:2] for key, numbers in shown.items()} == {key: numbers[:2] for key, numbers in told.items()}


@given(groups, places)
def test_nobody_is_named_whose_place_may_not_be_told_of(found: list[Sample], visible: frozenset[ResourceRef]):
    shown, hidden = hide(found, visible)
    assert not hidden & visible
    for sample in shown:
        place = place_of(sample.peer, home_of(sample.resource))
        assert place is None or place in visible or sample.peer == sample.resource


@given(groups, places)
def test_nobody_unnamed_is_named_by_an_identity(found: list[Sample], visible: frozenset[ResourceRef]):
    shown = hide(found, visible)[0]
    assert {sample.identities for sample in shown if sample.peer == UNKNOWN} <= {None}


@given(groups, places)
def test_every_row_has_a_name_of_its_own(found: list[Sample], visible: frozenset[ResourceRef]):
    shown = hide(found, visible)[0]
    rows = [(sample.resource, sample.direction, sample.peer) for sample in shown]
    assert len(set(rows)) == len(rows)
    before = {row_name(sample.resource, sample.direction, sample.peer) for sample in found}
    after = [row_name(sample.resource, sample.direction, sample.peer) for sample in shown]
    assert {name for name in after if not name.endswith(".unknown")} <= before


@given(groups, places, st.sampled_from(["vault", "x"]))
def test_nothing_tells_how_the_hidden_are_called(found: list[Sample], visible: frozenset[ResourceRef], other: str):
    """Were they called otherwise, or of another kind, the answer would be the same."""

    def called_otherwise(sample: Sample) -> Sample:
        place = place_of(sample.peer, home_of(sample.resource))
        if place is None or place in visible or place.kind != "Namespace" or sample.peer.kind == "Namespace":
            return sample
        return replace(sample, peer=ResourceRef("Job", sample.peer.namespace, f"{other}-{sample.peer.kind}-{sample.peer.name}"))

    assert hide([called_otherwise(sample) for sample in found], visible) == hide(found, visible)


@given(groups)
def test_who_may_be_told_of_every_place_is_told_everything(found: list[Sample]):
    # Nobody can be asked whether the identity of an unknown peer may be told.
    found = [replace(sample, identities=None) if sample.peer == UNKNOWN else sample for sample in found]
    everywhere = hide(found, frozenset())[1]
    shown, hidden = hide(found, everywhere)
    assert (hidden, sorted(map(repr, shown))) == (frozenset(), sorted(map(repr, found)))
