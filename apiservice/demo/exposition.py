"""What a simulated proxy counts, and how it tells: as Envoy does under ``/stats/prometheus``, the metrics of traffic alone.

As in Envoy 1.40, a class of responses has no series before its first response; times are whole milliseconds, rounded down; and gRPC
statuses are counted beside the HTTP classes, not instead of them.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

__all__ = ["ProxyStats"]

_BOUNDS = (0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000, 300000, 600000, 1800000, 3600000)
"""Envoy's own histogram bounds, in milliseconds."""

_CLUSTER = "envoy_cluster_name"
_LISTENER = "envoy_http_conn_manager_prefix"


class ProxyStats:
    """The counters of one proxy. Times are seconds."""

    def __init__(self) -> None:
        self._upstream: Counter[tuple[str, int]] = Counter()
        self._grpc: Counter[tuple[str, int]] = Counter()
        self._upstream_times: dict[str, list[int]] = {}
        self._downstream: Counter[tuple[str, int]] = Counter()
        self._downstream_times: dict[str, list[int]] = {}

    def sent(self, cluster: str, status: int, seconds: float, grpc_status: int | None = None) -> None:
        """A request to a cluster was answered."""
        self._upstream[cluster, status // 100] += 1
        _observe(self._upstream_times, cluster, seconds)
        if grpc_status is not None:
            self._grpc[cluster, grpc_status] += 1

    def received(self, prefix: str, status: int, seconds: float) -> None:
        """A request to the listener with this prefix was answered."""
        self._downstream[prefix, status // 100] += 1
        _observe(self._downstream_times, prefix, seconds)

    def render(self) -> str:
        """The exposition, in Prometheus' text format."""
        families = [
            *_classes("envoy_cluster_upstream_rq_xx", _CLUSTER, self._upstream),
            *_statuses(self._grpc),
            *_classes("envoy_http_downstream_rq_xx", _LISTENER, self._downstream),
            *_histogram("envoy_cluster_upstream_rq_time", _CLUSTER, self._upstream_times),
            *_histogram("envoy_http_downstream_rq_time", _LISTENER, self._downstream_times),
        ]
        return "".join(f"{line}\n" for line in families)


def _observe(times: dict[str, list[int]], key: str, seconds: float) -> None:
    """Count one time. Beside the buckets, the last place holds the sum."""
    milliseconds = int(seconds * 1000)
    counts = times.setdefault(key, [0] * (len(_BOUNDS) + 2))
    counts[bisect_left(_BOUNDS, milliseconds)] += 1
    counts[-1] += milliseconds


def _classes(metric: str, label: str, counts: Mapping[tuple[str, int], int]) -> Iterator[str]:
    yield from _type(metric, "counter", counts)
    for (name, status), count in sorted(counts.items()):
        yield f'{metric}{{envoy_response_code_class="{status}",{label}="{name}"}} {count}'


def _statuses(counts: Mapping[tuple[str, int], int]) -> Iterator[str]:
    for wanted in sorted({status for _, status in counts}):
        metric = f"envoy_cluster_grpc_{wanted}"
        yield from _type(metric, "counter", counts)
        for (name, status), count in sorted(counts.items()):
            if status == wanted:
                yield f'{metric}{{{_CLUSTER}="{name}"}} {count}'


def _histogram(metric: str, label: str, times: Mapping[str, list[int]]) -> Iterator[str]:
    yield from _type(metric, "histogram", times)
    for name, counts in sorted(times.items()):
        total = 0
        for bound, count in zip((*(f"{bound:g}" for bound in _BOUNDS), "+Inf"), counts[:-1], strict=True):
            total += count
            yield f'{metric}_bucket{{{label}="{name}",le="{bound}"}} {total}'
        yield f'{metric}_sum{{{label}="{name}"}} {counts[-1]}'
        yield f'{metric}_count{{{label}="{name}"}} {total}'


def _type(metric: str, kind: str, series: Iterable[object]) -> Iterator[str]:
    if any(True for _ in series):
        yield f"# TYPE {metric} {kind}"
