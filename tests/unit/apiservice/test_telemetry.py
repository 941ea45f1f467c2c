"""The server's own metrics: the names dashboards know, and no more series than there are resources."""

from __future__ import annotations

import asyncio

import prometheus_client
import pytest
from multidict import CIMultiDict
from prometheus_client.parser import text_string_to_metric_families

from apiservice.requestinfo import parse_request
from apiservice.telemetry import Telemetry
from metrics_api import BackendUnavailable

BASE = "/apis/metrics.smi-spec.io/v1alpha1"


def scrape(telemetry: Telemetry) -> dict[str, list[tuple[dict[str, str], float]]]:
    response = telemetry.respond("/metrics", {}, CIMultiDict())
    assert response is not None
    assert isinstance(response.body, bytes)
    found: dict[str, list[tuple[dict[str, str], float]]] = {}
    for family in text_string_to_metric_families(response.body.decode()):
        for sample in family.samples:
            found.setdefault(sample.name, []).append((sample.labels, sample.value))
    return found


def observe(telemetry: Telemetry, method: str, path: str, code: int = 200) -> None:
    telemetry.observe_request(parse_request(method, path, {}), code, 0.01, 2000)


@pytest.mark.parametrize(
    ("method", "path", "labels"),
    [
        pytest.param(
            "GET",
            f"{BASE}/namespaces/shop/deployments",
            {"verb": "LIST", "resource": "deployments", "scope": "namespace"},
            id="list",
        ),
        pytest.param("GET", f"{BASE}/pods", {"verb": "LIST", "resource": "pods", "scope": "cluster"}, id="list everywhere"),
        pytest.param("HEAD", f"{BASE}/namespaces/shop/pods/p", {"verb": "GET", "resource": "pods", "scope": "resource"}, id="get"),
        pytest.param(
            "GET",
            f"{BASE}/namespaces/shop/pods/p/edges",
            {"verb": "GET", "resource": "pods", "subresource": "edges"},
            id="edges",
        ),
        pytest.param(
            "GET",
            f"{BASE}/namespaces/shop/pods/p/invented",
            {"resource": "pods", "subresource": "other"},
            id="an invented subresource",
        ),
        pytest.param("GET", "/livez", {"verb": "GET", "resource": "", "group": "", "scope": ""}, id="a path"),
        pytest.param("BREW", f"{BASE}/pods", {"verb": "other", "resource": "pods"}, id="an invented method"),
    ],
)
def test_a_request_is_counted_under_what_it_was_about(method: str, path: str, labels: dict[str, str]) -> None:
    telemetry = Telemetry("0.1.0")
    observe(telemetry, method, path, 404)
    ((found, count),) = scrape(telemetry)["apiserver_request_total"]
    assert found.items() >= {**labels, "code": "404", "component": "apiserver", "dry_run": ""}.items()
    assert count == 1


def test_invented_resources_share_one_series() -> None:
    telemetry = Telemetry("0.1.0")
    for number in range(50):
        observe(telemetry, "GET", f"{BASE}/namespaces/n{number}/invented{number}")
        observe(telemetry, "GET", f"/apis/other.group/v{number}/pods")
    assert len(scrape(telemetry)["apiserver_request_total"]) == 1


def test_durations_have_the_buckets_of_kubernetes() -> None:
    telemetry = Telemetry("0.1.0")
    observe(telemetry, "GET", f"{BASE}/pods")
    bounds = [labels["le"] for labels, _ in scrape(telemetry)["apiserver_request_duration_seconds_bucket"]]
    assert [float(bound) for bound in bounds[:-1]] == [
        *(0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1, 1.25, 1.5, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 45, 60)
    ]
    sizes = scrape(telemetry)["apiserver_response_sizes_sum"]
    assert [value for _, value in sizes] == [2000]


def in_flight(telemetry: Telemetry) -> dict[str, float]:
    return {labels["request_kind"]: value for labels, value in scrape(telemetry)["apiserver_current_inflight_requests"]}


def test_requests_under_way_are_counted_while_they_are() -> None:
    telemetry = Telemetry("0.1.0")
    with telemetry.in_flight(parse_request("GET", "/livez", {})), telemetry.in_flight(parse_request("POST", f"{BASE}/pods", {})):
        assert in_flight(telemetry) == {"readOnly": 1, "mutating": 1}
    assert in_flight(telemetry) == {"readOnly": 0, "mutating": 0}


def test_requests_to_a_source_are_counted_by_outcome() -> None:
    telemetry = Telemetry("0.1.0")
    with telemetry.source_request("mesh"):
        pass
    with pytest.raises(BackendUnavailable), telemetry.source_request("mesh"):
        raise BackendUnavailable("mesh", "down")
    with pytest.raises(asyncio.CancelledError), telemetry.source_request("mesh"):
        raise asyncio.CancelledError
    counts = {labels["code"]: value for labels, value in scrape(telemetry)["trafficmetrics_source_requests_total"]}
    assert counts == {"ok": 1, "BackendUnavailable": 1, "CancelledError": 1}
    assert scrape(telemetry)["trafficmetrics_source_request_duration_seconds_count"] == [({"source": "mesh"}, 3)]


def test_the_version_and_the_process_are_told() -> None:
    found = scrape(Telemetry("0.1.0"))
    assert found["trafficmetrics_build_info"] == [({"version": "0.1.0"}, 1)]
    assert found["process_resident_memory_bytes"][0][1] > 0


def test_the_global_registry_stays_out_of_it() -> None:
    telemetry = Telemetry("0.1.0")
    observe(telemetry, "GET", f"{BASE}/pods")
    assert "apiserver_request_total" not in prometheus_client.generate_latest().decode()
    assert "apiserver_request_total" in scrape(telemetry)


def test_openmetrics_is_spoken_when_asked() -> None:
    accept = "application/openmetrics-text;version=1.0.0"
    response = Telemetry("0.1.0").respond("/metrics", {}, CIMultiDict({"Accept": accept}))
    assert response is not None
    assert response.headers["Content-Type"].startswith("application/openmetrics-text")
