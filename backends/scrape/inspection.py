"""One look at every target of a source: what each exposes, of which dialects, and how long that takes."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from backends.dialects import Dialect, Sign, View
from backends.dialects.examination import Evidence, identities_of, named_in
from backends.dialects.releases import namespace_labels
from backends.scrape.exposition import Exposition, ExpositionError, read_head
from backends.scrape.fetch import Fetcher, ScrapeFailed
from backends.scrape.settings import ScrapeSettings
from backends.scrape.targets import Target
from backends.scrape.vocabulary import BUCKET, SUM, Vocabulary

__all__ = ["Lens", "Look", "evidence_of", "look_at", "namespaces_in", "shows", "versions_in"]

_HISTOGRAM_PARTS = (BUCKET, "_count")
_LAST = b'="+Inf"'

OneSeries = tuple[str, Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Look:
    """What one target showed: series by name and labels, with those that scraping adds, or ``failure``, why it showed none.

    ``sizes`` is how many series each metric has, those among them that a :class:`Lens` passes over. ``seconds`` is how long it took to
    answer.
    """

    target: Target
    series: tuple[OneSeries, ...] = ()
    sizes: Mapping[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    failure: str = ""


@dataclass(frozen=True, slots=True)
class Lens:
    """What is looked at: the metrics that tell anything of some dialects, and of which of them most series tell nothing more.

    Of ``buckets`` the last one of each histogram says that it is there. They and the ``sums`` are most of what a proxy exposes.
    """

    exposition: Exposition
    buckets: frozenset[bytes]
    sums: frozenset[bytes]

    @classmethod
    def of(cls, dialects: Sequence[Dialect]) -> Lens:
        """For these dialects."""
        telling = {sign for dialect in dialects for sign in _signs(dialect)}
        telling |= {metric for dialect in dialects for view in dialect.views for metric in view.counters}
        histograms = {latency.metric for dialect in dialects for view in dialect.views for latency in view.latencies}
        vocabulary = {metric for dialect in dialects for metric in Vocabulary.of(dialect).metrics}
        buckets, sums = ({f"{metric}{part}" for metric in histograms} - telling for part in (BUCKET, SUM))
        return cls(Exposition(vocabulary | telling), _encoded(buckets), _encoded(sums))

    def passes_over(self, metric: bytes, head: bytes) -> bool:
        """Whether a series tells nothing that others do not tell."""
        return metric in self.sums or (metric in self.buckets and _LAST not in head)


def _encoded(metrics: Iterable[str]) -> frozenset[bytes]:
    return frozenset(metric.encode() for metric in metrics)


def _signs(dialect: Dialect) -> Iterator[str]:
    """The metrics by which a dialect shows itself, its traps and its version."""
    yield from (sign.metric for sign in dialect.signs)
    yield from (sign.metric for trap in dialect.traps for sign in (trap.sign, trap.absent) if sign is not None)
    if dialect.version is not None:
        yield dialect.version.sign.metric


async def look_at(fetcher: Fetcher, target: Target, settings: ScrapeSettings, lens: Lens) -> Look:
    """Scrape a target once. Whatever it does, it ends as a look."""
    started = time.monotonic()
    try:
        text = await fetcher.fetch(target)
        seconds = time.monotonic() - started
        given = target.labelled(settings.name)
        series: dict[bytes, OneSeries] = {}
        sizes: Counter[bytes] = Counter()
        for samples in lens.exposition.read(text.body, open_metrics=text.open_metrics):
            for head, _ in samples:
                metric = head.partition(b"{")[0].rstrip()
                sizes[metric] += 1
                if head not in series and not lens.passes_over(metric, head):
                    name, labels = read_head(head)
                    series[head] = (name, {**labels, **given})
            await asyncio.sleep(0)
    except (ScrapeFailed, ExpositionError, ValueError) as error:
        return Look(target, failure=str(error))
    return Look(target, tuple(series.values()), {metric.decode(): size for metric, size in sizes.items()}, seconds)


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
    return any(_is(sign, name, labels) for name, labels in series)


def versions_in(dialect: Dialect, series: Iterable[OneSeries]) -> frozenset[str]:
    """What the series say that the version of the mesh is."""
    told = dialect.version
    if told is None:
        return frozenset()
    return frozenset(labels.get(told.label, "") for name, labels in series if _is(told.sign, name, labels))


def namespaces_in(dialect: Dialect, series: Iterable[OneSeries]) -> frozenset[str] | None:
    """The namespaces that the series name; None when no label holds the name of one as it is."""
    holding: dict[str, set[str]] = {}
    for view in dialect.views:
        for metric in view.counters:
            holding.setdefault(metric, set()).update(namespace_labels(view))
    if not any(holding.values()):
        return None
    return frozenset(labels.get(label, "") for name, labels in series for label in holding.get(name, ())) - {""}


def _is(sign: Sign, name: str, labels: Mapping[str, str]) -> bool:
    return name == sign.metric and all(matcher.accepts(labels) for matcher in sign.matchers)
