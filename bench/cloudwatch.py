"""CloudWatch: what an answer costs beside the raw GetMetricData calls it needs, for more and more edges.

``python bench/cloudwatch.py EDGES ROUNDS URL`` measures one size in a process of its own, and prints one line of JSON; ``… double EDGES``
is the CloudWatch that is asked, the double of the tests in another process, so that its time is not ours. Calls are real ones over HTTP.
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from figures import Table, megabytes, ratio, seconds
from processes import forget_peak, peak_size

__all__ = ["read_aws"]

_ROOT = Path(__file__).parent.parent
_CLUSTER = "prod"
_NAMESPACES = 20
_CALLEES = 10
"""How many others each workload calls."""

_ROWS_PER_CALL = 100
"""Edges in one raw call: five statistics each, 500 together, which is the most that a call takes."""

_STATISTICS = (("Latency", "SampleCount"), ("Latency", "p50"), ("Latency", "p90"), ("Latency", "p99"), ("Fault", "Sum"))
_CONCURRENCY = 4


@dataclass(frozen=True, slots=True)
class _Cost:
    """Of one size; ``answers`` and ``raws`` are seconds, one each per round, ``processor`` is seconds of ours for the first answer."""

    rows: int
    listed: float
    answers: list[float]
    raws: list[float]
    known: float
    processor: float
    peak: int
    lists: int
    reads: int
    billed: int


def read_aws(*, quick: bool) -> None:
    """Print what 1 000, 10 000 and (not in a quick run) 100 000 edges cost."""
    table = Table(
        "All edges of a cluster from CloudWatch, beside the same GetMetricData calls without us",
        (
            "edges",
            "ListMetrics",
            "listed in",
            "GetMetricData",
            "metrics",
            "answer",
            "raw",
            "answer/raw",
            "again",
            "per row",
            "memory",
            "per row",
        ),
        "again: in the same minute. First per row: our processor time, that of the SDK included. memory: the peak, beyond the start.",
    )
    for edges, rounds in ((1_000, 2), (10_000, 1)) if quick else ((1_000, 3), (10_000, 2), (100_000, 1)):
        with _double(edges) as url:
            cost = _once(edges, rounds, url)
        table.add(
            f"{cost.rows:,}",
            cost.lists,
            seconds([cost.listed]),
            f"{cost.reads:,}",
            f"{cost.billed:,}",
            seconds(cost.answers),
            seconds(cost.raws),
            ratio(cost.answers, cost.raws),
            seconds([cost.known]),
            f"{cost.processor / cost.rows * 1e6:.0f} us",
            megabytes(cost.peak),
            f"{cost.peak / cost.rows / 1000:.1f} kB",
        )
    table.print()


def _once(edges: int, rounds: int, url: str) -> _Cost:
    keys = {"AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"}
    own = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    command = [sys.executable, __file__, str(edges), str(rounds), url]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, env=own | keys | {"AWS_EC2_METADATA_DISABLED": "true"})
    return _Cost(**json.loads(done.stdout))


@contextmanager
def _double(edges: int) -> Iterator[str]:
    """The URL of a CloudWatch that has them."""
    process = subprocess.Popen([sys.executable, __file__, "double", str(edges)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


async def _serve(edges: int) -> None:
    """Be that CloudWatch, until told to end: the numbers are the same in every minute of the last hour."""
    sys.path.insert(0, str(_ROOT))
    from tests.doubles.cloudwatch import run_aws  # noqa: PLC0415 found by the line before
    from tests.doubles.cloudwatch.store import Datum, MetricKey, summary  # noqa: PLC0415 the same

    minute = int(time.time()) // 60 * 60
    latencies = {float(2**number): 10.0 for number in range(10)}
    published = {"Latency": latencies, "Fault": {0.0: 99.0, 1.0: 1.0}}
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    async with run_aws() as aws:
        for name, values in published.items():
            # One and the same for all edges, since memory is what there is least of.
            data = [
                Datum(stamp, summary(values), values, "None", -math.inf, 0.0) for stamp in range(minute - 1800, minute + 1800, 60)
            ]
            for dimensions in _edges(edges):
                aws.store.metrics[MetricKey("ApplicationSignals", name, frozenset(dimensions.items()))] = data
        print(aws.url, flush=True)
        await ended.wait()


def _edges(count: int) -> Iterator[dict[str, str]]:
    """The dimensions of so many edges: each is published with the environment of the callee, and without."""
    workloads = -(-count // _CALLEES)
    for number in range(count):
        caller, callee = divmod(number, _CALLEES)
        named = {
            "Environment": _environment(caller),
            "Service": _name(caller),
            "RemoteService": _name((caller + callee + 1) % workloads),
        }
        yield {**named, "RemoteEnvironment": _environment((caller + callee + 1) % workloads)}
        yield named


def _environment(workload: int) -> str:
    return f"eks:{_CLUSTER}/namespace-{workload % _NAMESPACES}"


def _name(workload: int) -> str:
    return f"workload-{workload}"


async def _cost(edges: int, rounds: int, url: str) -> _Cost:
    from backends.cloudwatch.backend import CloudWatchBackend  # noqa: PLC0415 the double has no need of it
    from backends.cloudwatch.settings import CloudWatchSettings  # noqa: PLC0415 the same
    from metrics_api import Direction, TrafficQuery, Window  # noqa: PLC0415 the same

    settings = CloudWatchSettings(
        "signals", "application-signals", "eu-west-1", endpoint_url=url, cluster=_CLUSTER, timeout=600, budget=10_000_000, delay=60
    )

    now = time.time()

    def query(minutes: int, namespace: str = "") -> TrafficQuery:
        return TrafficQuery(
            ("Deployment",), Window(60 * minutes), int(now), namespace=namespace, edges=True, direction=Direction.TO
        )

    answers: list[float] = []
    raws: list[float] = []
    processor = known = 0.0
    before = forget_peak()
    # Minutes pass meanwhile, and should not.
    async with CloudWatchBackend(settings, lambda: now) as source:
        start = time.perf_counter()
        await source.answer(query(1, "nobody"))
        listed = time.perf_counter() - start
        for number in range(rounds):
            # A window of its own in every round: what is known is not asked for.
            minutes, start, spent = number + 1, time.perf_counter(), time.process_time()
            rows = len((await source.answer(query(minutes))).samples)
            answers.append(time.perf_counter() - start)
            if not number:
                processor = time.process_time() - spent
                usage, grown = source.usage(), peak_size() - before
                start = time.perf_counter()
                await source.answer(query(minutes))
                known = time.perf_counter() - start
            start = time.perf_counter()
            await _raw(edges, minutes, url)
            raws.append(time.perf_counter() - start)
    calls = usage.calls
    return _Cost(rows, listed, answers, raws, known, processor, grown, calls["ListMetrics"], calls["GetMetricData"], usage.billed)


async def _raw(edges: int, minutes: int, url: str) -> None:
    """The same numbers, by the SDK alone."""
    from aiobotocore.session import AioSession  # noqa: PLC0415 the double has no need of it

    end = int(time.time() - 60) // 60 * 60
    placed = [dimensions for dimensions in _edges(edges) if "RemoteEnvironment" in dimensions]
    slots = asyncio.Semaphore(_CONCURRENCY)
    async with AioSession().create_client("cloudwatch", region_name="eu-west-1", endpoint_url=url) as client:

        async def call(part: list[dict[str, str]]) -> None:
            async with slots:
                queries = [_query(number, dimensions, minutes) for number, dimensions in enumerate(part)]
                asked = [query for several in queries for query in several]
                await client.get_metric_data(MetricDataQueries=asked, StartTime=end - 60 * minutes, EndTime=end)

        await asyncio.gather(*(call(placed[at : at + _ROWS_PER_CALL]) for at in range(0, len(placed), _ROWS_PER_CALL)))


def _query(number: int, dimensions: dict[str, str], minutes: int) -> list[Any]:
    named = [{"Name": name, "Value": value} for name, value in dimensions.items()]
    return [
        {
            "Id": f"r{number}_{at}",
            "MetricStat": {
                "Metric": {"Namespace": "ApplicationSignals", "MetricName": metric, "Dimensions": named},
                "Period": 60 * minutes,
                "Stat": statistic,
            },
        }
        for at, (metric, statistic) in enumerate(_STATISTICS)
    ]


if __name__ == "__main__":
    if sys.argv[1] == "double":
        asyncio.run(_serve(int(sys.argv[2])))
    else:
        print(json.dumps(asdict(asyncio.run(_cost(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])))))
