"""Cost per row: from the bytes Prometheus sends to the bytes we send, for more and more edges.

``python bench/scaling.py EDGES`` does it once, in a process of its own so that memory is its own, and prints one line of JSON. The bytes of
Prometheus are made up beforehand; everything between them and ours is the product: decoding, rows, samples, objects, representation.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from figures import Table, megabytes, seconds
from fleet import BOUNDS, Fleet
from processes import forget_peak, peak_size
from server import API, DIALECT
from yarl import URL

from apiservice.answers import Answers
from apiservice.federation.fanout import Fanout
from apiservice.negotiate import Encoding, Transform
from apiservice.objects import StandaloneObjects
from apiservice.question import Question, parse_question
from apiservice.representation import Style, represent_list
from apiservice.requestinfo import parse_request
from apiservice.traffic import TrafficService
from backends.dialects import load_dialect
from backends.prometheus import PrometheusBackend, PrometheusSettings
from backends.prometheus.client import PrometheusClient
from metrics_api import Window

__all__ = ["scale"]

_URL = URL(f"{API}/trafficmetrics?fieldSelector=edge.direction%3Dto", encoded=True)
_EMPTY = b'{"status":"success","data":{"resultType":"vector","result":[]}}'


@dataclass(frozen=True, slots=True)
class _Cost:
    """Of one size: bytes, and seconds of processor time; ``peak`` is what was needed beyond the bytes received."""

    rows: int
    received: int
    answer: float
    as_json: float
    as_table: float
    peak: int


def scale(*, quick: bool) -> None:
    """Print the cost of 1 000, 10 000 and (not in a quick run) 100 000 edges."""
    table = Table(
        "From Prometheus' bytes to ours, in-process, in processor time",
        ("edges", "received", "rows made", "as JSON", "as Table", "per row", "peak memory", "per row"),
        'rows made: decoded, merged, normalised. First "per row": time of rows and JSON. Peak memory: beyond the bytes received.',
    )
    for edges, runs in ((1_000, 3), (10_000, 1)) if quick else ((1_000, 5), (10_000, 3), (100_000, 1)):
        costs = [_once(edges) for _ in range(runs)]
        peak, received = median(cost.peak for cost in costs), costs[0].received
        table.add(
            f"{costs[0].rows:,}",
            megabytes(received),
            seconds([cost.answer for cost in costs]),
            seconds([cost.as_json for cost in costs]),
            seconds([cost.as_table for cost in costs]),
            f"{median((cost.answer + cost.as_json) / cost.rows for cost in costs) * 1e6:.0f} us",
            megabytes(peak),
            f"{peak / costs[0].rows / 1000:.1f} kB",
        )
    table.print()


def _once(edges: int) -> _Cost:
    done = subprocess.run([sys.executable, __file__, str(edges)], stdout=subprocess.PIPE, check=True)
    return _Cost(**json.loads(done.stdout))


async def _cost(edges: int) -> _Cost:
    counts, buckets = _bodies(edges)

    async def canned(_: PrometheusClient, call: Any) -> tuple[int, Mapping[str, str], bytes]:
        # Which one is asked for stands in the query; whatever else is asked for is not there.
        query = call.promql
        return 200, {}, buckets if "response_latency_ms_bucket" in query else counts if "response_total" in query else _EMPTY

    PrometheusClient._post = canned  # type: ignore[method-assign,assignment]  # noqa: SLF001 the bytes come from here
    settings = PrometheusSettings("prometheus", "http://localhost", load_dialect(DIALECT), scrape_interval=10)
    service = Answers(TrafficService(Fanout.of([PrometheusBackend(settings)]), StandaloneObjects("Deployment")), refresh=5)
    question = parse_question(parse_request("GET", _URL.path, _URL.query), _URL.query, Window(60))
    before = forget_peak()
    start = time.process_time()
    result = await service.answer(question)
    answered = time.process_time()
    as_json = _represent(result.rows, question, Style(edges=True))
    as_table = _represent(result.rows, question, Style(transform=Transform("Table", "meta.k8s.io", "v1"), edges=True))
    return _Cost(len(result.rows), len(counts) + len(buckets), answered - start, as_json, as_table, peak_size() - before)


def _represent(rows: tuple[object, ...], question: Question, style: Style) -> float:
    start = time.process_time()
    body = b"".join(represent_list(rows, {}, question.resource_ref, style))  # type: ignore[arg-type]
    assert body.endswith(b"}\n")
    assert style.encoding is Encoding.JSON
    return time.process_time() - start


def _bodies(edges: int) -> tuple[bytes, bytes]:
    """What Prometheus sends for the counter and for the histogram."""
    counts, buckets = bytearray(), bytearray()
    for body in (counts, buckets):
        body += b'{"status":"success","data":{"resultType":"vector","result":['
    for number, (caller, callee) in enumerate(Fleet(10, edges // 100, 10).edges()):
        rate = 1.0 + number * 7 % 40
        labels = (
            f'"authority":"{callee.name}.{callee.namespace}.svc.cluster.local:8080","deployment":"{caller.name}",'
            f'"dst_deployment":"{callee.name}","dst_namespace":"{callee.namespace}","dst_service":"{callee.name}",'
        )
        home = f'"namespace":"{caller.namespace}"'
        for verdict, share in (("failure", 0.01), ("success", 0.99)):
            counts += (
                f'{{"metric":{{"classification":"{verdict}",{labels}{home}}},"value":[1760000000,"{rate * share * 60}"]}},'.encode()
            )
        for place, bound in enumerate(BOUNDS, 1):
            count = rate * 60 * place / len(BOUNDS)
            buckets += f'{{"metric":{{{labels}"le":"{bound}",{home}}},"value":[1760000000,"{count}"]}},'.encode()
    for body in (counts, buckets):
        body[-1:] = b"]}}"
    return bytes(counts), bytes(buckets)


if __name__ == "__main__":
    print(json.dumps(asdict(asyncio.run(_cost(int(sys.argv[1]))))))
