"""History against what it is made of: an hour of 200 workloads at once, asked instant by instant, and as raw range queries.

Nobody waits an hour for it: a Prometheus is given its past as blocks, and scrapes nothing.
"""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import aiohttp
from figures import Table, megabytes, ratio, seconds
from fleet import Fleet
from processes import LOOPBACK, Process, free_port, running
from server import DIALECT

from backends.dialects import load_dialect, plan
from backends.history import frame
from backends.prometheus import PrometheusBackend, PrometheusSettings
from backends.prometheus.promql import query_of
from metrics_api import Span, TrafficQuery, Window

__all__ = ["LENGTH", "STEP", "look_back", "raw_range", "remembering"]

_FLEET = Fleet(10, 20, 1)
STEP = 15
LENGTH = 3600
_EVERY = 10
"""Asked instant by instant, one instant in so many is asked: all of them would take as long as all other benchmarks."""

_QUERY = TrafficQuery(("Deployment",), Window(60), 0)


@dataclass(slots=True)
class _Seen:
    """What was measured, a value per round; all in seconds."""

    history: list[float] = field(default_factory=list)
    framed: list[float] = field(default_factory=list)
    each: list[float] = field(default_factory=list)
    raw: list[float] = field(default_factory=list)
    queries: int = 0
    received: int = 0
    rows: int = 0


def look_back(*, quick: bool) -> None:
    """Print the comparison."""
    end = int(time.time()) // STEP * STEP
    with remembering(end) as store:
        asyncio.run(_compare(store, Span(end - LENGTH, end, STEP), 1 if quick else 5))


async def _compare(store: Process, span: Span, rounds: int) -> None:
    seen = _Seen()
    settings = PrometheusSettings("mesh", store.url, load_dialect(DIALECT), timeout=60, scrape_interval=STEP)
    async with PrometheusBackend(settings) as source, aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=120)) as session:
        # The first round warms up the store and is not counted.
        for number in range(rounds + 1):
            # A window nobody has asked for: nothing can come out of a cache.
            query = replace(_QUERY, window=Window(_QUERY.window.seconds + number))
            if number == 1:
                seen = _Seen()
            await _round(source, session, store, query, span, seen)
    table = Table(
        f"{LENGTH // 60} minutes of {len(_FLEET.all())} deployments, {len(span.instants)} instants, medians of {rounds} rounds",
        ("rows", "queries", "received", "history", "as a frame", "instant by instant", "raw ranges", "history/each", "history/raw"),
        "as a frame: what making one adds. instant by instant: every tenth, times ten. raw ranges: the queries at once, not decoded.",
    )
    table.add(
        f"{seen.rows:,}",
        seen.queries,
        megabytes(seen.received),
        seconds(seen.history),
        seconds(seen.framed),
        seconds(seen.each),
        seconds(seen.raw),
        ratio(seen.history, seen.each),
        ratio(seen.history, seen.raw),
    )
    table.print()


async def _round(
    source: PrometheusBackend, session: aiohttp.ClientSession, store: Process, query: TrafficQuery, span: Span, seen: _Seen
) -> None:
    start = time.perf_counter()
    answers = await source.history(query, span)
    seen.history.append(time.perf_counter() - start)
    start = time.perf_counter()
    seen.rows = len(frame(answers))
    seen.framed.append(time.perf_counter() - start)
    start = time.perf_counter()
    for instant in span.instants[::_EVERY]:
        await source.answer(replace(query, instant=instant))
    seen.each.append((time.perf_counter() - start) * _EVERY)
    reads = dict.fromkeys(read for part in plan(load_dialect(DIALECT), query)[0] for read in part.reads)
    start = time.perf_counter()
    bodies = await asyncio.gather(*(raw_range(session, store, query_of(read, query.window), span) for read in reads))
    seen.raw.append(time.perf_counter() - start)
    seen.queries, seen.received = len(bodies), sum(map(len, bodies))


async def raw_range(session: aiohttp.ClientSession, store: Process, promql: str, span: Span) -> bytes:
    """The answer to a range query, not decoded."""
    form = {"query": promql, "start": str(span.start), "end": str(span.end), "step": str(span.step)}
    headers = {"Accept-Encoding": "identity"}
    async with session.post(f"{store.url}/api/v1/query_range", data=form, headers=headers) as response:
        assert response.status == 200, await response.text()
        return await response.read()


@contextmanager
def remembering(end: int) -> Iterator[Process]:
    """A Prometheus that knows what the proxies of the callees counted in the time before ``end``."""
    binary, tool = shutil.which("prometheus"), shutil.which("promtool")
    if binary is None or tool is None:
        raise SystemExit("prometheus and promtool are not on PATH: run  make parts")
    with tempfile.TemporaryDirectory(prefix="trafficmetrics-bench-") as place:
        directory, port = Path(place), free_port()
        samples, data, config = directory / "samples.om", directory / "data", directory / "prometheus.yml"
        with samples.open("w", encoding="utf-8") as text:
            text.writelines(_samples(end))
        subprocess.run([tool, "tsdb", "create-blocks-from", "openmetrics", "--quiet", str(samples), str(data)], check=True)
        samples.unlink()
        config.write_text("{}", encoding="utf-8")
        command = [
            binary,
            f"--config.file={config}",
            f"--storage.tsdb.path={data}",
            f"--web.listen-address={LOOPBACK}:{port}",
            "--log.level=warn",
        ]
        with running(command, port, "/-/ready", directory / "prometheus.log") as process:
            yield process


def _samples(end: int) -> Iterator[str]:
    """OpenMetrics: every series of the callees' proxies, one after the other."""
    members = {member.path: member for member in _FLEET.all()}
    begin = end - LENGTH - 2 * _QUERY.window.seconds
    for path, page in _FLEET.pages().items():
        added = ",".join(f'{name}="{value}"' for name, value in members[path].scrape_labels().items())
        total = 0.0
        for series, rate, includes in page:
            total = rate + (total if includes else 0.0)
            if 'direction="inbound"' in series:
                name = f"{series[:-1]},{added}}}"
                for instant in range(begin, end + 1, STEP):
                    yield f"{name} {int(total * (instant - begin))} {instant}\n"
    yield "# EOF\n"
