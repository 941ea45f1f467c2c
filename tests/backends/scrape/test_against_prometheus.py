"""The same exporter scraped by a real Prometheus and by us: our increase is its increase."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import aiohttp
import pytest

from backends.dialects import Read, Reading
from backends.scrape import ScrapeBackend
from backends.scrape import Target as Scraped
from backends.scrape.evaluate import Evaluation
from backends.scrape.exposition import Exposition
from backends.scrape.selection import Selections
from backends.scrape.snapshots import Allowance, Draft, History
from backends.scrape.vocabulary import Vocabulary
from metrics_api import Answer, Sample
from tests.backends.scrape.sources import happens, question, settings
from tests.doubles.exporter import buckets, exporter, page, sample
from tests.doubles.mesh import Target
from tests.doubles.small import SMALL
from tests.doubles.stores import prometheus

pytestmark = pytest.mark.real

WINDOW = 12
INTERVAL = 0.2
CLOCK = 1000.0
SAME = 1e-6
"""Unix seconds as floating point numbers have seven digits after the point; Prometheus counts whole milliseconds."""

ATTEMPTS = 4
"""A busy machine scrapes late, which neither side can help: then the same is played again."""


@dataclass(slots=True)
class Play:
    """What counters do, by seconds since ``begin``, where the window begins."""

    begin: float = math.inf

    def page(self, moment: float) -> bytes:
        """The exposition of this moment."""
        at = moment - self.begin
        if not math.isfinite(at):
            return page(sample("requests_total", 0, app="clock"))
        lines = [sample("requests_total", 50_000 + CLOCK * at, app="clock")]
        lines += [sample("requests_total", 5_000 + 70 * at, app="steady"), sample("requests_total", 17, app="still")]
        # Counters stand still where they restart, appear and vanish: what a scrape misses is then the same for everybody.
        before, after = 1_000 + 50 * min(at, 6.0), 50 * max(at - 7.2, 0.0)
        lines.append(sample("requests_total", before if at < 6.6 else after, app="restarting"))
        if at >= 5:
            lines.append(sample("requests_total", 40 * max(at - 5.6, 0.0), app="late"))
            lines.append(sample("requests_total", 900 + 40 * (at - 5), app="late-and-high"))
        if at < 9:
            lines.append(sample("requests_total", 2_000 + 60 * min(at, 8.4), app="vanishing"))
        grown = 10_000 + 90 * at
        cumulative = {"1": 0.1 * grown, "5": 0.5 * grown, "10": 0.9 * grown, "50": 0.995 * grown, "+Inf": grown}
        lines.append(buckets("latency_ms", cumulative, app="steady"))
        return page(*lines)


@dataclass(slots=True)
class Store:
    """A real Prometheus."""

    url: str
    session: aiohttp.ClientSession

    async def query(self, promql: str, instant: float) -> list[dict[str, Any]]:
        """The result of an instant query."""
        async with self.session.post(f"{self.url}/api/v1/query", data={"query": promql, "time": str(instant)}) as response:
            document = await response.json()
        assert document["status"] == "success", document
        return cast("list[dict[str, Any]]", document["data"]["result"])

    async def counts(self, promql: str, instant: float) -> dict[str, float]:
        """A vector by the label ``app``."""
        return {row["metric"]["app"]: float(row["value"][1]) for row in await self.query(promql, instant)}


@dataclass(slots=True)
class Scene:
    """One play that both have watched to its end."""

    store: Store
    answer: Answer
    instant: int


@pytest.fixture(scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    directory: Path = tmp_path_factory.mktemp("prometheus")
    play = Play()
    async with exporter(play.page) as server, aiohttp.ClientSession() as session:
        proxy = Target("mesh", server.address, "/stats/prometheus", {"namespace": "shop"})
        with ExitStack() as stack:
            running = prometheus(directory, [proxy], interval=f"{int(INTERVAL * 1000)}ms")
            store = Store(await asyncio.to_thread(stack.enter_context, running), session)
            ours = Scraped(server.address, labels=(("namespace", "shop"),))
            # It takes its time until the first scrape.
            await happens(lambda: server.visits)
            async with ScrapeBackend(settings(ours, interval=INTERVAL, timeout=INTERVAL)) as source:
                for attempt in range(ATTEMPTS):
                    play.begin = math.ceil(time.time()) + 1
                    instant = int(play.begin) + WINDOW
                    await asyncio.sleep(instant + 0.5 - time.time())
                    answer = await source.answer(question(WINDOW, instant))
                    theirs = await store.counts(f"increase(requests_total[{WINDOW}s])", instant)
                    lags = [abs(count / (CLOCK * WINDOW) - 1) for count in (theirs["clock"], row(answer, "clock").success or 0.0)]
                    if max(lags) < 0.001 or attempt == ATTEMPTS - 1:
                        break
                yield Scene(store, answer, instant)


def row(answer: Answer, app: str) -> Sample:
    (found,) = [sample for sample in answer.samples if sample.resource.name == app]
    return found


async def test_both_scraping_for_themselves_count_the_same(scene: Scene):
    theirs = await scene.store.counts(f"sum by (app) (increase(requests_total[{WINDOW}s]))", scene.instant)
    ours = {sample.resource.name: sample.success for sample in scene.answer.samples}
    assert set(ours) == set(theirs) == {"clock", "steady", "still", "restarting", "late", "late-and-high", "vanishing"}
    # How much of a series that begins high is seen depends on when it is first scraped, which each does in its own time.
    assert ours.pop("late-and-high") == pytest.approx(theirs.pop("late-and-high"), rel=2 * INTERVAL / 7)
    assert ours == pytest.approx(theirs, rel=0.005)
    assert theirs["still"] == 0
    assert theirs["restarting"] > 450
    assert scene.answer.warnings == ()


@pytest.mark.parametrize("quantile", [0.5, 0.9, 0.99])
async def test_both_find_the_same_percentiles(scene: Scene, quantile: float):
    promql = f"histogram_quantile({quantile}, sum by (le, app) (increase(latency_ms_bucket[{WINDOW}s])))"
    theirs = await scene.store.counts(promql, scene.instant)
    latency = row(scene.answer, "steady").latency
    assert latency is not None
    assert latency.quantile(quantile) == pytest.approx(theirs["steady"] / 1000, rel=0.005)


def increases(history: History, window: int, instant: int, read: Read) -> dict[tuple[str, ...], Any]:
    evaluation = Evaluation([read], Selections())
    evaluation.add(history.cut(instant - window, instant))
    return dict(evaluation.results[read])


async def retold(scene: Scene) -> tuple[History, list[float]]:
    """What Prometheus has of its scrapes put into a history of ours, and when they were."""
    (up,) = await scene.store.query("up[1m]", scene.instant)
    texts = {float(moment): "" for moment, value in up["values"] if value == "1"}
    for series in await scene.store.query('{__name__=~"requests_total|latency_ms_bucket"}[1m]', scene.instant):
        labels = {name: value for name, value in series["metric"].items() if name not in ("instance", "job", "namespace")}
        metric = labels.pop("__name__")
        for moment, value in series["values"]:
            texts[moment] += sample(metric, float(value), **labels)
    vocabulary = Vocabulary.of(SMALL)
    exposition = Exposition(vocabulary.metrics)
    history = History(vocabulary, {"namespace": "shop"}, 300, Allowance(1000))
    for moment, text in texts.items():
        draft = Draft()
        for samples in exposition.read(text.encode()):
            history.take(draft, samples)
        history.commit(draft, moment)
    return history, list(texts)


async def test_the_same_samples_give_the_same_increase(scene: Scene):
    history, moments = await retold(scene)
    counter = Read(Reading.COUNTER, ("requests_total",), (), ("app",))
    compared: dict[str, int] = {}
    for window in (2, 3, 5, 8, WINDOW):
        for instant in range(scene.instant - WINDOW + 3, scene.instant + 1):
            if any(abs(moment - (instant - window)) < 0.001 for moment in moments):
                # Exactly at the left edge: in the window up to Prometheus 2, outside since 3.
                continue
            theirs = await scene.store.counts(f"increase(requests_total[{window}s])", instant)
            ours = {key[0]: value for key, value in increases(history, window, instant, counter).items()}
            assert ours == pytest.approx(theirs, rel=SAME), f"{window}s at {instant - scene.instant}"
            for app in theirs:
                compared[app] = compared.get(app, 0) + 1
    assert min(compared.values()) >= 10, compared


async def test_the_same_samples_give_the_same_buckets(scene: Scene):
    history, _ = await retold(scene)
    read = Read(Reading.HISTOGRAM, ("latency_ms",), (), ("app",), 0.001)
    ours = increases(history, WINDOW, scene.instant, read)["steady",]
    rows = await scene.store.query(f"sum by (le) (increase(latency_ms_bucket[{WINDOW}s]))", scene.instant)
    theirs: Mapping[float, float] = {float(row["metric"]["le"]) / 1000: float(row["value"][1]) for row in rows}
    cumulative = [sum(ours.counts[: at + 1]) for at in range(len(ours.counts))]
    assert dict(zip(ours.bounds, cumulative, strict=True)) == pytest.approx(theirs, rel=SAME)
