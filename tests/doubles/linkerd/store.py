"""The Prometheus behind viz, asked by HTTP, and values as viz takes them from it.

Source: linkerd/linkerd2, viz/metrics-api/prometheus.go (extractSampleValue, queryProm) and grpc_server.go (validateTimeWindow);
prometheus/client_golang, api/prometheus/v1/api.go, for what becomes of failures.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import aiohttp
import yaml

from tests.doubles.linkerd.durations import format_duration, parse_duration

__all__ = ["QueryFailed", "Row", "Store"]


class QueryFailed(Exception):
    """A query that the Prometheus did not answer; the message has the PromQL in it, as that of viz does."""


class Row(NamedTuple):
    """One element of an instant vector."""

    labels: Mapping[str, str]
    value: float

    @property
    def whole(self) -> int:
        """The value as a uint64 of Go: rounded half away from zero, NaN as 0, infinity as what amd64 makes of it."""
        if math.isnan(self.value):
            return 0
        return 1 << 63 if math.isinf(self.value) else max(0, math.floor(self.value + 0.5))


class Store:
    """One Prometheus. ``queries`` is all PromQL it was sent; ``instant`` is sent with it unless it is None."""

    def __init__(self, url: str, instant: float | None) -> None:
        self.url = url
        self.instant = instant
        self.queries: list[str] = []
        self._session: aiohttp.ClientSession | None = None

    def open(self) -> None:
        """Begins a session; needs a running loop."""
        self._session = aiohttp.ClientSession()

    async def close(self) -> None:
        """Ends the session."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def query(self, promql: str) -> list[Row]:
        """An instant query; raises QueryFailed."""
        assert self._session is not None
        self.queries.append(promql)
        form = {"query": promql} | ({} if self.instant is None else {"time": str(self.instant)})
        try:
            async with self._session.post(f"{self.url}/api/v1/query", data=form) as response:
                status, body = response.status, await response.read()
        except (aiohttp.ClientError, OSError) as error:
            raise QueryFailed(_failed(promql, f'Post "{self.url}/api/v1/query": {_undialled(error)}')) from error
        document, why = _read(status, body)
        if why:
            raise QueryFailed(_failed(promql, why))
        return [Row(each["metric"], float(each["value"][1])) for each in document["data"]["result"]]

    async def refusal(self, window: str) -> str:
        """Why a window cannot be asked about, or nothing; where the interval of scraping is not known, anything can."""
        assert self._session is not None
        try:
            async with self._session.get(f"{self.url}/api/v1/status/config") as response:
                document = await response.json()
            settings = yaml.safe_load(document["data"]["yaml"])["global"]
            if any(isinstance(value, dict) for value in settings.values()):
                return ""  # viz reads texts alone here, and gives up at labels
            shortest = parse_duration(settings["scrape_interval"])
        except (aiohttp.ClientError, OSError, KeyError, ValueError):
            return ""
        try:
            seconds = parse_duration(window)
        except ValueError as error:
            return str(error)
        if seconds < shortest:
            least = f"must be at least as long as the Prometheus scrape interval ({format_duration(shortest)})"
            return f"time window ({window}) {least}"
        return ""


def _read(status: int, body: bytes) -> tuple[Any, str]:
    """A response of Prometheus, or what its Go client says of one that is no answer: of most statuses it does not read the body."""
    if status // 100 == 5:
        return None, f"server_error: server error: {status}"
    if status // 100 == 4 and status not in (400, 422):
        return None, f"client_error: client error: {status}"
    try:
        document = json.loads(body)
    except ValueError:
        return None, "bad_response: readObjectStart: expect { or n"
    return document, "" if document["status"] == "success" else f"{document['errorType']}: {document['error']}"


def _undialled(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"dial tcp {error.host}:{error.port}: connect: connection refused"
    return "EOF"


def _failed(promql: str, why: str) -> str:
    quoted = promql.replace("\\", "\\\\").replace('"', '\\"')
    return f'Query failed: "{quoted}": {why}'
