"""Every answer of every dialect against the facts: the same rows, counts within one percent, percentiles in the bucket of the true one."""

from __future__ import annotations

import asyncio
import math
import re
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import replace

import aiohttp
import pytest

from metrics_api import Direction, ResourceRef, Sample, Side, TrafficQuery
from tests.doubles import mesh_istio, mesh_linkerd
from tests.doubles.mesh import MESHES
from tests.doubles.mesh_truth import Asked, Key, Truth, rows
from tests.truth.conftest import STORES, WINDOW, Fleet
from tests.truth.quantiles import percentiles_of
from tests.truth.refusals import refused

pytestmark = pytest.mark.real

WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet", "Job", "ReplicaSet")
KINDS: dict[str, tuple[tuple[str, ...], str, str]] = {
    "namespaces": (("Namespace",), "", "shop"),
    "nodes": (("Node",), "", "node-a"),
    "pods": (("Pod",), "shop", "cart-0"),
    "services": (("Service",), "shop", "api"),
    "deployments": (("Deployment",), "shop", "web"),
    "statefulsets": (("StatefulSet",), "shop", "cart"),
    "daemonsets": (("DaemonSet",), "shop", "logs"),
    "jobs": (("Job",), "shop", "reindex"),
    "replicasets": (("ReplicaSet",), "shop", "pinned"),
    "workloads": (WORKLOADS, "shop", "api"),
}
"""Kinds asked for together, and one object of them by name."""

BOUNDS = {
    mesh: [float(bound) / 1000 for bound in (mesh_linkerd.BOUNDS if mesh == "linkerd" else mesh_istio.BOUNDS)] for mesh in MESHES
}

MARGIN = 0.004
"""How far, in shares of all requests, a percentile may be from the true one: counts are a little off, too."""

RESTART = 0.15
"""What a pod that restarts once a window may lose of its own: up to a scrape before the restart, and the edge of the window."""


def shapes(kinds: tuple[str, ...], namespace: str, name: str) -> dict[str, Asked]:
    """The ways to ask for one kind."""
    totals, edges = Asked(kinds), Asked(kinds, edges=True)
    return {
        "totals": totals,
        "totals-of-a-namespace": replace(totals, namespace="ledger" if namespace else ""),
        "total-of-one": replace(totals, namespace=namespace, name=name),
        "totals-seen-by-callers": replace(totals, side="client"),
        "edges": edges,
        "edges-to": replace(edges, direction="to"),
        "edges-from": replace(edges, direction="from"),
        "edges-of-a-namespace": replace(edges, namespace="ledger" if namespace else ""),
        "edges-of-one": replace(edges, namespace=namespace, name=name),
    }


QUESTIONS = {
    f"{kind}-{shape}": asked
    for kind, (kinds, namespace, name) in KINDS.items()
    for shape, asked in shapes(kinds, namespace, name).items()
}
ANSWERABLE = [
    pytest.param(mesh, asked, id=f"{mesh}-{title}")
    for mesh in MESHES
    for title, asked in QUESTIONS.items()
    if not refused(mesh, asked)
]


def query_of(asked: Asked, instant: int) -> TrafficQuery:
    """The question as sources are asked it."""
    return TrafficQuery(
        kinds=asked.kinds,
        window=WINDOW,
        instant=instant,
        namespace=asked.namespace,
        name=asked.name,
        edges=asked.edges,
        direction=Direction(asked.direction) if asked.direction else None,
        side=Side(asked.side) if asked.side else None,
    )


async def answer(fleet: Fleet, store: str, mesh: str, asked: Asked) -> dict[Key, Sample]:
    """The rows of an answer that is complete and warns of nothing but the half of its edges that the dialect cannot tell."""
    found = await fleet.sources[store, mesh].answer(query_of(asked, fleet.instant))
    untold = {direction for direction in ("to", "from") if refused(mesh, replace(asked, direction=direction))}
    assert len(found.warnings) == (len(untold) if asked.edges and not asked.direction else 0)
    assert not found.incomplete
    keyed = {(sample.resource, sample.peer, sample.direction.value): sample for sample in found.samples}
    assert len(keyed) == len(found.samples), "two rows are about the same thing"
    return keyed


def wrong_rows(got: Mapping[Key, Sample], want: Mapping[Key, Truth]) -> list[str]:
    """Rows that are missing, that should not be, or that somebody else is said to have observed."""
    missing = [f"missing: {key}" for key in want.keys() - got.keys()]
    invented = [f"invented: {key}" for key in got.keys() - want.keys()]
    return (
        missing
        + invented
        + [f"seen by the {got[key].side}: {key}" for key in want.keys() & got.keys() if got[key].side != want[key].side]
    )


def wrong_counts(got: Mapping[Key, Sample], want: Mapping[Key, Truth]) -> list[str]:
    """Rows whose counts are off by more than one percent."""
    found: list[str] = []
    for key, truth in want.items():
        requests = (truth.success + truth.failure) * WINDOW.seconds
        restarting = truth.restarting * WINDOW.seconds / requests if requests else 0.0
        allowed = 0.01 + (RESTART * restarting if restarting > 0.06 else 0.0)
        for what, count, rate in (("success", got[key].success, truth.success), ("failure", got[key].failure, truth.failure)):
            true = rate * WINDOW.seconds
            # What is added and taken away is known as well as the whole.
            if count is None or abs(count - true) > max(allowed * true, 0.002 * requests):
                found.append(f"{what} is {count}, not {true}: {key}")
    return found


def wrong_percentiles(mesh: str, got: Mapping[Key, Sample], want: Mapping[Key, Truth]) -> list[str]:
    """Rows with a percentile outside the bucket of the true one."""
    found: list[str] = []
    for key, truth in want.items():
        for q in (0.5, 0.9, 0.99):
            latency = got[key].latency
            value = latency.quantile(q) if latency is not None else None
            low, high = truth.percentile(q - MARGIN), truth.percentile(min(q + MARGIN, 1.0))
            if low is None or high is None:
                if value is not None:
                    found.append(f"p{100 * q:g} is {value}, of nothing: {key}")
                continue
            lower, upper = _bucket(mesh, low)[0], _bucket(mesh, high)[1]
            if value is None or not lower <= value <= upper:
                found.append(f"p{100 * q:g} is {value}, not from {lower} to {upper}: {key}")
    return found


def _bucket(mesh: str, value: float) -> tuple[float, float]:
    at = bisect_left(BOUNDS[mesh], value)
    return (BOUNDS[mesh][at - 1] if at else 0.0), BOUNDS[mesh][at]


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize(("mesh", "asked"), ANSWERABLE)
async def test_an_answer_is_the_truth(fleet: Fleet, store: str, mesh: str, asked: Asked):
    want = rows(mesh, asked)
    got = await answer(fleet, store, mesh, asked)
    assert not wrong_rows(got, want)
    assert not wrong_counts(got, want)
    assert not wrong_percentiles(mesh, got, want)


@pytest.mark.parametrize(
    ("mesh", "asked"),
    [
        item
        for item in ANSWERABLE
        if re.search("(namespaces|nodes|pods|services|replicasets|workloads)-(totals|edges|totals-seen-by-callers)$", str(item.id))
    ],
)
async def test_a_percentile_is_the_one_prometheus_computes(fleet: Fleet, mesh: str, asked: Asked):
    got = await answer(fleet, "prometheus", mesh, asked)
    queries = [percentiles_of(mesh, key, sample.side.value, f"{WINDOW}") for key, sample in got.items()]
    async with aiohttp.ClientSession(fleet.urls["prometheus", mesh], connector=aiohttp.TCPConnector(limit=8)) as session:
        theirs = await asyncio.gather(*(_theirs(session, promql, fleet.instant) for promql in queries))
    wrong = [
        f"p{100 * q:g} is {ours}, Prometheus says {row.get(q)}: {key}"
        for (key, sample), row in zip(got.items(), theirs, strict=True)
        for q in (0.5, 0.9, 0.99)
        if not _same(ours := sample.latency.quantile(q) if sample.latency is not None else None, row.get(q))
    ]
    assert not wrong


async def _theirs(session: aiohttp.ClientSession, promql: str, instant: int) -> dict[float, float]:
    """The percentiles in seconds, without those that are not a number."""
    async with session.post("/api/v1/query", data={"query": promql, "time": str(instant)}) as response:
        document = await response.json()
    assert document["status"] == "success", document
    values = {float(row["metric"]["q"]): float(row["value"][1]) / 1000 for row in document["data"]["result"]}
    return {q: value for q, value in values.items() if not math.isnan(value)}


def _same(ours: float | None, theirs: float | None) -> bool:
    if ours is None or theirs is None:
        return ours is theirs
    return math.isclose(ours, theirs, rel_tol=0.001)


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("mesh", MESHES)
async def test_an_idle_workload_has_counts_of_zero_and_no_percentile(fleet: Fleet, store: str, mesh: str):
    got = await answer(fleet, store, mesh, Asked(("Deployment",), namespace="shop", name="idle"))
    (sample,) = got.values()
    assert (sample.success, sample.failure) == (0.0, 0.0)
    assert sample.latency is not None
    assert [sample.latency.quantile(q) for q in (0.5, 0.9, 0.99)] == [None, None, None]


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("edges", [False, True], ids=["total", "edges"])
@pytest.mark.parametrize("mesh", MESHES)
async def test_a_workload_without_series_has_no_sample(fleet: Fleet, store: str, mesh: str, *, edges: bool):
    asked = Asked(("Deployment",), namespace="shop", name="ghost", edges=edges)
    assert await answer(fleet, store, mesh, asked) == {}


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("mesh", MESHES)
async def test_a_service_that_nobody_answers_for_is_seen_by_its_callers(fleet: Fleet, store: str, mesh: str):
    asked = Asked(("Service",), namespace="shop", name="dead")
    want = rows(mesh, asked)
    got = await answer(fleet, store, mesh, asked)
    assert [(sample.side.value, sample.success) for sample in got.values()] == [("client", 0.0)]
    assert not wrong_rows(got, want)
    assert not wrong_counts(got, want)


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("mesh", MESHES)
async def test_one_name_in_two_namespaces_is_two_workloads(fleet: Fleet, store: str, mesh: str):
    got = await answer(fleet, store, mesh, Asked(("Deployment",), name="web"))
    assert {(resource.namespace, resource.name) for resource, _, _ in got} == {("shop", "web"), ("ledger", "web")}


@pytest.mark.parametrize("store", STORES)
async def test_a_self_call_is_an_edge_in_both_directions(fleet: Fleet, store: str):
    got = await answer(fleet, store, "linkerd", Asked(("Deployment",), namespace="shop", name="api", edges=True))
    api = ResourceRef("Deployment", "shop", "api")
    assert {(api, api, "to"), (api, api, "from")} <= got.keys()
