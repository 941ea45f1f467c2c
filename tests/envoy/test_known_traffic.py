"""The dialects of the Envoy family against real Envoys: of traffic that is known, every kind and direction, to the last request."""

from __future__ import annotations

from collections import defaultdict

import pytest

from metrics_api import EVERYTHING, ResourceRef, Sample
from tests.envoy.running import Run
from tests.envoy.setups import GATEWAY, NAMESPACE, SETUPS, Setup
from tests.envoy.traffic import Flow, flows

pytestmark = pytest.mark.real

KINDS = ("Deployment", "Pod", "Service", "Namespace", "Node")

Rows = dict[tuple[ResourceRef, ResourceRef], tuple[int, int]]
"""Successes and failures by resource and peer."""


def expected(setup: Setup, kind: str, direction: str) -> Rows:
    """The rows of an answer. Callers count for what they call only where nobody else saw it, and can name it as surely."""
    rows: defaultdict[tuple[ResourceRef, ResourceRef], tuple[int, int]] = defaultdict(lambda: (0, 0))
    known = [flow for flow in flows(setup) if kind != "Service" or not setup.extended or flow.caller in setup.extended]

    def add(resource: ResourceRef | None, peer: ResourceRef | None, flow: Flow) -> None:
        if resource is not None and peer is not None:
            success, failure = rows[resource, peer]
            rows[resource, peer] = (success + flow.success, failure + flow.failure)

    if direction == "to":
        for flow in known:
            add(own(setup, kind, flow.caller), peer(setup, kind, flow.callee), flow)
    elif direction == "from":
        level = kind if kind != "Service" else "Deployment"
        for flow in known:
            add(callee(setup, kind, flow.callee), own(setup, level, flow.caller), flow)
    else:
        for flow in known:
            add(own(setup, kind, flow.callee), EVERYTHING, flow)
        served = {resource for resource, _ in rows}
        kindless = setup.own.get(kind) != setup.callee.get(kind) and served
        for flow in known:
            named = callee(setup, kind, flow.callee)
            if flow.caller and named not in served and not kindless:
                add(named, EVERYTHING, flow)
    return dict(rows)


def expected_slow(setup: Setup, direction: str) -> dict[tuple[ResourceRef, ResourceRef], int]:
    """How many slow requests are in each row of an answer about workloads."""
    rows: defaultdict[tuple[ResourceRef, ResourceRef], int] = defaultdict(int)
    for flow in flows(setup):
        resource = own(setup, "Deployment", flow.caller if direction else flow.callee)
        other = peer(setup, "Deployment", flow.callee) if direction else EVERYTHING
        if resource is not None and other is not None and flow.slow:
            rows[resource, other] += flow.slow
    return dict(rows)


def own(setup: Setup, kind: str, workload: str) -> ResourceRef | None:
    """What a reporting proxy is known as."""
    return _ref(setup.own.get(kind), workload) if workload in setup.proxies else None


def callee(setup: Setup, kind: str, workload: str) -> ResourceRef | None:
    """What a workload is known as by those who call it."""
    return _ref(setup.callee.get(kind), workload) if workload != GATEWAY else None


def peer(setup: Setup, kind: str, workload: str) -> ResourceRef | None:
    """A callee at the level of the question, or by the name of its cluster."""
    levels = ("Namespace",) if kind == "Namespace" else ("Deployment", "Service")
    named = (callee(setup, level, workload) for level in levels)
    return next((ref for ref in named if ref is not None), None) or (
        ResourceRef("", "", setup.outbound(workload)) if workload != GATEWAY else None
    )


def _ref(kind: str | None, workload: str) -> ResourceRef | None:
    match kind:
        case None:
            return None
        case "Namespace":
            return ResourceRef(kind, "", NAMESPACE)
        case "Node":
            return ResourceRef(kind, "", f"node-of-{workload}")
        case "Pod":
            return ResourceRef(kind, NAMESPACE, f"{workload}-0")
        case _:
            return ResourceRef(kind, NAMESPACE, workload)


ASKED = [
    pytest.param(name, kind, direction, id=f"{name}: {kind} {direction or 'totals'}")
    for name, setup in SETUPS.items()
    for kind in KINDS
    for direction in ("", "to", "from")
    if expected(setup, kind, direction)
]


def counted_exactly(sample: Sample, success: int, failure: int) -> bool:
    """Whether these requests were counted and no other.

    The stretch to the edges of the window adds some percent to everything alike, and nothing can take a request away.
    """
    assert sample.success is not None
    assert sample.failure is not None
    sent = success + failure
    stretch = (sample.success + sample.failure) / sent
    return 1 - 1e-9 <= stretch < 1 + 0.9 / sent and sample.failure == pytest.approx(failure * stretch, abs=0.1)


@pytest.mark.parametrize(("name", "kind", "direction"), ASKED)
async def test_what_was_sent_is_told_and_nothing_else(runs: dict[str, Run], name: str, kind: str, direction: str):
    answer = await runs[name].answer(kind, direction)
    found = {(sample.resource, sample.peer): sample for sample in answer.samples}
    want = expected(SETUPS[name], kind, direction)
    assert found.keys() == want.keys()
    wrong = {key: (found[key].success, found[key].failure) for key in want if not counted_exactly(found[key], *want[key])}
    assert not wrong, want


@pytest.mark.parametrize("name", SETUPS)
@pytest.mark.parametrize("direction", ["", "to"], ids=["at the callee", "at the caller"])
async def test_latencies_are_milliseconds_of_the_requests_that_took_them(runs: dict[str, Run], name: str, direction: str):
    answer = await runs[name].answer("Deployment", direction)
    found = {(sample.resource, sample.peer): sample for sample in answer.samples}
    slow = expected_slow(SETUPS[name], direction)
    assert slow
    for key, count in slow.items():
        latency = found[key].latency
        assert latency is not None
        # With what the machine adds to them, which others have as well.
        counted = sum(count for bound, count in zip(latency.bounds, latency.counts, strict=True) if 0.5 < bound <= 1)
        assert count - 1e-9 <= counted < count + 0.9
