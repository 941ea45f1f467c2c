"""The faults of servicemeshinterface/smi-metrics, the first implementation of this API: none of them can be reproduced here.

One test each for those that concern queries, edges and values; what concerns the HTTP API is tested with it.
"""

from __future__ import annotations

import asyncio
import math
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest
from aiohttp import web

from backends.dialects import builtin_dialects, load_dialect, plan
from backends.prometheus import PrometheusBackend
from backends.prometheus.promql import HistogramForm, query_of
from backends.registry import configured
from backends.transport import Credentials
from metrics_api import (
    EVERYTHING,
    RESOURCE_TYPES,
    SPLIT_KINDS,
    UNKNOWN,
    BackendProtocolError,
    BackendTimeout,
    Direction,
    ResourceRef,
    Sample,
    Side,
    TrafficQuery,
    Window,
    idle,
    normalise,
    type_of_kind,
)
from metrics_api.document import Problems, parse_document
from tests.backends.prometheus.queryapi import Asked, counted, query_api, question, series, settings, vector
from tests.doubles.mesh_facts import WORKLOADS
from tests.doubles.meshes import WORKLOAD_KINDS
from tests.doubles.stores import parse_errors
from tests.truth.conftest import MINUTE, Past

MESHES = ("linkerd", "istio", "envoy", "consul")
"""One for each way to name things."""

EDGES = TrafficQuery(("Deployment",), MINUTE, 0, edges=True)


async def named(past: Past, mesh: str, query: TrafficQuery) -> dict[tuple[ResourceRef, ResourceRef, str], Sample]:
    """The answer of the Prometheus source to ``query`` at the instant of the samples, by resource, peer and direction."""
    answer = await past.sources["prometheus", mesh].answer(replace(query, instant=past.instant))
    return {(sample.resource, sample.peer, sample.direction.value): sample for sample in answer.samples}


def workload(namespace: str, name: str) -> ResourceRef:
    """As Istio names it."""
    return ResourceRef("Workload", namespace, name)


async def test_fault_1_queries_run_at_once_and_with_a_deadline_credentials_and_warnings():
    both = asyncio.Barrier(2)

    async def answer(asked: Asked) -> web.StreamResponse:
        if "increase(" in asked.promql:
            await both.wait()
        return vector(warnings=["a store is gone"])

    credentials = Credentials("mesh", {"X-Scope-OrgID": "team-a"})
    async with query_api(answer) as api, PrometheusBackend(settings(api, timeout=1, credentials=credentials)) as source:
        assert (await source.answer(question())).warnings == ('source "mesh" warns: a store is gone',)
        assert {asked.headers["X-Scope-OrgID"] for asked in api.everything} == {"team-a"}
        api.answer = lambda _: web.json_response({"status": "success", "data": {"resultType": "scalar", "result": [1, "1"]}})
        with pytest.raises(BackendProtocolError):
            await source.answer(question())
        both = asyncio.Barrier(3)
        api.answer = answer
        with pytest.raises(BackendTimeout):
            await source.answer(question())


def test_fault_2_istio_is_read_from_the_metrics_its_proxies_have():
    views = load_dialect("istio").views
    assert {metric for view in views for metric in view.requests} == {"istio_requests_total"}
    assert {latency.metric for view in views for latency in view.latencies} == {"istio_request_duration_milliseconds"}


@pytest.mark.real
async def test_fault_3_istio_counts_a_request_once_though_both_ends_report_it(past: Past):
    found = await named(past, "istio", TrafficQuery(("Deployment",), MINUTE, 0, namespace="ledger", name="web"))
    (sample,) = found.values()
    assert sample.success == pytest.approx(300 * 200 * MINUTE.seconds, rel=0.01)


@pytest.mark.real
async def test_fault_4_istios_milliseconds_become_seconds_once(past: Past):
    found = await named(past, "istio", TrafficQuery(("Deployment",), MINUTE, 0, namespace="shop", name="pinned"))
    (sample,) = found.values()
    assert sample.latency is not None
    assert 0.025 < (sample.latency.quantile(0.5) or 0) < 0.05
    (row,) = normalise([sample], past.instant, MINUTE, lambda _: {})
    assert [metric["unit"] for metric in row.wire()["metrics"][:3]] == ["seconds"] * 3


@pytest.mark.real
@pytest.mark.parametrize("mesh", MESHES)
async def test_fault_5_success_is_more_than_200_and_less_than_every_grpc_answer(past: Past, mesh: str):
    """Api answers 200, 204, 301 and 404 as successes; pay answers gRPC failures with HTTP 200."""
    query = TrafficQuery(("Deployment",), MINUTE, 0, namespace="shop")
    found = {key[0].name: sample for key, sample in (await named(past, mesh, query)).items()}
    seconds = 200 * MINUTE.seconds
    assert found["api"].success == pytest.approx((800 + 40 + 60 + 150 + 250 + 100 + 40 + 90) * seconds, rel=0.01)
    assert found["api"].failure == pytest.approx((70 + 30 + 50) * seconds, rel=0.01)
    assert found["pay"].success == pytest.approx((500 + 40 + 50) * seconds, rel=0.01)
    assert found["pay"].failure == pytest.approx((100 + 60) * seconds, rel=0.01)


@pytest.mark.real
async def test_fault_6_edges_keep_the_namespaces_of_both_ends_apart(past: Past):
    found = await named(past, "istio", replace(EDGES, namespace="shop", name="web"))
    web, ledger = workload("shop", "web"), workload("ledger", "web")
    assert {resource for resource, _, _ in found} == {web}
    assert found[web, ledger, "to"].success == pytest.approx(300 * 200 * MINUTE.seconds, rel=0.01)
    assert found[web, ledger, "from"].success == pytest.approx(120 * 200 * MINUTE.seconds, rel=0.01)


@pytest.mark.real
def test_fault_7_every_query_parses(tmp_path: Path):
    """In both forms of histograms, for every dialect and kind, edges and not, one object and all."""
    queries: set[str] = set()
    asked = [
        TrafficQuery((row.kind,), MINUTE, 0, namespace="shop", name=name, edges=edges, sums=True)
        for row, edges, name in product(RESOURCE_TYPES, (False, True), ("", "web"))
    ]
    for dialect in map(load_dialect, builtin_dialects()):
        reads = {read for query in asked for stage in plan(dialect, query) for part in stage for read in part.reads}
        queries |= {query_of(read, MINUTE, form) for read in reads for form in HistogramForm}
    assert len(queries) > 500
    assert parse_errors(queries, tmp_path) == ""


@pytest.mark.real
async def test_fault_8_linkerds_edges_say_who_saw_them_and_total_what_was_received(past: Past):
    edges = await named(past, "linkerd", replace(EDGES, namespace="shop", name="web"))
    web = ResourceRef("Deployment", "shop", "web")
    for (_, peer, direction), sample in edges.items():
        assert sample.side is (Side.SERVER if (peer, direction) == (UNKNOWN, "from") else Side.CLIENT)
    totals = await named(past, "linkerd", TrafficQuery(("Deployment",), MINUTE, 0, namespace="shop", name="web"))
    assert totals.keys() == {(web, EVERYTHING, "from")}
    received = sum(
        (sample.success or 0) + (sample.failure or 0) for (_, _, direction), sample in edges.items() if direction == "from"
    )
    total = totals[web, EVERYTHING, "from"]
    assert (total.success or 0) + (total.failure or 0) == pytest.approx(received, rel=0.01)


def test_fault_9_latencies_and_counts_are_of_one_window():
    for mesh in builtin_dialects():
        for edges in (False, True):
            query = TrafficQuery(("Deployment",), Window(77), 0, edges=edges)
            for stage in plan(load_dialect(mesh), query):
                for promql in (query_of(read, query.window) for part in stage for read in part.reads):
                    assert "irate" not in promql
                    assert promql.count("increase(") == promql.count("[77s]") > 0


@pytest.mark.real
@pytest.mark.parametrize("mesh", MESHES)
@pytest.mark.parametrize("edges", [False, True], ids=["total", "edges"])
async def test_fault_10_a_name_is_no_regular_expression(past: Past, mesh: str, *, edges: bool):
    for name in (".+", "w.b", "web|api", "web.*"):
        assert await named(past, mesh, TrafficQuery(("Deployment",), MINUTE, 0, namespace="shop", name=name, edges=edges)) == {}


@pytest.mark.real
@pytest.mark.parametrize("mesh", ["linkerd", "istio"])
async def test_fault_11_a_caller_of_the_same_name_is_a_caller(past: Past, mesh: str):
    """shop/web calls ledger/web, which is one edge to it and one from it, never an edge to itself."""
    kind = "Workload" if mesh == "istio" else "Deployment"
    web, ledger = ResourceRef(kind, "shop", "web"), ResourceRef(kind, "ledger", "web")
    found = await named(past, mesh, replace(EDGES, namespace="ledger", name="web"))
    assert {(peer, direction) for _, peer, direction in found} == {(web, "to"), (web, "from")}
    assert (ledger, ledger, "to") not in found


@pytest.mark.real
@pytest.mark.parametrize("mesh", ["linkerd", "istio", "envoy"])
async def test_fault_12_both_directions_between_two_workloads_are_two_edges(past: Past, mesh: str):
    found = await named(past, mesh, replace(EDGES, namespace="shop"))
    between = {
        direction: sample
        for (resource, peer, direction), sample in found.items()
        if (resource.name, peer.name) == ("web", "api") and peer.namespace == "shop"
    }
    assert between.keys() == {"to", "from"}
    assert between["to"].success == pytest.approx(900 * 200 * MINUTE.seconds, rel=0.01)
    assert between["from"].success == pytest.approx(200 * 200 * MINUTE.seconds, rel=0.01)


async def test_fault_13_dots_in_names_and_labels_of_nobody_break_nothing():
    istio = {"reporter": "destination", "response_code": "200", "source_workload_namespace": "shop", "source_workload": "web"}

    def answer(asked: Asked) -> web.Response:
        if "istio_requests_total" not in asked.promql:
            return vector()
        return vector(
            series("3", namespace="shop", pod="web-1.2.3-x", **istio),
            series("4", namespace="shop", pod="web-0", **istio | {"source_workload": "unknown"}),
            series("5", **istio),
            series("6"),
        )

    async with query_api(answer) as api, PrometheusBackend(settings(api, dialect=load_dialect("istio"))) as source:
        found = (await source.answer(question(kinds=("Pod",), edges=True, direction=Direction.FROM))).samples
    assert {(sample.resource.name, sample.peer, sample.success) for sample in found} == {
        ("web-1.2.3-x", workload("shop", "web"), 3.0),
        ("web-0", UNKNOWN, 4.0),
    }


@pytest.mark.real
@pytest.mark.parametrize("mesh", MESHES)
async def test_fault_14_an_idle_workload_is_zero_requests_and_no_latency(past: Past, mesh: str):
    found = await named(past, mesh, TrafficQuery(("Deployment",), MINUTE, 0, namespace="shop", name="idle"))
    (row,) = normalise(found.values(), past.instant, MINUTE, lambda _: {})
    assert [metric["value"] for metric in row.wire()["metrics"]] == [None, None, None, "0", "0"]
    missing = idle(ResourceRef("Deployment", "shop", "ghost"), past.instant, MINUTE, {})
    assert [metric["value"] for metric in missing.wire()["metrics"]] == [None] * 5


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -1.0])
def test_fault_14_what_is_not_a_number_is_no_number(value: float):
    ref = ResourceRef("Deployment", "shop", "web")
    sample = Sample(ref, EVERYTHING, Direction.FROM, Side.SERVER, value, value, None)
    (row,) = normalise([sample], 0, Window(30), lambda _: {})
    assert [metric["value"] for metric in row.wire()["metrics"]] == [None] * 5


async def test_fault_15_units_are_seconds_and_counts_are_not_cut_off():
    def answer(asked: Asked) -> web.Response:
        return vector(series("73.4926", namespace="shop", app="web", code="200")) if "requests" in asked.promql else counted(asked)

    async with query_api(answer) as api, PrometheusBackend(settings(api)) as source:
        samples = (await source.answer(question())).samples
    (row,) = normalise(samples, 0, Window(30), lambda _: {})
    assert [(metric["name"], metric.get("unit"), metric["value"]) for metric in row.wire()["metrics"]] == [
        ("p99_response_latency", "seconds", "9900u"),
        ("p90_response_latency", "seconds", "9m"),
        ("p50_response_latency", "seconds", "5m"),
        ("success_count", None, "73493m"),
        ("failure_count", None, "0"),
    ]


def test_fault_16_every_kind_of_the_specification_is_known_and_spelt_as_in_kubernetes():
    kinds = {
        "Namespace",
        "Node",
        "Pod",
        "ReplicationController",
        "Service",
        "DaemonSet",
        "Deployment",
        "ReplicaSet",
        "StatefulSet",
        "Job",
    }
    assert {row.kind for row in RESOURCE_TYPES} == kinds | {"CronJob", *SPLIT_KINDS}
    for old in ("Daemonset", "Statefulset"):
        found = type_of_kind(old)
        assert found is not None
        assert found.kind in kinds
    for mesh in builtin_dialects():
        ends = [end for view in load_dialect(mesh).views for end in (view.source, view.destination)]
        assert {identity.kind for end in ends for identity in end} <= kinds | {*SPLIT_KINDS, "Workload", "Host"}


@pytest.mark.real
@pytest.mark.parametrize("mesh", MESHES)
async def test_fault_16_workloads_of_every_kind_have_their_traffic(past: Past, mesh: str):
    found = await named(past, mesh, TrafficQuery(WORKLOAD_KINDS, MINUTE, 0, namespace="shop"))
    assert {resource.name for resource, _, _ in found} == {item.name for item in WORKLOADS if item.namespace == "shop"}


def test_fault_23_meshes_live_side_by_side(tmp_path: Path):
    own = tmp_path / "mine.yaml"
    own.write_text(
        "name: mine\nviews:\n- {name: v, side: server, requests: r, outcome: [{success: {}}], latency: {metric: l, unit: seconds}, "
        "destination: [{Pod: {namespace: a, name: b}}]}\n"
    )
    problems = Problems()
    document = parse_document(
        "".join(
            f"- {{name: s-{at}, type: prometheus, url: 'http://p', dialect: {name}}}\n" for at, name in enumerate((*MESHES, own))
        ),
        "config.yaml",
        problems,
    )
    sources = configured(document.items())
    problems.raise_if_any()
    assert [source.name for source in sources] == [f"s-{at}" for at in range(5)]
