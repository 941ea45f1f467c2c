"""The page of the server's own metrics: what is always on it, and in which form it is sent."""

from __future__ import annotations

import gzip

import prometheus_client
import pytest
from multidict import CIMultiDict
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics_families

from apiservice.telemetry import Telemetry
from tests.unit.apiservice.metrics_page import BASE, observe, page, scrape, text


def test_results_of_health_checks_have_a_page_of_their_own_too() -> None:
    telemetry = Telemetry("0.1.0")
    telemetry.checked("readyz", "ping", passed=True)
    telemetry.checked("readyz", "shutdown", passed=True)
    telemetry.checked("readyz", "shutdown", passed=False)
    small = scrape(telemetry, "/metrics/slis")
    assert set(small) == {"kubernetes_healthcheck", "kubernetes_healthchecks_total"}
    assert small.items() <= scrape(telemetry).items()
    assert small["kubernetes_healthcheck"] == [
        ({"name": "ping", "type": "readyz"}, 1),
        ({"name": "shutdown", "type": "readyz"}, 0),
    ]
    counts = {(labels["name"], labels["status"]): value for labels, value in small["kubernetes_healthchecks_total"]}
    assert counts == {("ping", "success"): 1, ("shutdown", "success"): 1, ("shutdown", "error"): 1}


def test_the_version_and_the_process_are_told() -> None:
    found = scrape(Telemetry("0.1.0"))
    assert found["trafficmetrics_build_info"] == [({"version": "0.1.0"}, 1)]
    ((labels, one),) = found["kubernetes_build_info"]
    assert (labels["git_version"], labels["major"], labels["minor"], one) == ("v0.1.0", "0", "1", 1)
    assert len(labels) == 9
    assert found["process_resident_memory_bytes"][0][1] > 0


def test_the_global_registry_stays_out_of_it() -> None:
    telemetry = Telemetry("0.1.0")
    observe(telemetry, "GET", f"{BASE}/pods")
    assert "apiserver_request_total" not in prometheus_client.generate_latest().decode()
    assert "apiserver_request_total" in scrape(telemetry)


def test_a_count_is_one_series() -> None:
    assert "_created" not in text(page(Telemetry("0.1.0", ["mesh"])))


@pytest.mark.parametrize("version", ["1.0.0", "0.0.1", "9.9.9", "soon", ""])
def test_openmetrics_is_spoken_when_asked(version: str) -> None:
    accept = f"application/openmetrics-text;version={version},text/plain;version=0.0.4;q=0.5"
    telemetry = Telemetry("0.1.0")
    observe(telemetry, "GET", f"{BASE}/pods")
    response = page(telemetry, headers={"Accept": accept})
    assert response.headers["Content-Type"] == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    assert "apiserver_request" in {family.name for family in open_metrics_families(text(response))}  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("accept", ["", "*/*", "text/html", "text/plain;version=0.0.4", "text/plain;version=x"])
def test_prometheus_text_is_for_everybody_else(accept: str) -> None:
    response = page(Telemetry("0.1.0"), headers={"Accept": accept})
    assert response.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"


def test_the_page_is_compressed_for_who_can_read_it() -> None:
    telemetry = Telemetry("0.1.0")
    response = page(telemetry, headers={"Accept-Encoding": "gzip"})
    assert isinstance(response.body, bytes)
    assert b"kubernetes_build_info" in gzip.decompress(response.body)
    assert "Content-Encoding" not in page(telemetry).headers


def test_other_paths_are_left_to_others() -> None:
    assert Telemetry("0.1.0").respond("/metrics/nope", {}, CIMultiDict()) is None
