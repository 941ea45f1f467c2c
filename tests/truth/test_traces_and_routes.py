"""Service graphs, span metrics and metrics of routes in the spellings and corners that the doubles of the fleet do not show.

Source: open-telemetry/opentelemetry-collector-contrib, connector/servicegraphconnector and connector/spanmetricsconnector (label
``failed``, names without a prefix, feature gate spanmetrics.statusCodeConvention.useOtelPrefix); grafana/tempo,
modules/generator/processor/servicegraphs (databases, virtual nodes); linkerd/linkerd2-proxy,
linkerd/app/outbound/src/http/logical/policy/route/metrics/labels.rs (a status and an error at once).
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from backends.dialects import Dialect, load_dialect
from backends.dialects.overrides import Overrides, override
from tests.truth.written import Series, Written, counted, numbers, observed, store

pytestmark = pytest.mark.real

GRAPH = "traces_service_graph_request"


def edge(client: str, server: str, rate: float, failures: float = 0.0, le: str = "0.1", kind: str = "", **more: str) -> Series:
    """An edge as the collector's connector writes it: what failed and what did not are series of their own, of every metric."""
    found: Series = {}
    for failed, part in (("false", rate - failures), ("true", failures)):
        labels = {"client": client, "server": server, "connection_type": kind, "failed": failed, **more}
        buckets = {bound: part if bound == le else 0.0 for bound in ("0.05", "0.1", "0.2")}
        found |= counted(f"{GRAPH}_total", part, **labels)
        found |= observed(f"{GRAPH}_server_seconds", buckets, **labels) | observed(f"{GRAPH}_client_seconds", buckets, **labels)
        if failed == "true" and failures:
            found |= counted(f"{GRAPH}_failed_total", part, **labels)
    return found


def named(end: str, namespace: str, **kinds: str) -> dict[str, str]:
    """Dimensions of one end."""
    return {f"{end}_k8s_namespace_name": namespace, **{f"{end}_k8s_{kind}_name": name for kind, name in kinds.items()}}


GRAPHS = (
    edge("web", "api", 10, 2),
    edge("web", "orders", 4, 1, kind="database"),
    edge("web", "payments.example.com", 3, kind="virtual_node", virtual_node="server"),
    edge("web", "unknown", 5, kind="virtual_node", virtual_node="server"),
    edge("user", "web", 6, kind="virtual_node", virtual_node="client"),
    edge("phone", "web", 7, kind="virtual_node", virtual_node="client"),
    edge("web", "mailer", 8, kind="messaging_system"),
    # Where dimensions are, the namespace is told by them, and the kind of the one end and not of the other.
    edge("old", "new", 9, **named("client", "left"), **named("server", "right", deployment="renewed")),
)


def spans(prefix: str, name: str, rate: float, **status: str) -> Series:
    """Spans of servers in the collector's names, with a prefix or without."""
    labels = {"service_name": name, "span_kind": "SPAN_KIND_SERVER", "span_name": "GET /", **status}
    return counted(f"{prefix}calls_total", rate, **labels) | observed(f"{prefix}duration_seconds", {"0.1": rate}, **labels)


SPANS = (
    spans("", "cart", 10, status_code="STATUS_CODE_OK"),
    spans("", "cart", 2, status_code="STATUS_CODE_ERROR"),
    spans("traces_span_metrics_", "pay", 20),
    spans("traces_span_metrics_", "pay", 3, otel_status_code="ERROR"),
    spans("traces_span_metrics_", "pay", 4, otel_status_code="OK"),
)


def route(rate: float, **status: str) -> Series:
    """Responses of a Service to a workload, as Linkerd's proxy counts them."""
    labels = {
        "namespace": "shop",
        "deployment": "web",
        "backend_kind": "Service",
        "backend_namespace": "shop",
        "backend_name": "api",
    }
    return counted("outbound_http_route_backend_response_statuses_total", rate, **labels, **status)


ROUTES = (
    route(10, http_status="200"),
    # The headers came, and then the stream was reset.
    route(2, http_status="200", error="RESET"),
    route(1, error="FAIL_FAST"),
)


@pytest.fixture(scope="module")
async def traces(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Written]:
    """All of the above in one Prometheus."""
    async with store(tmp_path_factory.mktemp("traces"), *GRAPHS, *SPANS, *ROUTES) as written:
        yield written


@pytest.fixture(scope="module")
def graph() -> Dialect:
    """The dialect of service graphs where a namespace is given for what has none."""
    return override(load_dialect("otel-servicegraph"), Overrides(namespace="shop"))


async def test_a_service_is_the_workload_of_its_name_in_the_namespace_that_is_given(traces: Written, graph: Dialect):
    found = numbers((await traces.ask(graph, "Deployment", namespace="shop")).samples)
    assert found == {"api": (480, 120, "server"), "web": (60 * (6 + 7), 0, "server")}


async def test_without_a_namespace_a_service_is_nothing_that_could_be_asked_for(traces: Written):
    found = numbers((await traces.ask("otel-servicegraph", "Deployment")).samples)
    assert found == {"renewed": (540, 0, "server")}


async def test_databases_and_hosts_are_callees_by_name_and_what_has_no_name_is_unknown(traces: Written, graph: Dialect):
    answer = await traces.ask(graph, "Deployment", namespace="shop", name="web", direction="to")
    assert numbers(answer.samples) == {
        "web to api": (480, 120, "client"),
        "web to orders": (180, 60, "client"),
        "web to payments.example.com": (180, 0, "client"),
        "web to unknown": (300, 0, "client"),
    }
    assert {sample.peer.name: sample.peer.kind for sample in answer.samples}["orders"] == ""


async def test_callers_without_spans_are_hosts_by_name_or_unknown(traces: Written, graph: Dialect):
    answer = await traces.ask(graph, "Deployment", namespace="shop", name="web", direction="from")
    assert numbers(answer.samples) == {"web from unknown": (360, 0, "server"), "web from phone": (420, 0, "server")}
    assert {sample.peer.kind for sample in answer.samples} == {""}


async def test_what_has_no_span_has_observed_nothing(traces: Written, graph: Dialect):
    """Both histograms are written all the same, and the one of the end without a span says zero."""
    callees = await traces.ask(graph, "Deployment", namespace="shop", name="web", direction="to", side="server")
    callers = await traces.ask(graph, "Deployment", namespace="shop", name="web", direction="from", side="client")
    assert numbers(callees.samples) == {"web to api": (480, 120, "server")}
    assert numbers(callers.samples) == {}


async def test_a_dimension_tells_more_than_the_name_of_the_service(traces: Written):
    answer = await traces.ask("otel-servicegraph", "Deployment", direction="from")
    (sample,) = answer.samples
    assert (sample.resource.kind, sample.resource.namespace, sample.resource.name) == ("Deployment", "right", "renewed")
    assert (sample.peer.kind, sample.peer.namespace, sample.peer.name) == ("Workload", "left", "old")


async def test_the_latency_of_what_failed_is_in_the_latency(traces: Written, graph: Dialect):
    (api,) = (await traces.ask(graph, "Deployment", namespace="shop", name="api")).samples
    assert api.latency is not None
    assert api.latency.total == pytest.approx(600)
    assert api.latency.quantile(0.5) == pytest.approx(0.075)


async def test_span_metrics_of_any_release_are_one(traces: Written):
    spoken = override(load_dialect("otel-spanmetrics"), Overrides(namespace="shop"))
    answer = await traces.ask(spoken, "Deployment", namespace="shop")
    assert numbers(answer.samples) == {"cart": (600, 120, "server"), "pay": (60 * (20 + 4), 180, "server")}
    assert all(sample.latency is not None and sample.latency.quantile(0.5) == pytest.approx(0.05) for sample in answer.samples)


async def test_span_metrics_refuse_edges_and_say_what_has_them(traces: Written):
    reason = await traces.refusal("otel-spanmetrics", "Deployment", direction="to")
    assert reason is not None
    assert "otel-servicegraph" in reason


async def test_a_stream_that_broke_after_its_status_is_a_failure(traces: Written):
    (sample,) = (await traces.ask("linkerd-policy", "Service", namespace="shop")).samples
    assert (sample.success, sample.failure) == (pytest.approx(600), pytest.approx(180))
