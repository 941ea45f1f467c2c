"""Whichever series name their workload and whichever only their pod: added up, each request counts once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.dialects import load_dialect
from metrics_api import ANY_WORKLOAD, EVERYTHING, WORKLOAD_KINDS, Direction, ResourceRef, TrafficQuery, Window, lift
from tests.unit.dialects.holding import Series, consult

LINKERD = load_dialect("linkerd")
COUNTER, TOOK = "response_total", "response_latency_ms"
PODS = tuple(f"{owner}-{number}" for owner in ("web", "api", "canary", "bare") for number in (1, 2))
LISTED = TrafficQuery((*WORKLOAD_KINDS, ANY_WORKLOAD), Window(30), 0, "shop", members=("Pod", ANY_WORKLOAD))
Flows = Mapping[tuple[str, str], float]

flows = st.dictionaries(st.tuples(st.sampled_from(PODS), st.sampled_from(PODS)), st.integers(1, 100).map(float), max_size=12)
labelled = st.sets(st.sampled_from([pod for pod in PODS if pod.startswith(("web", "api"))]))


def workload(pod: str) -> ResourceRef:
    """Those called "bare" belong to nothing."""
    owner = pod.partition("-")[0]
    kinds = {"canary": "Rollout", "bare": "Pod"}
    return ResourceRef(kinds.get(owner, "Deployment"), "shop", pod if owner == "bare" else owner)


def named(pod: str, prefix: str, known: set[str]) -> dict[str, str]:
    owner = {f"{prefix}deployment": workload(pod).name} if pod in known else {}
    return {f"{prefix}namespace": "shop", f"{prefix}pod": pod, **owner}


def series(told: Flows, known: set[str]) -> list[Series]:
    """What the proxies of both ends count; pods of ``known`` have the label of their Deployment."""
    found: list[Series] = []
    for (caller, callee), count in told.items():
        about = {"tls": "true", "classification": "success"}
        found.append(({"direction": "inbound", **about, **named(callee, "", known)}, count))
        found.append(({"direction": "outbound", **about, **named(caller, "", known), **named(callee, "dst_", known)}, count))
    return found


def ask(query: TrafficQuery, told: Flows, known: set[str]) -> dict[tuple[ResourceRef, ResourceRef, Direction], float | None]:
    held = series(told, known)
    samples = consult(LINKERD, query, {COUNTER: held, TOOK: held}).samples

    def above(ref: ResourceRef) -> ResourceRef:
        return workload(ref.name) if ref.kind == "Pod" else ref

    lifted = lift(samples, lambda ref: () if above(ref).kind == "Pod" else (above(ref),), above)
    return {(sample.resource, sample.peer, sample.direction): sample.success for sample in lifted}


@given(flows, labelled)
def test_totals_of_workloads_are_those_of_their_pods(told: Flows, known: set[str]):
    truth: defaultdict[tuple[ResourceRef, ResourceRef, Direction], float] = defaultdict(float)
    for (_, callee), count in told.items():
        if workload(callee).kind != "Pod":
            truth[workload(callee), EVERYTHING, Direction.FROM] += count
    assert ask(LISTED, told, known) == truth


@pytest.mark.parametrize("direction", [None, *Direction])
@given(told=flows, known=labelled)
def test_edges_of_workloads_are_those_of_their_pods(told: Flows, known: set[str], direction: Direction | None):
    truth: defaultdict[tuple[ResourceRef, ResourceRef, Direction], float] = defaultdict(float)
    for (caller, callee), count in told.items():
        ends = workload(caller), workload(callee)
        if ends[0].kind != "Pod" and direction is not Direction.FROM:
            truth[(*ends, Direction.TO)] += count
        if ends[1].kind != "Pod" and direction is not Direction.TO:
            truth[(ends[1], ends[0], Direction.FROM)] += count
    query = replace(LISTED, edges=True, peer_members=("Pod",), direction=direction)
    assert ask(query, told, known) == truth
