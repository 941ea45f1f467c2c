"""``dialect: auto``: a source that looks at what its store keeps, and answers in the dialects it finds there."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from backends.dialects import parse_matchers
from backends.dialects.overrides import Overrides
from backends.prometheus import PrometheusBackend, PrometheusSettings
from backends.prometheus.recognition import candidates
from metrics_api import BackendRefused, ResourceRef, Span, TrafficQuery, Window
from tests.backends.prometheus.queryapi import query_api, question, settings, vector
from tests.doubles.backfill import INSTANT, Series, backfilled_prometheus

pytestmark = pytest.mark.real

MINUTE = Window(60)


def linkerd(name: str, rate: float, cluster: str = "eu") -> Series:
    labels = f'direction="inbound",tls="true",namespace="shop",deployment="{name}",cluster="{cluster}"'
    return {f'response_total{{{labels},classification="success"}}': (100, rate)}


def istio(name: str, rate: float, cluster: str = "eu") -> Series:
    labels = f'reporter="destination",destination_workload="{name}",destination_workload_namespace="ledger",cluster="{cluster}"'
    return {f'istio_requests_total{{{labels},response_code="200"}}': (100, rate)}


def called_twice() -> Series:
    own = 'namespace="mesh",deployment="front"'
    callee = 'dst_namespace="mesh",dst_deployment="back",dst_service="back"'
    backend = 'backend_kind="Service",backend_namespace="mesh",backend_name="back"'
    return {
        f'response_total{{direction="outbound",tls="true",{own},{callee},classification="success"}}': (100, 4.0),
        f'outbound_http_route_backend_response_statuses_total{{{own},{backend},http_status="200"}}': (100, 4.0),
    }


def traces(name: str, rate: float) -> Series:
    labels = f'client="user",server="{name}",server_k8s_namespace_name="shop",server_k8s_deployment_name="{name}"'
    return {f"traces_service_graph_request_total{{{labels}}}": (100, rate)}


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A store with two meshes, traces of some of the same requests, and another cluster."""
    kept = {
        **linkerd("web", 5.0),
        **linkerd("far", 7.0, cluster="us"),
        **istio("books", 3.0),
        **called_twice(),
        **traces("web", 1.0),
        **traces("batch", 2.0),
    }
    with backfilled_prometheus(tmp_path_factory.mktemp("auto"), kept) as store:
        yield store


def source(url: str, overrides: Overrides | None = None) -> PrometheusBackend:
    return PrometheusBackend(PrometheusSettings("mesh", url, None, overrides=overrides or Overrides()))


def asked(instant: int = INSTANT, **fields: object) -> TrafficQuery:
    return TrafficQuery(("Deployment",), MINUTE, instant, **fields)  # type: ignore[arg-type] # fields of a query


async def test_two_meshes_in_one_store_are_one_answer_and_traces_come_last(url: str):
    async with source(url) as auto:
        answer = await auto.answer(asked())
        assert [dialect.name for dialect in auto.dialects] == ["istio", "linkerd", "linkerd-policy", "otel-servicegraph"]
    assert {sample.resource: sample.success for sample in answer.samples} == {
        ResourceRef("Workload", "ledger", "books"): 180.0,
        ResourceRef("Deployment", "shop", "web"): 300.0,
        ResourceRef("Deployment", "shop", "far"): 420.0,
        ResourceRef("Deployment", "shop", "batch"): 120.0,
        ResourceRef("Deployment", "mesh", "back"): 240.0,
    }
    assert not answer.incomplete


async def test_each_row_says_which_of_the_dialects_told_it_now_and_in_history(url: str):
    async with source(url) as auto:
        answers = [await auto.answer(asked()), *await auto.history(asked(), Span(INSTANT, INSTANT, 10))]
    for answer in answers:
        assert {sample.resource.name: sample.dialect for sample in answer.samples} == {
            "books": "istio",
            "web": "linkerd",
            "far": "linkerd",
            "back": "linkerd",
            "batch": "otel-servicegraph",
        }


async def test_edges_that_one_dialect_tells_are_not_told_again_by_its_fallback(url: str):
    """Linkerd's classic metrics name the workload that was called, its newer ones the Service."""
    async with source(url) as auto:
        answer = await auto.answer(asked(namespace="mesh", edges=True))
        assert [dialect.name for dialect in auto.dialects] == ["istio", "linkerd", "linkerd-policy", "otel-servicegraph"]
    assert {(sample.resource.name, sample.peer.kind, sample.peer.name, sample.success) for sample in answer.samples} == {
        ("front", "Deployment", "back", 240.0),
        ("back", "Deployment", "front", 240.0),
    }


async def test_what_none_of_the_dialects_found_can_tell_is_refused(url: str):
    query = TrafficQuery(("TrafficSplit",), MINUTE, INSTANT)
    async with source(url) as auto:
        assert auto.refusal(query) is None
        await auto.find_dialects(INSTANT)
        reason = auto.refusal(query)
    assert reason is not None
    assert "dialect linkerd" in reason
    assert "dialect istio" in reason


async def test_what_is_refused_only_once_the_store_was_asked_is_answered_with_the_reason(url: str):
    query = TrafficQuery(("Node",), MINUTE, INSTANT)
    async with source(url, Overrides(match=parse_matchers('cluster="us"'))) as auto:
        assert auto.refusal(query) is None
        answers = [await auto.answer(query), *await auto.history(query, Span(INSTANT, INSTANT, 10))]
    for answer in answers:
        assert answer.samples == ()
        assert any(text.startswith('source "mesh": dialect linkerd: ') for text in answer.warnings)


async def test_overrides_hold_for_whatever_is_found(url: str):
    overrides = Overrides(match=parse_matchers('cluster="us"'))
    async with source(url, overrides) as auto:
        answer = await auto.answer(asked())
        assert [dialect.name for dialect in auto.dialects] == ["linkerd"]
    assert [sample.resource.name for sample in answer.samples] == ["far"]


async def test_a_store_without_a_mesh_says_so(url: str):
    async with source(url) as auto:
        with pytest.raises(BackendRefused, match=r'no metrics of a mesh that is known here.*"trafficmetrics doctor"'):
            await auto.answer(asked(INSTANT + 86_400))


async def test_what_is_found_in_the_past_says_nothing_about_now(url: str):
    async with source(url) as auto:
        await auto.answer(asked())
        with pytest.raises(BackendRefused):
            await auto.answer(asked(INSTANT + 86_400))
        assert len((await auto.answer(asked())).samples) == 5


async def test_a_store_that_is_down_at_the_start_is_asked_again():
    async with query_api(lambda _: vector()) as double:
        down = PrometheusBackend(PrometheusSettings("mesh", "http://127.0.0.1:9", None))
        async with down:
            assert down.dialects == ()
            assert down.refusal(question()) is None
        async with PrometheusBackend(settings(double, dialect=None)) as auto:
            with pytest.raises(BackendRefused):
                await auto.answer(question())
            place = [dialect.name for dialect in candidates()].index("linkerd")
            found = {"metric": {"trafficmetrics_dialect": str(place)}, "value": [0, "1"]}
            double.answer = lambda asked: vector(*([found] if "label_replace(count" in asked.promql else []))
            assert (await auto.answer(question())).samples == ()
            assert [dialect.name for dialect in auto.dialects] == ["linkerd"]
