"""Scrape sources for tests, quick enough not to wait for, and questions to them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace

from backends.scrape import ScrapeBackend, ScrapeSettings, Target
from metrics_api import Answer, BackendError, BackendUnavailable, TrafficQuery, Window
from tests.doubles.exporter import buckets, page, sample
from tests.doubles.small import SMALL

INTERVAL = 0.1


def target(address: str, app: str = "web", **labels: str) -> Target:
    """A target that gives the labels the dialect names a Deployment by."""
    return Target(address, labels=tuple(sorted({"namespace": "shop", "app": app, **labels}.items())))


def settings(*targets: Target, **changes: object) -> ScrapeSettings:
    """A source that scrapes ten times a second."""
    made = ScrapeSettings(name="mesh", dialect=SMALL, targets=targets, interval=INTERVAL, timeout=INTERVAL * 5)
    return replace(made, **changes)  # type: ignore[arg-type] # the names are those of the fields


def question(seconds: int = 30, instant: int | None = None) -> TrafficQuery:
    """All Deployments over a window; unless an instant is given, up to the next whole second, which has every scrape in it."""
    return TrafficQuery(("Deployment",), Window(seconds), int(time.time()) + 1 if instant is None else instant)


def counting(moment: float) -> bytes:
    """A page whose counters go by the clock: 100 successes and 10 failures a second, half of them within 5 ms."""
    grown = moment - 1_700_000_000
    return page(
        sample("requests_total", 100 * grown, code="200"),
        sample("requests_total", 10 * grown, code="503"),
        buckets("latency_ms", {"5": 55 * grown, "10": 110 * grown, "+Inf": 110 * grown}),
    )


async def ask(source: ScrapeBackend, until: Callable[[Answer], object], *, seconds: int = 30, past: bool = False) -> Answer:
    """The first answer for which ``until`` holds; ``past`` asks about the last whole second, as a server does."""
    last: Answer | BackendError | None = None
    for _ in range(400):
        try:
            last = await source.answer(question(seconds, int(time.time()) if past else None))
            if until(last):
                return last
        except BackendUnavailable as error:
            last = error
        await asyncio.sleep(0.025)
    raise AssertionError(f"no such answer within 10 s; the last was {last!r}")


async def refused(source: ScrapeBackend, saying: str, *, seconds: int = 30) -> BackendUnavailable:
    """The first error that says so."""
    last: object = None
    for _ in range(400):
        try:
            last = await source.answer(question(seconds))
        except BackendUnavailable as error:
            if saying in error.message:
                return error
            last = error
        await asyncio.sleep(0.025)
    raise AssertionError(f"no such error within 10 s; the last was {last!r}")


async def happens(holds: Callable[[], object]) -> None:
    """Wait for something to become true."""
    for _ in range(2000):
        if holds():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not happen within 20 s")
