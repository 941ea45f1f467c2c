"""Calling the metrics-api of the tests by its own schema, without the source."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import grpc

from tests.doubles.linkerd import VizDouble
from tests.doubles.linkerd.schema import SERVICE, Message, message

__all__ = ["Call", "calls", "channel_to", "chosen", "numbers", "resource", "rows"]

Call = Callable[..., Awaitable[Message]]


def channel_to(viz: VizDouble) -> grpc.aio.Channel:
    """A channel to it; to be closed."""
    return grpc.aio.insecure_channel(viz.address)


def calls(channel: grpc.aio.Channel) -> Call:
    """Calls a method with the fields of a request, and gives the answer."""

    async def call(method: str, **fields: Any) -> Message:
        multicallable: Any = channel.unary_unary(f"/{SERVICE}/{method}")
        answer = await multicallable(message(f"{method}Request")(**fields).SerializeToString(), timeout=20)
        return message(f"{method}Response").FromString(answer)

    return call


def chosen(kind: str, namespace: str = "", name: str = "", labels: str = "") -> Message:
    """A selector."""
    return message("ResourceSelection")(resource=resource(kind, namespace, name), label_selector=labels)


def resource(kind: str, namespace: str = "", name: str = "") -> Message:
    """A resource."""
    return message("Resource")(type=kind, namespace=namespace, name=name)


async def rows(call: Call, selector: Message, **fields: Any) -> dict[str, Message]:
    """The rows of the only table, by the names of what they are about, and of leaves behind these."""
    answer = await call("StatSummary", selector=selector, **{"time_window": "1m", **fields})
    (table,) = answer.ok.stat_tables
    found = {f"{row.resource.name}{'/' + row.ts_stats.leaf if row.ts_stats.leaf else ''}": row for row in table.pod_group.rows}
    assert len(found) == len(table.pod_group.rows)
    return found


def numbers(row: Message) -> tuple[int, ...]:
    """Successes, failures, and the three percentiles."""
    stats = row.stats
    return (stats.success_count, stats.failure_count, stats.latency_ms_p50, stats.latency_ms_p95, stats.latency_ms_p99)
