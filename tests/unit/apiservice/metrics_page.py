"""What the server tells of itself, read from its page as a Prometheus reads it."""

from __future__ import annotations

from collections.abc import Mapping

from aiohttp import web
from multidict import CIMultiDict
from prometheus_client.parser import text_string_to_metric_families

from apiservice.requestinfo import RequestInfo, parse_request
from apiservice.telemetry import Telemetry

__all__ = ["BASE", "SHOP", "bounds", "by", "info", "observe", "page", "scrape", "text"]

BASE = "/apis/metrics.smi-spec.io/v1alpha1"
SHOP = f"{BASE}/namespaces/shop"


def page(telemetry: Telemetry, path: str = "/metrics", headers: Mapping[str, str] | None = None) -> web.Response:
    """The answer to who asks for a page of metrics."""
    response = telemetry.respond(path, {}, CIMultiDict(headers or {}))
    assert response is not None
    return response


def text(response: web.Response) -> str:
    """What the page says."""
    assert isinstance(response.body, bytes)
    return response.body.decode()


def scrape(telemetry: Telemetry, path: str = "/metrics") -> dict[str, list[tuple[dict[str, str], float]]]:
    """All samples of a page by their names: labels and value of each."""
    found: dict[str, list[tuple[dict[str, str], float]]] = {}
    for family in text_string_to_metric_families(text(page(telemetry, path))):
        for sample in family.samples:
            found.setdefault(sample.name, []).append((sample.labels, sample.value))
    return found


def by(telemetry: Telemetry, name: str, label: str) -> dict[str, float]:
    """The values of a metric that are not 0, by one of its labels."""
    return {labels[label]: value for labels, value in scrape(telemetry)[name] if value}


def bounds(telemetry: Telemetry, name: str) -> list[float]:
    """The upper bounds of a histogram of one series, without the last."""
    return [float(labels["le"]) for labels, _ in scrape(telemetry)[f"{name}_bucket"]][:-1]


def info(method: str, path: str, **query: str) -> RequestInfo:
    """What a request is about."""
    return parse_request(method, path, query)


def observe(telemetry: Telemetry, method: str, path: str, code: int = 200, **query: str) -> None:
    """Count a request of 10 ms whose answer has 2000 bytes."""
    telemetry.observe_request(info(method, path, **query), code, 0.01, 2000)
