"""What stores look like when something is wrong with them: small histories of one mesh, each with one fault, told apart by a label.

One store keeps all of them. A source that matches ``case="NAME"`` sees its own history alone.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from tests.doubles.stores import command, prometheus

__all__ = ["CASES", "EVERY", "NOW", "OneSeries", "history", "mesh", "store_of"]

NOW = 1_600_000_020
"""Unix seconds at which the stores are looked at."""

EVERY = 10
"""Seconds between two samples, where the case is not about that."""

_SPAN = 300


@dataclass(frozen=True, slots=True)
class OneSeries:
    """A counter that stood at ``start`` and grows by ``rate`` per second."""

    name: str
    labels: Mapping[str, str]
    start: int
    rate: int

    def relabelled(self, **labels: str) -> OneSeries:
        """The same with other values of some labels; an empty one is gone."""
        return replace(self, labels={name: value for name, value in {**self.labels, **labels}.items() if value})

    def samples(self, instants: Iterable[int]) -> Iterator[str]:
        """Its samples as OpenMetrics has them."""
        body = ",".join(f'{name}="{value}"' for name, value in self.labels.items())
        yield from (f"{self.name}{{{body}}} {self.start + self.rate * (instant - NOW + 1000)} {instant}" for instant in instants)


def mesh() -> list[OneSeries]:
    """A small mesh as Istio's sidecars tell of it: each of three calls is reported by both of its ends, by two pods each."""
    found: list[OneSeries] = []
    calls = (("gate", "web", "http", "200", "", 3), ("web", "api", "http", "503", "", 2), ("web", "api", "grpc", "200", "14", 5))
    for caller, callee, protocol, code, status, rate in calls:
        for reporter in ("source", "destination"):
            for pod in (1, 2):
                labels = {
                    "reporter": reporter,
                    "source_workload": caller,
                    "source_workload_namespace": "shop",
                    "destination_workload": callee,
                    "destination_workload_namespace": "shop",
                    "destination_service": f"{callee}.shop.svc.cluster.local",
                    "request_protocol": protocol,
                    "response_code": code,
                    "grpc_response_status": status,
                    "namespace": "shop",
                    "pod": f"{caller if reporter == 'source' else callee}-{pod}",
                    "node": f"node-{pod}",
                    "instance": f"10.0.{len(caller)}.{pod}:15090",
                    "job": "sidecars",
                }
                counted = OneSeries("istio_requests_total", labels, 1000 * pod + len(found), rate * pod).relabelled()
                found.append(counted)
                timed = replace(counted, name="istio_request_duration_milliseconds_bucket")
                found += [timed.relabelled(le=bound) for bound in ("10", "+Inf")]
    return found


def history(series: Iterable[OneSeries], case: str, instants: Sequence[int] = ()) -> str:
    """Samples of all series, which get the label of the case."""
    when = instants or range(NOW - _SPAN, NOW + 1, EVERY)
    return "\n".join(line for one in series for line in one.relabelled(case=case).samples(when))


def _each(change: Callable[[OneSeries], OneSeries]) -> list[OneSeries]:
    return [change(one) for one in mesh()]


def _without(*labels: str) -> list[OneSeries]:
    return _each(lambda one: one.relabelled(**dict.fromkeys(labels, "")))


def _copies(case: str, label: str, behind: int) -> str:
    """Everything twice, the second time scraped ``behind`` seconds later."""
    first = history(_each(lambda one: one.relabelled(**{label: "a"})), case)
    instants = [instant + behind for instant in range(NOW - _SPAN - EVERY, NOW, EVERY)]
    return "\n".join((first, history(_each(lambda one: one.relabelled(**{label: "b"})), case, instants)))


def _two_sets(label: str, apart: int) -> list[OneSeries]:
    """Two proxies where there was one, which are alike in everything but how much each has counted by now."""
    return [
        *_each(lambda one: one.relabelled(**{label: "east"})),
        *_each(lambda one: replace(one.relabelled(**{label: "west"}), start=one.start + apart)),
    ]


def _renamed(label: str, name: str) -> list[OneSeries]:
    return _each(lambda one: one.relabelled(**{label: "", name: one.labels[label]}))


def _connections() -> list[OneSeries]:
    return [replace(one, name="istio_tcp_connections_opened_total") for one in mesh() if one.name == "istio_requests_total"]


def _native() -> list[OneSeries]:
    found = [one for one in mesh() if one.labels.get("le") != "10"]
    return [replace(one, name=one.name.removesuffix("_bucket")).relabelled(le="") for one in found]


CASES: Mapping[str, str] = {
    "healthy": history(mesh(), "healthy"),
    "no-node": history(_without("node"), "no-node"),
    "no-source": history(_without("source_workload"), "no-source"),
    "no-grpc-status": history(_without("grpc_response_status"), "no-grpc-status"),
    "no-code": history(_without("grpc_response_status", "response_code"), "no-code"),
    "pod-renamed": history(_renamed("pod", "kubernetes_pod_name"), "pod-renamed"),
    "namespace-exported": history(
        _renamed("destination_workload_namespace", "exported_destination_workload_namespace"), "namespace-exported"
    ),
    "server-off": history([one for one in mesh() if one.labels["reporter"] == "source"], "server-off"),
    "client-off": history([one for one in mesh() if one.labels["reporter"] == "destination"], "client-off"),
    "no-latency": history([one for one in mesh() if one.name == "istio_requests_total"], "no-latency"),
    "native": history(_native(), "native"),
    "connections": history(_connections(), "connections"),
    "hubble-v1": history([OneSeries("hubble_http_responses_total", {"status": "200", "reporter": "server"}, 7, 1)], "hubble-v1"),
    "slow": history(mesh(), "slow", range(NOW - 600, NOW + 1, 60)),
    "gaps": history(mesh(), "gaps", [NOW - back for back in reversed(range(0, _SPAN, EVERY)) if back not in (60, 70, 80)]),
    "late": history(mesh(), "late", range(NOW - _SPAN - 90, NOW - 89, EVERY)),
    "ended": history(mesh(), "ended", range(NOW - 2000, NOW - 1500, EVERY)),
    "doubled": _copies("doubled", "replica", 4),
    "doubled-at-once": _copies("doubled-at-once", "prometheus", 0),
    "two-clusters": history(_two_sets("region", 7000), "two-clusters"),
    "alike": history(_two_sets("shard", 60), "alike"),
}
"""The histories by their names."""


@contextmanager
def store_of(directory: Path, histories: Iterable[str]) -> Iterator[str]:
    """The URL of a Prometheus that keeps these histories, and scrapes nothing."""
    text = directory / "samples.om"
    text.write_text("\n".join((*histories, "# EOF", "")), encoding="utf-8")
    blocks = [command("promtool"), "tsdb", "create-blocks-from", "openmetrics", "--quiet", str(text), str(directory / "tsdb")]
    subprocess.run(blocks, check=True, capture_output=True)
    with prometheus(directory, (), retention="100y") as url:
        yield url
