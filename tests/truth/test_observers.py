"""Sidecars, gateways, waypoints and node proxies beside each other: every request counts once, and TCP is never taken for requests.

The doubles of the meshes tell one story each; these series tell the mixed ones. A sidecar and an ingress gateway go straight to an ambient
workload, past its waypoint, and are the only ones to report such requests; only callers with a node proxy (ztunnel) are sent through it,
and a gateway that is told to (the label istio.io/ingress-use-waypoint). What each reports: istio/ztunnel, src/proxy/metrics.rs, outbound.rs
and inbound.rs; istio/istio, issue 42320 and pull request 57729; linkerd/linkerd2-proxy, linkerd/transport-metrics/src/report.rs.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.truth.written import Series, Written, counted, numbers, observed, store

pytestmark = pytest.mark.real

NAMESPACES = {"web": "shop", "db": "shop", "gate": "edge", "front": "edge", "unknown": "unknown"}
"""Sidecars are in shop and gateways in edge; whatever else there is is in the namespace amb, ambient but for one."""


def home(workload: str) -> str:
    """The namespace of a workload."""
    return NAMESPACES.get(workload, "amb")


def ends(reporter: str, source: str, destination: str, service: str = "") -> dict[str, str]:
    """The labels both kinds of Istio's metrics share. ``service`` differs from the destination before a waypoint."""
    called = service or destination
    return {
        "reporter": reporter,
        "source_workload": source,
        "source_workload_namespace": home(source),
        "destination_workload": destination,
        "destination_workload_namespace": home(destination),
        "destination_service": f"{called}.{home(called)}.svc.cluster.local",
        "destination_service_name": called,
        "destination_service_namespace": home(called),
    }


def calls(reporter: str, source: str, destination: str, rates: dict[str, float], le: str, service: str = "") -> Series:
    """Requests per second by status code, all of which took between the bucket before ``le`` (milliseconds) and it."""
    found: Series = {}
    for code, rate in rates.items():
        labels = {**ends(reporter, source, destination, service), "response_code": code, "request_protocol": "http"}
        buckets = {bound: rate if bound == le else 0.0 for bound in ("10", "25", "50", "100")}
        found |= counted("istio_requests_total", rate, **labels, **PODS.get((reporter, source, destination), {}))
        found |= observed("istio_request_duration_milliseconds", buckets, **labels)
    return found


PODS = {("source", "web", "stock"): {"namespace": "shop", "pod": "web-7d4"}}
"""Scrape labels that matter below, by observer and edge."""


def streams(reporter: str, source: str, destination: str, rate: float, service: str = "", *, ztunnel: bool = True) -> Series:
    """TCP connections per second, and their bytes; ``ztunnel`` reports from its own pod."""
    labels = {**ends(reporter, source, destination, service), "request_protocol": "tcp"}
    labels |= (
        {"namespace": "istio-system", "pod": "ztunnel-x7k", "app": "ztunnel"} if ztunnel else {"namespace": "shop", "pod": "db-0"}
    )
    return counted("istio_tcp_connections_opened_total", rate, **labels) | counted(
        "istio_tcp_received_bytes_total", rate * 900, **labels
    )


ISTIO = (
    # catalog: its waypoint sees what api sends, and neither the gateway nor the sidecar of web.
    calls("waypoint", "api", "catalog", {"200": 10, "500": 2}, "25"),
    calls("source", "gate", "catalog", {"200": 5, "503": 1}, "100"),
    calls("source", "web", "catalog", {"200": 3}, "100"),
    streams("source", "api", "waypoint", 2, "catalog"),
    streams("destination", "waypoint", "catalog", 2),
    streams("destination", "gate", "catalog", 1),
    streams("destination", "web", "catalog", 1),
    # stock: no waypoint, so what api sends is nothing but connections.
    calls("source", "web", "stock", {"200": 4}, "50"),
    calls("source", "gate", "stock", {"200": 6, "500": 1}, "50"),
    streams("source", "api", "stock", 3),
    streams("destination", "api", "stock", 3),
    streams("destination", "gate", "stock", 3),
    # offers: a gateway that uses the waypoint names it as the workload it reached, and the waypoint reports the same requests again.
    calls("waypoint", "front", "offers", {"200": 7, "500": 2}, "25"),
    calls("source", "front", "waypoint", {"200": 7, "500": 2}, "50", "offers"),
    # The same gateway goes straight to stock, so of what it sends to the namespace a part has one observer and a part has two.
    calls("source", "front", "stock", {"200": 11}, "50"),
    # legacy: a service with a workload that has a sidecar, which calls stock, and one that is ambient; and calls that reached nobody.
    calls("destination", "web", "legacy-v1", {"200": 20}, "50", "legacy"),
    calls("source", "web", "legacy-v1", {"200": 20}, "50", "legacy"),
    calls("source", "web", "legacy-v2", {"200": 30}, "50", "legacy"),
    calls("source", "web", "unknown", {"503": 13}, "50", "legacy"),
    calls("source", "legacy-v1", "stock", {"200": 9}, "50"),
    # cache and db: no requests at all, seen by ztunnel and by sidecars; idle had its connections long ago.
    streams("source", "api", "cache", 8),
    streams("destination", "api", "cache", 8),
    streams("source", "web", "db", 9, ztunnel=False),
    streams("destination", "web", "db", 9, ztunnel=False),
    streams("destination", "api", "idle", 0),
)


def proxy(direction: str, deployment: str, to: str = "", *, port: str = "8080") -> dict[str, str]:
    """The labels of a Linkerd proxy, and of whom it calls."""
    own = {"namespace": "shop", "deployment": deployment, "pod": f"{deployment}-0"}
    callee = {"dst_namespace": "shop", "dst_deployment": to, "dst_service": to, "dst_pod": f"{to}-0"} if to else {}
    return {"direction": direction, "target_port": port, "tls": "true", **own, **callee}


def linkerd(direction: str, deployment: str, rate: float, to: str = "", *, http: bool, port: str = "8080") -> Series:
    """Connections of one proxy, those of HTTP included, with the requests they carried."""
    labels = proxy(direction, deployment, to, port=port)
    peer = "src" if direction == "inbound" else "dst"
    found = counted("tcp_open_total", rate, peer=peer, **labels) | counted("tcp_read_bytes_total", rate * 100, peer=peer, **labels)
    # The other end of the same stream: the application, in the proxy of the callee, and in that of the caller.
    found |= counted("tcp_open_total", rate * 5, peer="dst" if peer == "src" else "src", direction=direction, **own_of(labels))
    if http:
        status = {"status_code": "200", "classification": "success"}
        found |= counted("response_total", rate * 10, **labels, **status)
        found |= observed("response_latency_ms", {"10": rate * 10}, **labels, status_code="200")
    return found


def own_of(labels: dict[str, str]) -> dict[str, str]:
    """The labels of the proxy alone, told apart by the callee, so that no series is written twice."""
    return {name: labels[name] for name in ("namespace", "deployment", "pod", "target_port")} | {
        "via": labels.get("dst_deployment", "")
    }


LINKERD = (
    linkerd("inbound", "api", 4, http=True),
    linkerd("outbound", "web", 4, "api", http=True),
    linkerd("inbound", "redis", 6, http=False),
    linkerd("outbound", "web", 6, "redis", http=False),
    # Prometheus, which has no proxy, scrapes the admin port of a workload that nobody calls.
    linkerd("inbound", "quiet", 1, http=False, port="4191"),
)


@pytest.fixture(scope="module")
async def mixed(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Written]:
    """All of the above in one Prometheus."""
    async with store(tmp_path_factory.mktemp("mixed"), *ISTIO, *LINKERD) as written:
        yield written


CATALOG = (10 + 5 + 3, 2 + 1)
STOCK = (4 + 6 + 11 + 9, 1)
OFFERS = (7, 2)
LEGACY = (20 + 30, 0)


def minute(rates: tuple[int, int], side: str) -> tuple[float, float, str]:
    """Counts of a minute."""
    return 60.0 * rates[0], 60.0 * rates[1], side


async def test_requests_through_a_waypoint_and_past_it_are_added(mixed: Written):
    found = numbers((await mixed.ask("istio", "Deployment", namespace="amb")).samples)
    assert found["catalog"] == minute(CATALOG, "server")


async def test_an_ambient_workload_without_a_waypoint_received_what_its_callers_say(mixed: Written):
    found = numbers((await mixed.ask("istio", "Deployment", namespace="amb")).samples)
    assert found["stock"] == minute(STOCK, "client")


async def test_what_a_gateway_sends_through_a_waypoint_counts_once(mixed: Written):
    found = numbers((await mixed.ask("istio", "Deployment", namespace="amb")).samples)
    assert found["offers"] == minute(OFFERS, "server")


async def test_a_percentile_is_over_the_requests_of_all_observers(mixed: Written):
    (catalog,) = (await mixed.ask("istio", "Deployment", namespace="amb", name="catalog")).samples
    assert catalog.latency is not None
    # 12 of 21 requests a second took 10 to 25 milliseconds, so half of them lie at 10.5 / 12 of that bucket.
    assert catalog.latency.quantile(0.5) == pytest.approx(0.010 + 0.015 * 10.5 / 12)
    # Of the 9 others, that took 50 to 100, 90 % of all is reached at 6.9 / 9.
    assert catalog.latency.quantile(0.9) == pytest.approx(0.050 + 0.050 * 6.9 / 9)


async def test_each_caller_of_an_ambient_workload_is_seen_by_whoever_saw_it(mixed: Written):
    answer = await mixed.ask("istio", "Deployment", namespace="amb", name="catalog", direction="from")
    assert {about: row for about, row in numbers(answer.samples).items() if row[0] is not None} == {
        "catalog from api": minute((10, 2), "server"),
        "catalog from gate": minute((5, 1), "client"),
        "catalog from web": minute((3, 0), "client"),
    }


async def test_a_gateway_lists_those_it_goes_straight_to_as_its_callees(mixed: Written):
    found = numbers((await mixed.ask("istio", "Deployment", namespace="edge", name="gate", direction="to")).samples)
    assert found == {"gate to catalog": minute((5, 1), "client"), "gate to stock": minute((6, 1), "client")}


@pytest.mark.parametrize(
    ("service", "rates", "side"),
    [("catalog", CATALOG, "server"), ("stock", STOCK, "client"), ("offers", OFFERS, "server"), ("legacy", LEGACY, "server")],
)
async def test_a_service_counts_every_request_once(mixed: Written, service: str, rates: tuple[int, int], side: str):
    found = numbers((await mixed.ask("istio", "Service", namespace="amb", name=service)).samples)
    assert found == {service: minute(rates, side)}


async def test_a_namespace_counts_every_request_of_its_workloads_once(mixed: Written):
    found = numbers((await mixed.ask("istio", "Namespace", name="amb")).samples)
    assert found == {"amb": minute((18 + 30 + 7 + 50, 3 + 1 + 2), "server")}


@pytest.mark.parametrize(
    ("direction", "rows"),
    [
        (
            "from",
            {
                "amb from amb": minute((10 + 9, 2), "server"),
                "amb from edge": minute((5 + 6 + 7 + 11, 1 + 1 + 2), "server"),
                "amb from shop": minute((3 + 4 + 20 + 30, 0), "server"),
            },
        ),
        (
            "to",
            {
                "amb to amb": minute((10 + 9, 2), "client"),
                "edge to amb": minute((5 + 6 + 7 + 11, 1 + 1 + 2), "client"),
                "shop to amb": minute((3 + 4 + 20 + 30, 0), "client"),
                "shop to legacy.amb.svc.cluster.local": minute((0, 13), "client"),
            },
        ),
    ],
)
async def test_an_edge_of_namespaces_counts_every_request_once(mixed: Written, direction: str, rows: dict[str, object]):
    found = numbers((await mixed.ask("istio", "Namespace", direction=direction)).samples)
    assert {about: row for about, row in found.items() if row[0] is not None} == rows


async def test_workloads_that_had_connections_alone_have_no_numbers_and_a_warning(mixed: Written):
    answer = await mixed.ask("istio", "Deployment")
    found = numbers(answer.samples)
    assert found["cache"] == (None, None, "server")
    assert found["db"] == (None, None, "server")
    (warning,) = answer.warnings
    assert "connections" in warning
    assert "cache" in warning
    assert "db" in warning
    assert not answer.incomplete


@pytest.mark.parametrize(("name", "row"), [("cache", "cache from api"), ("db", "db from web")])
async def test_an_edge_of_connections_alone_has_no_numbers_either(mixed: Written, name: str, row: str):
    answer = await mixed.ask("istio", "Deployment", name=name, direction="from")
    assert numbers(answer.samples) == {row: (None, None, "server")}
    assert len(answer.warnings) == 1


async def test_connections_that_did_not_move_are_nothing(mixed: Written):
    answer = await mixed.ask("istio", "Deployment", name="idle")
    assert (answer.samples, answer.warnings) == ((), ())


async def test_a_ztunnel_is_no_pod_that_had_the_traffic_it_reports(mixed: Written):
    answer = await mixed.ask("istio", "Pod", direction="to")
    assert numbers(answer.samples) == {"web-7d4 to stock": minute((4, 0), "client")}


async def test_tcp_of_linkerd_is_shown_where_there_is_no_http(mixed: Written):
    answer = await mixed.ask("linkerd", "Deployment")
    assert numbers(answer.samples) == {"api": minute((40, 0), "server"), "redis": (None, None, "server")}
    (warning,) = answer.warnings
    assert "connections" in warning
    assert "redis" in warning
    assert "api" not in warning.partition("of ")[2]


async def test_an_edge_of_linkerd_is_of_requests_or_of_connections_and_never_of_both(mixed: Written):
    answer = await mixed.ask("linkerd", "Deployment", name="web", direction="to")
    assert numbers(answer.samples) == {"web to api": minute((40, 0), "client"), "web to redis": (None, None, "client")}
