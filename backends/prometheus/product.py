"""Which product a store is, in which version, and how far its clock is from ours: what it says of itself beside its data.

Source of the signs: prometheus/prometheus, web/api/v1/api.go, ``buildinfo``; grafana/mimir, pkg/util/version/info_handler.go, whose answer
names its ``application``; thanos-io/thanos, whose versions begin with 0; VictoriaMetrics/VictoriaMetrics, lib/httpserver/httpserver.go,
whose answers name their server, and whose build info is made up for Grafana.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

import msgspec

from backends.prometheus.client import UNREADABLE, PrometheusClient
from metrics_api import BackendError

__all__ = ["Product", "identify"]

_PATH = "/api/v1/status/buildinfo"


class _Build(msgspec.Struct):
    version: str = ""
    application: str = ""


class _Answer(msgspec.Struct):
    data: _Build = msgspec.field(default_factory=_Build)


_decode = msgspec.json.Decoder(_Answer).decode


@dataclass(frozen=True, slots=True)
class Product:
    """``name`` is empty when the store does not tell. ``skew`` is seconds its clock is ahead of ours, None when it sends no date."""

    name: str = ""
    version: str = ""
    skew: float | None = None

    def __str__(self) -> str:
        return " ".join(filter(None, (self.name or "a store", self.version)))


async def identify(client: PrometheusClient) -> Product:
    """What the store says of itself. Stores that say nothing are as good as others, so nothing is raised for that."""
    before = time.time()
    try:
        status, headers, body = await client.get(_PATH)
    except BackendError:
        return Product()
    skew = _skew(headers.get("Date", ""), before, time.time())
    try:
        build = _decode(body).data if status == 200 else _Build()
    except UNREADABLE:
        build = _Build()
    if client.is_victoria_metrics or "X-Server-Hostname" in headers:
        return Product("VictoriaMetrics", "", skew)
    if build.application:
        return Product(build.application, build.version, skew)
    if not build.version:
        return Product("CloudWatch" if "x-amzn-RequestId" in headers else "", "", skew)
    return Product("Thanos" if build.version.startswith("0.") else "Prometheus", build.version, skew)


def _skew(date: str, before: float, after: float) -> float | None:
    """Seconds by which a clock is ahead that showed ``date``, whole seconds rounded down, at some time between two of ours."""
    try:
        shown = parsedate_to_datetime(date).timestamp()
    except ValueError:
        return None
    if shown + 1 < before:
        return shown + 1 - before
    return max(0.0, shown - after)
