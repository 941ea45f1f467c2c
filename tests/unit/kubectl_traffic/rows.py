"""Rows to show: what a workload received, or exchanged with a peer."""

from __future__ import annotations

from metrics_api import Direction, Edge, ResourceRef, Side, TrafficMetrics, Window

__all__ = ["INSTANT", "row"]

INSTANT = 1_795_300_000


def row(
    name: str = "web",
    success: int | None = 300,
    failure: int | None = 0,
    p99: int | None = 12_000,
    *,
    namespace: str = "shop",
    peer: str = "",
    instant: int = INSTANT,
) -> TrafficMetrics:
    """A Deployment in a window of 30 s; counts in requests, latency in microseconds, None is unknown."""
    edge = Edge(Direction.TO, Side.CLIENT, ResourceRef("Deployment", namespace, peer)) if peer else Edge()
    return TrafficMetrics(
        name=name,
        namespace=namespace,
        resource=ResourceRef("Deployment", namespace, name),
        edge=edge,
        instant=instant,
        window=Window(30),
        p99=p99,
        p90=None if p99 is None else p99 // 2,
        p50=None if p99 is None else p99 // 4,
        success=None if success is None else success * 1000,
        failure=None if failure is None else failure * 1000,
        source="mesh",
    )
