"""Application Signals: totals, edges in both directions, and who is who, out of metrics whose truth is known."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from backends.cloudwatch.backend import CloudWatchBackend
from backends.cloudwatch.settings import CloudWatchSettings
from backends.cloudwatch.signals import ApplicationSignals
from metrics_api import (
    ANY_WORKLOAD,
    CALLED_HOST,
    EVERYTHING,
    UNKNOWN,
    Answer,
    Direction,
    ResourceRef,
    Sample,
    Side,
    Span,
    TrafficQuery,
    Window,
)
from metrics_api.resources import host
from tests.doubles.cloudwatch import Aws, on_kubernetes
from tests.doubles.cloudwatch_mesh import Service, Spans, publish

SHOP, BACK = "eks:prod/shop", "eks:prod/back"
WEB, ORDERS, STRANGER = Service(SHOP, "web"), Service(BACK, "orders"), Service("eks:test/shop", "web")
END = int(time.time()) // 60 * 60 - 120
"""The end of the latest minute that has arrived."""

SETTINGS = CloudWatchSettings("aws", "application-signals", cluster="prod")
WORKLOADS = ("Deployment", ANY_WORKLOAD)
TOTALS = TrafficQuery(WORKLOADS, Window(60), END + 120)
EDGES = replace(TOTALS, edges=True)

SERVED = [
    Spans(WEB, {10: 50, 20: 30, 30: 19, 400: 1}, faults=3, errors=5),
    Spans(ORDERS, {5: 10}, operation="GET /orders"),
    Spans(ORDERS, {15: 10}, faults=1, operation="PUT /orders"),
    Spans(STRANGER, {1: 1000}),
]
CALLS = [
    Spans(WEB, {6: 9, 60: 1}, faults=1, remote=ORDERS),
    Spans(WEB, {7: 20}, remote=Service("", "pay.back.svc:8080")),
    Spans(WEB, {8: 30}, remote=Service("", "AWS::S3")),
    Spans(WEB, {9: 40}, remote=Service("", "UnknownRemoteService")),
    Spans(WEB, {11: 2}, remote=WEB),
    Spans(ORDERS, {12: 5}, remote=STRANGER),
    Spans(STRANGER, {13: 5}, remote=STRANGER),
]


def bare(service: Service) -> ResourceRef:
    return ResourceRef(ANY_WORKLOAD, service.environment.partition("/")[2], service.name)


@pytest.fixture
async def source(aws: Aws) -> AsyncIterator[CloudWatchBackend]:
    publish(aws, [END - 60], [*SERVED, *CALLS])
    async with CloudWatchBackend(SETTINGS, lambda: END + 120.0) as backend:
        yield backend


def told(answer: Answer) -> dict[tuple[ResourceRef, Direction, ResourceRef], tuple[float | None, float | None, float | None]]:
    found = {
        (sample.resource, sample.direction, sample.peer): (sample.success, sample.failure, percentile(sample))
        for sample in answer.samples
    }
    assert len(found) == len(answer.samples)
    return found


def percentile(sample: Sample) -> float | None:
    found = None if sample.latency is None else sample.latency.quantile(0.99)
    return None if found is None else round(found, 6)


async def test_totals_are_what_services_received(source: CloudWatchBackend) -> None:
    answer = await source.answer(TOTALS)
    assert told(answer) == {
        (bare(WEB), Direction.FROM, EVERYTHING): (97.0, 3.0, 0.03),
        (bare(ORDERS), Direction.FROM, EVERYTHING): (19.0, 1.0, 0.015),
    }
    assert {(sample.side, sample.dialect) for sample in answer.samples} == {(Side.SERVER, "application-signals")}
    (remark,) = answer.warnings
    assert "the numbers cover 1m0s until" in remark
    assert (answer.instant, answer.window, answer.incomplete) == (END, Window(60), False)


async def test_edges_are_what_callers_saw_in_either_direction(source: CloudWatchBackend) -> None:
    answer = await source.answer(EDGES)
    web, orders, pay = bare(WEB), bare(ORDERS), ResourceRef(CALLED_HOST, "shop", "pay.back.svc:8080")
    assert told(answer) == {
        (web, Direction.TO, orders): (9.0, 1.0, 0.06),
        (orders, Direction.FROM, web): (9.0, 1.0, 0.06),
        (web, Direction.TO, pay): (20.0, 0.0, 0.007),
        (pay, Direction.FROM, web): (20.0, 0.0, 0.007),
        (web, Direction.TO, host("AWS::S3")): (30.0, 0.0, 0.008),
        (web, Direction.TO, UNKNOWN): (40.0, 0.0, 0.009),
        (web, Direction.TO, web): (2.0, 0.0, 0.011),
        (web, Direction.FROM, web): (2.0, 0.0, 0.011),
        (orders, Direction.TO, host("web")): (5.0, 0.0, 0.012),
    }
    assert {sample.side for sample in answer.samples} == {Side.CLIENT}


async def test_callers_that_are_no_objects_of_the_cluster_are_callers_all_the_same(aws: Aws) -> None:
    calls = [
        Spans(Service("eks:prod/UnknownNamespace", "cart"), {5: 7}, remote=ORDERS),
        Spans(Service(SHOP, "UnknownService"), {5: 1}, remote=ORDERS),
        Spans(Service("ec2:default", "mainframe"), {6: 4}, faults=1, remote=ORDERS),
        # A host of its own cluster, that has the name of one here.
        Spans(STRANGER, {7: 50}, remote=Service("", "orders.back.svc:8080")),
    ]
    publish(aws, [END - 60], calls)
    async with CloudWatchBackend(SETTINGS, lambda: END + 120.0) as source:
        answer = await source.answer(replace(EDGES, namespace="back", name="orders", services=("orders",)))
        everything = await source.answer(EDGES)
    assert told(answer) == {
        (bare(ORDERS), Direction.FROM, UNKNOWN): (8.0, 0.0, None),
        (bare(ORDERS), Direction.FROM, host("mainframe")): (3.0, 1.0, 0.006),
    }
    assert told(everything) == told(answer)


@pytest.mark.parametrize(
    ("changes", "rows"),
    [
        pytest.param({"namespace": "back"}, 3, id="a namespace"),
        pytest.param({"namespace": "shop", "name": "web", "direction": Direction.FROM}, 1, id="the callers of one"),
        pytest.param({"namespace": "shop", "name": "web", "direction": Direction.TO}, 5, id="the callees of one"),
        pytest.param({"namespace": "back", "name": "orders"}, 2, id="both of one"),
        pytest.param({"namespace": "back", "name": "payments", "services": ("pay",)}, 1, id="one that is called by its Service"),
        pytest.param({"peer": ResourceRef("Deployment", "back", "orders")}, 2, id="a peer, and hosts that may be it"),
        pytest.param(
            {"kinds": ("Service",), "members": (ANY_WORKLOAD,), "namespace": "back", "name": "x"}, 2, id="of which nobody knows"
        ),
        pytest.param({"namespace": "none"}, 0, id="a namespace without services"),
    ],
)
async def test_only_what_is_asked_for_is_read(source: CloudWatchBackend, aws: Aws, changes: dict[str, object], rows: int) -> None:
    answer = await source.answer(replace(EDGES, **changes))  # type: ignore[arg-type]
    assert len(answer.samples) == rows
    edges = {sample.success for sample in answer.samples}
    # A metric for latencies and one for faults for each edge, whichever of its ends are asked about.
    assert aws.billed == 2 * len(edges)


async def test_both_ends_of_an_edge_and_other_questions_in_a_minute_are_one_reading(source: CloudWatchBackend, aws: Aws) -> None:
    await source.answer(EDGES)
    billed = aws.billed
    assert billed == 2 * 6
    await source.answer(replace(EDGES, instant=END + 150, namespace="shop", name="web"))
    assert aws.billed == billed


async def test_a_namespace_is_the_sum_of_its_services_without_percentiles(source: CloudWatchBackend, aws: Aws) -> None:
    publish(aws, [END - 60], [Spans(Service(SHOP, "cart"), {10: 10})])
    answer = await source.answer(replace(TOTALS, kinds=("Namespace",)))
    assert told(answer) == {
        (ResourceRef("Namespace", "", "shop"), Direction.FROM, EVERYTHING): (107.0, 3.0, None),
        (ResourceRef("Namespace", "", "back"), Direction.FROM, EVERYTHING): (19.0, 1.0, 0.015),
    }
    assert any("no percentiles of shop" in warning for warning in answer.warnings)


async def test_edges_of_a_namespace_are_between_namespaces(source: CloudWatchBackend) -> None:
    answer = await source.answer(replace(EDGES, kinds=("Namespace",), name="shop", direction=Direction.TO))
    shop, back = ResourceRef("Namespace", "", "shop"), ResourceRef("Namespace", "", "back")
    found = told(answer)
    assert found[shop, Direction.TO, back] == (9.0, 1.0, 0.06)
    assert found[shop, Direction.TO, shop] == (2.0, 0.0, 0.011)


async def test_a_client_error_is_a_failure_where_configuration_says_so(aws: Aws) -> None:
    publish(aws, [END - 60], SERVED)
    async with CloudWatchBackend(replace(SETTINGS, client_errors_fail=True), lambda: END + 120.0) as source:
        found = told(await source.answer(replace(TOTALS, namespace="shop")))
    assert found[bare(WEB), Direction.FROM, EVERYTHING][:2] == (92.0, 8.0)


async def test_a_service_that_was_silent_for_a_minute_has_zeros_and_no_percentiles(aws: Aws) -> None:
    publish(aws, [END - 120], SERVED)
    async with CloudWatchBackend(SETTINGS, lambda: END + 120.0) as source:
        found = told(await source.answer(replace(TOTALS, namespace="shop")))
    assert found == {(bare(WEB), Direction.FROM, EVERYTHING): (0.0, 0.0, None)}


async def test_percentiles_of_five_minutes_are_of_all_their_requests(aws: Aws) -> None:
    publish(aws, [END - 300, END - 240, END - 180, END - 120], [Spans(WEB, {10: 25})])
    publish(aws, [END - 60], [Spans(WEB, {500: 25})])
    publish(aws, [END - 360], [Spans(WEB, {9000: 1000})])
    async with CloudWatchBackend(SETTINGS, lambda: END + 120.0) as source:
        answer = await source.answer(replace(TOTALS, window=Window(300)))
    (sample,) = answer.samples
    assert sample.latency is not None
    assert (sample.success, sample.latency.quantile(0.5), sample.latency.quantile(0.9)) == (125.0, 0.01, 0.5)


async def test_a_service_is_the_workload_that_application_signals_knows(aws: Aws) -> None:
    publish(aws, [END - 60], SERVED)
    aws.signals.add("web", SHOP, on_kubernetes("prod", "shop", "storefront"))
    async with CloudWatchBackend(SETTINGS, lambda: END + 120.0) as source:
        await source._parts.directory.read()
        found = told(await source.answer(replace(TOTALS, namespace="shop")))
    assert list(found) == [(ResourceRef(ANY_WORKLOAD, "shop", "storefront"), Direction.FROM, EVERYTHING)]


async def test_a_service_that_is_silent_for_hours_keeps_its_name_and_one_that_is_called_otherwise_gets_another(aws: Aws) -> None:
    publish(aws, [END - 60], SERVED)
    aws.signals.add("web", SHOP, on_kubernetes("prod", "shop", "storefront"))
    aws.signals.add("orders", BACK, on_kubernetes("prod", "back", "ledger"))
    async with CloudWatchBackend(SETTINGS, lambda: END + 120.0) as source:
        # Starting waits for the names.
        assert {sample.resource.name for sample in (await source.answer(TOTALS)).samples} == {"storefront", "ledger"}
        aws.signals.services.clear()
        aws.signals.add("orders", BACK, on_kubernetes("prod", "back", "orders"))
        await source._parts.directory.read()
        later = await source.answer(replace(TOTALS, quantiles=(0.95,)))
    assert {sample.resource.name for sample in later.samples} == {"storefront", "orders"}


async def test_who_asks_again_in_a_minute_is_told_what_was_understood_already(source: CloudWatchBackend) -> None:
    first, again = await source.answer(TOTALS), await source.answer(replace(TOTALS, instant=TOTALS.instant + 5))
    assert again.samples is first.samples
    other = await source.answer(replace(TOTALS, quantiles=(0.95,)))
    assert other.samples is not first.samples


async def test_metrics_of_operations_are_not_kept(aws: Aws, source: CloudWatchBackend) -> None:
    await source.answer(TOTALS)
    rows = source._parts.rows
    assert isinstance(rows, ApplicationSignals)
    (understood,) = rows._published._understood.values()
    (listing,) = understood.listings
    assert {len(metric.dimensions) for metric in listing} == {2, 3, 4}
    assert not any("Operation" in metric.names for metric in listing)
    assert any(("Operation", "GET /orders") in metric.dimensions for metric in aws.store.metrics)


async def test_without_the_right_to_list_services_names_are_taken_for_what_they_say(aws: Aws) -> None:
    publish(aws, [END - 60], SERVED)
    aws.denied.add("application-signals:ListServices")
    async with CloudWatchBackend(SETTINGS, lambda: END + 120.0) as source:
        found = told(await source.answer(replace(TOTALS, namespace="shop")))
    assert list(found) == [(bare(WEB), Direction.FROM, EVERYTHING)]


async def test_a_history_reads_each_metric_once(source: CloudWatchBackend, aws: Aws) -> None:
    publish(aws, [END - 300, END - 180], SERVED)
    query = replace(TOTALS, namespace="shop")
    answers = await source.history(query, Span(END - 240, END, 60))
    assert [answer.instant for answer in answers] == [END - 240, END - 180, END - 120, END - 60, END]
    assert [answer.samples[0].success for answer in answers] == [97.0, 0.0, 97.0, 0.0, 97.0]
    assert aws.billed == 2


async def test_a_history_knows_who_has_been_silent_for_hours(aws: Aws) -> None:
    publish(aws, [END - 5 * 3600 - 60], [Spans(Service(SHOP, "nightly"), {10: 5})])
    publish(aws, [END - 60], SERVED)
    async with CloudWatchBackend(SETTINGS, lambda: END + 120.0) as source:
        first, last = await source.history(replace(TOTALS, namespace="shop"), Span(END - 5 * 3600, END, 5 * 3600))
    assert {sample.resource.name: sample.success for sample in first.samples} == {"nightly": 5.0, "web": 0.0}
    assert {sample.resource.name: sample.success for sample in last.samples} == {"nightly": 0.0, "web": 97.0}


@pytest.mark.parametrize("days", [1, 20])
async def test_who_asks_about_what_is_longer_ago_than_metrics_are_listed_is_told_so(aws: Aws, days: int) -> None:
    then = END // 3600 * 3600 - days * 86400
    publish(aws, [then - 60, END - 60], SERVED)
    publish(aws, [then - 60], [Spans(Service(SHOP, "retired"), {10: 5})])
    async with CloudWatchBackend(SETTINGS, lambda: END + 120.0) as source:
        answer = await source.answer(replace(TOTALS, namespace="shop", instant=then))
    assert {sample.resource.name for sample in answer.samples} == ({"web", "retired"} if days == 1 else {"web"})
    why = "leaves out what has been silent for the last two weeks, because CloudWatch does not list it any more"
    assert any(why in warning for warning in answer.warnings) == (days == 20)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        pytest.param({"kinds": ("Pod",)}, "its metrics are of workloads: the dimensions they have name no pods", id="pods"),
        pytest.param({"kinds": ("Node",)}, "its metrics are of workloads: the dimensions they have name no nodes", id="nodes"),
        pytest.param(
            {"kinds": ("Service",)},
            "its metrics are of workloads, and which of them stand behind a Service is known with Kubernetes alone",
            id="Services without a cluster",
        ),
        pytest.param({"kinds": ("Service",), "members": ("Pod", ANY_WORKLOAD)}, None, id="Services with one"),
        pytest.param(
            {"edges": True, "side": Side.SERVER},
            "its edges are observed on the side of the client, and not of the server",
            id="edges as callees see them",
        ),
        pytest.param({"side": Side.SERVER}, None, id="totals as callees see them"),
        pytest.param(
            {"edges": True, "peer_kind": "Pod"},
            "its metrics are of workloads: the dimensions they have name no pods",
            id="peers that are pods",
        ),
        pytest.param({"kinds": ("Rollout",), "members": ("Pod", ANY_WORKLOAD)}, None, id="workloads of custom controllers"),
    ],
)
def test_what_no_metric_tells_is_refused_with_the_reason(changes: dict[str, object], reason: str | None) -> None:
    assert CloudWatchBackend(SETTINGS).refusal(replace(TOTALS, **changes)) == reason  # type: ignore[arg-type]
