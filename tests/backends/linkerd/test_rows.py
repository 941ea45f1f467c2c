"""What is made of the rows of Linkerd viz: what they say is told, what they do not say is not, and nothing else ever is."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backends.linkerd import viz_pb2 as viz
from metrics_api import (
    ANY_WORKLOAD,
    EVERYTHING,
    WORKLOAD_KINDS,
    Answer,
    BackendForgot,
    Direction,
    Percentiles,
    ResourceRef,
    Side,
    Span,
    SplitBackend,
    TrafficQuery,
    Window,
)
from tests.backends.linkerd.stub import NOW, Row, Stub, open_backend, row, split

WINDOW = Window(90)
WEB = ResourceRef("Deployment", "shop", "web")
WHOLE = (*WORKLOAD_KINDS, ANY_WORKLOAD)


def query(*kinds: str, name: str = "", namespace: str = "shop", **more: Any) -> TrafficQuery:
    return TrafficQuery(kinds or ("Deployment",), WINDOW, NOW, namespace, name, **more)


async def answer(asked: TrafficQuery, *rows: Row) -> Answer:
    """The answer where viz has these rows, each for its kind."""
    async with open_backend(
        Stub(lambda request: [each for each in rows if each.resource.type == request.selector.resource.type])
    ) as it:
        assert it.refusal(asked) is None
        return await it.answer(asked)


async def test_a_row_becomes_a_total_that_the_server_observed():
    found = await answer(query(), row(WEB, 7, 2, ms=(3, 40, 500), window="90s"))
    (sample,) = found.samples
    assert (sample.resource, sample.peer, sample.direction, sample.side) == (WEB, EVERYTHING, Direction.FROM, Side.SERVER)
    assert (sample.success, sample.failure, sample.source, sample.dialect, sample.trust) == (7, 2, "viz", "viz", 0)
    assert dict(sample.latency or {}) == {0.5: 0.003, 0.95: 0.04, 0.99: 0.5}
    assert sample.latency is not None
    assert (sample.latency.quantile(0.9), sample.latency.mean()) == (None, None)
    assert (found.instant, found.window, found.warnings, found.incomplete) == (NOW, WINDOW, (), False)


async def test_a_latency_of_zero_is_no_latency():
    found = await answer(query(), row(WEB, 7, 2, ms=(0, 0, 9)), row(WEB._replace(name="api"), 7, 2))
    assert [sample.latency and dict(sample.latency) for sample in found.samples] == [None, {0.99: 0.009}]


@pytest.mark.parametrize("number", [1 << 63, (1 << 64) - 1], ids=["infinity", "less than nothing"])
async def test_what_a_machine_makes_of_what_is_no_number_is_unknown(number: int):
    (sample,) = (await answer(query(), row(WEB, number, 2, ms=(number, number, 9)))).samples
    assert (sample.success, sample.failure, dict(sample.latency or {})) == (None, 2, {0.99: 0.009})


@pytest.mark.parametrize(
    ("kind", "meshed", "counts"),
    [
        *(
            pytest.param(kind, 2, (0, 0), id=f"{kind}: no traffic")
            for kind in ("Deployment", "StatefulSet", "DaemonSet", "ReplicationController", "CronJob", "Pod", "Namespace")
        ),
        pytest.param("Deployment", 0, None, id="nobody in the mesh: nobody knows"),
        pytest.param("ReplicaSet", 2, None, id="ReplicaSet: its series may have the name of a Deployment"),
        pytest.param("Job", 2, None, id="Job: its series may have the name of a CronJob"),
    ],
)
async def test_no_numbers_are_zero_only_where_the_proxies_would_have_told(kind: str, meshed: int, counts: tuple[int, int] | None):
    ref = ResourceRef(kind, "" if kind == "Namespace" else "shop", "web")
    found = await answer(query(kind, namespace=ref.namespace), row(ref, meshed=meshed))
    assert [(sample.success, sample.failure) for sample in found.samples] == ([counts] if counts else [])
    assert all(sample.latency is None for sample in found.samples)


@pytest.mark.parametrize(("seconds", "names"), [(19, ["web"]), (20, ["web", "api"])], ids=["too short", "long enough"])
async def test_no_numbers_are_no_zero_where_the_window_holds_less_than_two_scrapes(seconds: int, names: list[str]):
    window = f"{seconds}s"
    rows = row(WEB, 7, 2, window=window), row(WEB._replace(name="api"), meshed=2, window=window)
    found = await answer(replace(query(), window=Window(seconds)), *rows)
    assert {sample.resource.name for sample in found.samples} == set(names)
    told = (
        'source "viz": the Prometheus behind it scrapes every 10s ("scrapeInterval"): '
        "a window of 19s is too short for it, the shortest useful one is 20s"
    )
    assert list(found.warnings) == [told] * (seconds < 20)


async def test_workloads_of_every_kind_are_asked_for_and_each_is_told_once():
    async with open_backend(
        stub := Stub(lambda request: [row(ResourceRef(request.selector.resource.type, "shop", "web"), 1, 0)])
    ) as it:
        found = await it.answer(query(*WHOLE))
    kinds = {*WORKLOAD_KINDS, "CronJob"}
    assert {request.selector.resource.type for request in stub.summaries} == {kind.lower() for kind in kinds}
    assert sorted(sample.resource.kind for sample in found.samples) == sorted(kinds)
    assert all(request.WhichOneof("outbound") == "none" and request.time_window == "90s" for request in stub.summaries)


async def test_kinds_of_which_one_is_within_another_are_not_both_counted():
    found = await answer(query("Deployment", "Pod"), row(WEB, 5, 0), row(ResourceRef("Pod", "shop", "web-1"), 5, 0))
    assert [sample.resource for sample in found.samples] == [WEB]


async def test_a_replica_set_is_told_by_its_pods_where_somebody_knows_them():
    asked = query("ReplicaSet", name="web-7f", members=("Pod",), narrowing=("web-7f", "web-7f-"))
    pods = [ResourceRef("Pod", "shop", name) for name in ("web-7f-abcde", "api-1")]
    found = await answer(asked, *(row(pod, 5, 0) for pod in pods), row(ResourceRef("ReplicaSet", "shop", "web-7f"), 5, 0))
    assert [sample.resource for sample in found.samples] == pods[:1]


async def test_of_a_node_the_pods_on_it_are_told_wherever_they_are():
    async with open_backend(
        stub := Stub(lambda _: [row(ResourceRef("Pod", "pay", "db-0"), 5, 0), row(ResourceRef("Pod", "shop", "x"), 1, 1)])
    ) as it:
        found = await it.answer(query("Node", name="n1", namespace="", members=("Pod",), narrowing=("db-0",)))
    assert [sample.resource.name for sample in found.samples] == ["db-0"]
    assert [(request.selector.resource.type, request.selector.resource.name) for request in stub.summaries] == [("pod", "")]


async def test_a_name_without_a_namespace_is_looked_for_here():
    # Viz would list every object, and give all but one of them no numbers.
    async with open_backend(stub := Stub(lambda _: [row(WEB, 1, 0), row(WEB._replace(name="api"), meshed=1)])) as it:
        found = await it.answer(query(name="web", namespace=""))
    assert [sample.resource for sample in found.samples] == [WEB]
    assert stub.summaries[0].selector.resource.name == ""


async def test_a_namespace_is_asked_for_by_its_name():
    shop = ResourceRef("Namespace", "", "shop")
    async with open_backend(stub := Stub(lambda _: [row(shop, 1, 0)])) as it:
        found = await it.answer(query("Namespace", name="shop", namespace=""))
    assert [sample.resource for sample in found.samples] == [shop]
    assert stub.summaries[0].selector.resource == viz.Resource(type="namespace", name="shop")


SERVICE = ResourceRef("Service", "shop", "web")
NEW, OLD, CART = (SERVICE._replace(name=name) for name in ("web-new", "web-old", "cart"))


async def services(name: str, listed: list[Row], named: list[Row]) -> dict[ResourceRef, Any]:
    def summary(request: viz.StatSummaryRequest) -> list[Row]:
        return named if request.selector.resource.name else listed

    async with open_backend(Stub(summary)) as it:
        found = await it.answer(query("Service", name=name))
    assert {sample.side for sample in found.samples} <= {Side.CLIENT}
    return {
        sample.resource: (sample.success, sample.failure, sample.latency and dict(sample.latency), sample.backend)
        for sample in found.samples
    }


async def test_services_are_told_by_what_they_answered_and_by_zeros_that_are_measured():
    listed = [row(CART, 4, 1, meshed=0), row(OLD, 0, 0, meshed=0), row(NEW, meshed=0)]
    assert await services("", listed, []) == {CART: (4, 1, None, None), OLD: (0, 0, None, None)}


async def test_a_service_that_is_split_is_told_by_its_backends_and_their_counts_together():
    named = [
        split(SERVICE, "web-new", "100m", 1, 2, ms=(5, 6, 7)),
        split(SERVICE, "web-old", "900m", 9, 0),
        split(SERVICE, "gone", "1"),
    ]
    assert await services("web", [row(NEW, 1, 2), row(OLD, 12, 0)], named) == {
        SERVICE: (10, 2, None, None),
        NEW: (1, 2, {0.5: 0.005, 0.95: 0.006, 0.99: 0.007}, SplitBackend("web", "web-new", 100)),
        OLD: (9, 0, None, SplitBackend("web", "web-old", 900)),
    }


async def test_a_service_that_is_a_backend_of_its_own_is_told_by_what_it_answered_itself():
    named = [split(SERVICE, "web", "1", 8, 0), split(SERVICE, "web-new", "1", 2, 0)]
    found = await services("web", [row(SERVICE, 8, 0, ms=(1, 2, 3)), row(NEW, 2, 0)], named)
    assert found[SERVICE] == (8, 0, {0.5: 0.001, 0.95: 0.002, 0.99: 0.003}, None)
    assert found[NEW][-1] == SplitBackend("web", "web-new", 1)


async def test_a_service_that_answers_for_another_is_found_by_its_own_name():
    assert await services("web-new", [row(NEW, 3, 0), row(CART, 9, 9)], []) == {NEW: (3, 0, None, None)}


async def test_services_of_other_namespaces_are_not_told_though_viz_finds_them_by_a_pattern():
    assert await services("", [row(CART._replace(namespace="workshop"), 5, 0)], []) == {}


async def test_rows_about_another_window_say_so():
    found = await answer(query(), row(WEB, 7, 2, window="1m"))
    assert found.window == Window(60)
    assert found.warnings == ('source "viz" was asked about 1m30s, and says that it answers about 1m',)
    mixed = await answer(query(), row(WEB, 7, 2, window="1m"), row(WEB._replace(name="api"), 1, 1, window="2m"))
    assert (mixed.samples, mixed.window, mixed.incomplete) == ((), WINDOW, True)


@pytest.mark.parametrize("window", ["90s", "1m30s", ""], ids=["as asked", "as Go writes it", "none at all"])
async def test_the_same_window_in_other_words_is_the_same(window: str):
    assert (await answer(query(), row(WEB, 7, 2, window=window))).warnings == ()


async def test_the_past_is_not_answered_with_numbers_of_now():
    async with open_backend(stub := Stub(lambda _: [row(WEB, 7, 2)])) as it:
        assert (await it.answer(TrafficQuery(("Deployment",), WINDOW, NOW - 60, "shop"))).samples
        with pytest.raises(BackendForgot, match="tells of now alone"):
            await it.answer(TrafficQuery(("Deployment",), WINDOW, NOW - 61, "shop"))
        assert len(stub.asked) == 1


async def test_of_a_history_only_its_end_is_known():
    async with open_backend(Stub(lambda _: [row(WEB, 7, 2)])) as it:
        answers = await it.history(query(), Span(NOW - 20, NOW, 10))
        assert [(each.instant, len(each.samples), each.incomplete) for each in answers] == [
            (NOW - 20, 0, True),
            (NOW - 10, 0, True),
            (NOW, 1, False),
        ]
        assert answers[0].warnings == ('source "viz" tells of now alone: nothing is known of 20s before it',)
        with pytest.raises(BackendForgot):
            await it.history(query(), Span(NOW - 600, NOW - 300, 10))


WORDS = st.sampled_from(
    ["", "web", "api", "shop", "pay", "deployment", "service", "pod", "replicaset", "90s", "1h", "x", "500m", "1"]
)
COUNTS = st.one_of(st.integers(0, 100), st.sampled_from([(1 << 63), (1 << 64) - 1]))
STATS = st.builds(
    viz.BasicStats, success_count=COUNTS, failure_count=COUNTS, latency_ms_p50=COUNTS, latency_ms_p95=COUNTS, latency_ms_p99=COUNTS
)
ROWS = st.builds(
    Row,
    resource=st.one_of(st.none(), st.builds(viz.Resource, type=WORDS, namespace=WORDS, name=WORDS)),
    time_window=st.sampled_from(["", "90s", "1m30s"]),
    meshed_pod_count=COUNTS,
    running_pod_count=COUNTS,
    stats=st.one_of(st.none(), STATS),
    ts_stats=st.one_of(st.none(), st.builds(viz.TrafficSplitStats, apex=WORDS, leaf=WORDS, weight=WORDS)),
)
QUESTIONS = st.builds(
    query,
    st.sampled_from(["Deployment", "Service", "Pod", "ReplicaSet", "Namespace"]),
    name=st.sampled_from(["", "web"]),
    namespace=st.sampled_from(["", "shop"]),
    edges=st.booleans(),
)


@given(QUESTIONS, st.lists(ROWS, max_size=6))
@settings(max_examples=60, deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow])
async def test_whatever_viz_answers_no_row_and_no_number_is_made_up(asked: TrafficQuery, rows: list[Row]):
    async with open_backend(Stub(lambda _: rows)) as it:
        if it.refusal(asked) is not None:
            return
        found = await it.answer(asked)
    said = {(each.resource.type, each.resource.name) for each in rows} | {("service", each.ts_stats.leaf) for each in rows}
    numbers = {float(value) for each in rows for value in (each.stats.success_count, each.stats.failure_count)}
    latencies = {
        value / 1000 for each in rows for value in (each.stats.latency_ms_p50, each.stats.latency_ms_p95, each.stats.latency_ms_p99)
    }
    assert len({sample.about for sample in found.samples}) == len(found.samples)
    for sample in found.samples:
        # Objects whose edges are asked about may be named by the question.
        assert {(sample.resource.kind.lower(), sample.resource.name), (sample.peer.kind.lower(), sample.peer.name)} <= said | {
            ("", ""),
            (asked.kinds[0].lower(), asked.name),
        }
        assert asked.namespace in ("", sample.resource.namespace) or sample.resource.kind == "Namespace"
        for count in (sample.success, sample.failure):
            assert count is None or (math.isfinite(count) and 0 <= count < 1 << 63)
            assert count is None or count in numbers | {0.0} or sample.resource.kind == "Service"
        if sample.latency is not None:
            assert isinstance(sample.latency, Percentiles)
            assert set(sample.latency) <= {0.5, 0.95, 0.99}
            assert set(sample.latency.values()) <= latencies - {0.0}
