"""One look at every target of a source: what each exposes, of which dialects, and how long that takes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from backends.dialects import Dialect, Sign, View
from backends.dialects.examination import Evidence, identities_of, named_in
from backends.scrape.exposition import Exposition, ExpositionError, read_head
from backends.scrape.fetch import Fetcher, ScrapeFailed
from backends.scrape.settings import ScrapeSettings
from backends.scrape.targets import Target
from backends.scrape.vocabulary import BUCKET, Vocabulary

__all__ = ["Look", "evidence_of", "look_at", "metrics_of", "shows"]

_HISTOGRAM_PARTS = (BUCKET, "_count")

OneSeries = tuple[str, Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Look:
    """What one target showed: its series by name and labels, with those that scraping adds, or ``failure``, why it showed none.

    ``seconds`` is how long it took to answer.
    """

    target: Target
    series: tuple[OneSeries, ...] = ()
    seconds: float = 0.0
    failure: str = ""


def metrics_of(dialects: Iterable[Dialect]) -> frozenset[str]:
    """The names of all metrics that tell anything of some dialects."""
    names: set[str] = set()
    for dialect in dialects:
        names |= Vocabulary.of(dialect).metrics
        names |= {sign.metric for sign in dialect.signs}
        names |= {sign.metric for trap in dialect.traps for sign in (trap.sign, trap.absent) if sign is not None}
    return frozenset(names)


async def look_at(fetcher: Fetcher, target: Target, settings: ScrapeSettings, exposition: Exposition) -> Look:
    """Scrape a target once. Whatever it does, it ends as a look."""
    started = time.monotonic()
    try:
        text = await fetcher.fetch(target)
        seconds = time.monotonic() - started
        given = target.labelled(settings.name)
        series: dict[bytes, OneSeries] = {}
        for samples in exposition.read(text.body, open_metrics=text.open_metrics):
            for head, _ in samples:
                if head not in series:
                    name, labels = read_head(head)
                    series[head] = (name, {**labels, **given})
            await asyncio.sleep(0)
    except (ScrapeFailed, ExpositionError, ValueError) as error:
        return Look(target, failure=str(error))
    return Look(target, tuple(series.values()), seconds)


def evidence_of(dialect: Dialect, series: Sequence[OneSeries]) -> tuple[Evidence, ...]:
    """The evidence for the views of a dialect, in their order, told by all series there are."""
    return tuple(_evidence(view, series) for view in dialect.views)


def _evidence(view: View, series: Sequence[OneSeries]) -> Evidence:
    counters, observers = frozenset(view.counters), dict[str, int]()
    parts = {f"{latency.metric}{part}" for latency in view.latencies for part in _HISTOGRAM_PARTS}
    held: list[Mapping[str, str]] = []
    timed = not view.latencies
    for name, labels in series:
        if name in counters or (not timed and name in parts):
            if not all(matcher.accepts(labels) for matcher in view.match):
                continue
            if name in counters:
                value = labels.get(view.observer.label, "") if view.observer.label else ""
                observers[value] = observers.get(value, 0) + 1
                held.append(labels)
            else:
                timed = True
    present = frozenset(label for labels in held for label, value in labels.items() if value)
    return Evidence(observers, held, named_in(identities_of(view), held), present, timed)


def shows(sign: Sign, series: Iterable[OneSeries]) -> bool:
    """Whether any of the series is the sign."""
    return any(name == sign.metric and all(matcher.accepts(labels) for matcher in sign.matchers) for name, labels in series)
