"""A large synthetic Linkerd mesh: the page of every proxy, with the series and labels that real proxies and their scrape job give.

``python bench/fleet.py NAMESPACES DEPLOYMENTS CALLEES`` serves the pages on a free port of loopback, prints the port, and ends with its
standard input. The first time a page is read it holds some history, so that a Prometheus that starts on it knows enough for a window
at once.

Source of the series: linkerd/linkerd2-proxy, linkerd/app/core/src/metrics.rs and linkerd/http/metrics.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

__all__ = ["BOUNDS", "SCRAPE_INTERVAL", "Deployment", "Fleet", "Line", "responses", "serve"]

SCRAPE_INTERVAL = 10
"""Seconds between two scrapes, that of Linkerd's own Prometheus."""

BOUNDS = (*(str(step * scale) for scale in (1, 10, 100, 1000, 10_000) for step in (1, 2, 3, 4, 5)), "+Inf")
"""Upper bounds of the latency buckets, milliseconds; as many as Linkerd has."""

_HISTORY = 90
_FAILING = 8  # one edge in so many has failures, and with them the series that count those
_HASH = "5d9f8c7b6"


@dataclass(frozen=True, slots=True)
class Deployment:
    """One deployment with one pod."""

    namespace: str
    name: str

    @property
    def pod(self) -> str:
        """The name of its pod."""
        return f"{self.name}-{_HASH}-x2x4z"

    @property
    def path(self) -> str:
        """Where its proxy's page is."""
        return f"/{self.namespace}/{self.name}"

    def scrape_labels(self) -> dict[str, str]:
        """The labels a scrape job gives its series."""
        return {
            "namespace": self.namespace,
            "pod": self.pod,
            "deployment": self.name,
            "pod_template_hash": _HASH,
            "app": self.name,
            "control_plane_ns": "linkerd",
        }


@dataclass(frozen=True, slots=True)
class Fleet:
    """``namespaces`` with ``deployments`` each, every one of which calls ``callees`` others, half of them near in its namespace."""

    namespaces: int
    deployments: int
    callees: int

    @property
    def command(self) -> list[str]:
        """Serves its pages, run by Python."""
        return [__file__, *map(str, (self.namespaces, self.deployments, self.callees))]

    def all(self) -> list[Deployment]:
        """Every deployment."""
        return [
            Deployment(f"team-{space:02d}", f"service-{number:03d}")
            for space in range(self.namespaces)
            for number in range(self.deployments)
        ]

    def edges(self) -> Iterator[tuple[Deployment, Deployment]]:
        """Every pair of caller and callee, once."""
        members = self.all()
        steps = [1 + number * 3 if number % 2 else 1 + number * (self.deployments + 7) for number in range(self.callees)]
        for index, caller in enumerate(members):
            for step in steps:
                yield caller, members[(index + step) % len(members)]

    def pages(self) -> dict[str, list[Line]]:
        """The page of each proxy by its path. Both proxies see an edge."""
        pages: dict[str, list[Line]] = {member.path: [] for member in self.all()}
        for number, (caller, callee) in enumerate(self.edges()):
            rate, pace = 1.0 + number * 7 % 40, 1 + number % 17
            shares = (("200", "success", 0.99), ("500", "failure", 0.01)) if number % _FAILING == 0 else (("200", "success", 1.0),)
            for code, classification, share in shares:
                status = f'status_code="{code}"'
                verdict = f'classification="{classification}"'
                pages[caller.path] += responses(f"{_outbound(callee)},{status}", verdict, rate * share, pace + 1)
                pages[callee.path] += responses(f"{_inbound(caller, callee)},{status}", verdict, rate * share, pace)
        return pages


class Line(NamedTuple):
    """One series: it grows by ``rate`` a second, beyond the series before it if it ``includes`` that, as a bucket does."""

    series: str
    rate: float
    includes: bool


def responses(labels: str, verdict: str, rate: float, pace: int, bounds: Sequence[str] = BOUNDS) -> Iterator[Line]:
    """The series of one kind of response; ``pace`` is its median latency in milliseconds."""
    reached = 0.0
    for bound in bounds:
        below = 1.0 if bound == "+Inf" else 1 - pace / (pace + float(bound))
        yield Line(f'response_latency_ms_bucket{{{labels},le="{bound}"}}', rate * (below - reached), bool(reached))
        reached = below
    yield Line(f"response_latency_ms_count{{{labels}}}", 0, includes=True)
    yield Line(f"response_total{{{labels},{verdict}}}", 0, includes=True)
    yield Line(f"response_latency_ms_sum{{{labels}}}", rate * pace, includes=False)


def _outbound(callee: Deployment) -> str:
    home = f"{callee.name}.{callee.namespace}"
    return (
        f'direction="outbound",authority="{home}.svc.cluster.local:8080",target_addr="10.42.0.7:8080",target_ip="10.42.0.7",'
        f'target_port="8080",tls="true",server_id="{home}.serviceaccount.identity.linkerd.cluster.local",'
        f'dst_control_plane_ns="linkerd",dst_deployment="{callee.name}",dst_namespace="{callee.namespace}",dst_pod="{callee.pod}",'
        f'dst_pod_template_hash="{_HASH}",dst_service="{callee.name}",dst_serviceaccount="{callee.name}"'
    )


def _inbound(caller: Deployment, callee: Deployment) -> str:
    return (
        f'direction="inbound",authority="{callee.name}.{callee.namespace}.svc.cluster.local:8080",target_addr="10.42.0.7:8080",'
        f'target_ip="10.42.0.7",target_port="8080",tls="true",'
        f'client_id="{caller.name}.{caller.namespace}.serviceaccount.identity.linkerd.cluster.local",'
        'srv_kind="default",srv_name="all-unauthenticated",route_kind="default",route_name="default"'
    )


class _Pages(ThreadingHTTPServer):
    """Serves the pages; their counters began to grow an hour ago."""

    daemon_threads = True
    request_queue_size = 512

    def __init__(self, pages: Mapping[str, list[Line]]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self._pages = pages
        self._read: set[str] = set()
        self._began = time.time() - 3600

    def render(self, path: str) -> bytes | None:
        """The page of a path as it is now; the first time with its past."""
        page = self._pages.get(path)
        if page is None:
            return None
        now = time.time()
        if path in self._read:
            return "".join([f"{series} {value}\n" for series, value in self._values(page, now)]).encode()
        self._read.add(path)
        # The past, one moment after the other: samples of a series must come in the order of time.
        return "".join(
            [
                f"{series} {value} {moment * 1000:.0f}\n"
                for moment in (now - back for back in range(_HISTORY, -1, -SCRAPE_INTERVAL))
                for series, value in self._values(page, moment)
            ]
        ).encode()

    def _values(self, page: list[Line], moment: float) -> Iterator[tuple[str, int]]:
        """Every series with its value: whole numbers that never fall, nor grow by less than what they include."""
        value, age = 0, moment - self._began
        for series, rate, includes in page:
            value = int(rate * age) + (value if includes else 0)
            yield series, value

    def handle_error(self, request: object, client_address: object) -> None:
        """A Prometheus that ends hangs up in the middle."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Pages

    def do_GET(self) -> None:
        body = self.server.render(self.path)
        self.send_response(404 if body is None else 200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(body or b"")))
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, *_: object) -> None:
        """Thousands of scrapes need no log."""


def serve(pages: Mapping[str, list[Line]]) -> None:
    """Serve these pages by their paths; prints the port, and ends with the standard input."""
    server = _Pages(pages)
    print(server.server_address[1], flush=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()
    server.shutdown()


if __name__ == "__main__":
    serve(Fleet(*map(int, sys.argv[1:4])).pages())
