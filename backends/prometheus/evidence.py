"""What a store has of a dialect: a few queries for all its views, none of which answers more than some hundred series."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from backends.dialects import Comparison, Dialect, Identity, Matcher, View, equal
from backends.dialects.examination import Evidence, identities_of, named_in
from backends.dialects.names import spelt
from backends.prometheus.client import Series
from backends.prometheus.promql import selector
from backends.prometheus.recognition import Store
from metrics_api import together

__all__ = ["Seen", "gather", "present"]

_SAMPLE = 300
"""Series looked at label by label, for each observer of a view: the busiest ones. What none of them shows is asked for by itself."""

_AT_ONCE = 20
"""Selectors in one query."""

_MARK = "trafficmetrics_asked"


@dataclass(frozen=True, slots=True)
class Seen:
    """What a store has of a dialect: the evidence for its views, in their order, and the busiest series of all their counters."""

    evidence: tuple[Evidence, ...]
    busiest: tuple[Series, ...]


async def gather(store: Store, dialect: Dialect, instant: int) -> Seen:
    """Look at the series of every view at ``instant``. Raises :class:`metrics_api.errors.BackendError`."""
    counts = await _counted(store, dialect, instant)
    samples = await _sampled(store, dialect, counts, instant)
    asked: dict[tuple[int, Identity | str], str] = {}
    for index, view in enumerate(dialect.views):
        if counts[index]:
            known = [series.metric for series in samples[index]]
            labels = {label for series in known for label in series}
            named = named_in(identities_of(view), known)
            wanted = dict.fromkeys(
                (*view.outcome_labels, *(label for identity in identities_of(view) for label in identity.labels))
            )
            asked |= {
                (index, label): _selected(view, [Matcher(label, Comparison.NOT_EQUAL, "")])
                for label in wanted
                if label not in labels
            }
            asked |= {(index, item): _selected(view, _naming(item)) for item in identities_of(view) if item not in named}
    found = await present(store, asked.values(), instant)
    timed = await present(store, (_timed(view) for view in dialect.views if view.latencies), instant)
    evidence: list[Evidence] = []
    busiest: dict[frozenset[tuple[str, str]], Series] = {}
    for index, view in enumerate(dialect.views):
        known = [series.metric for series in samples[index]]
        more = [thing for (at, thing), promql in asked.items() if at == index and promql in found]
        evidence.append(
            Evidence(
                observers=counts[index],
                series=known,
                named=named_in(identities_of(view), known) | {thing for thing in more if isinstance(thing, Identity)},
                labels=frozenset(label for series in known for label in series)
                | {thing for thing in more if isinstance(thing, str)},
                timed=not view.latencies or _timed(view) in timed,
            )
        )
        busiest |= {frozenset(series.metric.items()): series for series in samples[index]}
    return Seen(tuple(evidence), tuple(busiest.values()))


async def present(store: Store, expressions: Iterable[str], instant: int) -> frozenset[str]:
    """Those of some expressions without labels, such as ``count(up)``, that yield something."""
    distinct = list(dict.fromkeys(expressions))
    found: set[str] = set()

    async def ask(some: Sequence[str]) -> None:
        marked = " or ".join(f'label_replace({text}, "{_MARK}", "{index}", "", "")' for index, text in enumerate(some))
        answer = await store.query(marked, instant)
        found.update(some[int(series.metric.get(_MARK, "0"))] for series in answer.series)

    await together(*(ask(distinct[start : start + _AT_ONCE]) for start in range(0, len(distinct), _AT_ONCE)))
    return frozenset(found)


async def _counted(store: Store, dialect: Dialect, instant: int) -> list[Mapping[str, int]]:
    """For each view the number of series of its counters by observer."""
    queries: list[str] = []
    for index, view in enumerate(dialect.views):
        by = _observed_by(view)
        queries += [
            f'label_replace(count{by} ({selector(metric, view.match)}), "{_MARK}", "{index}.{at}", "", "")'
            for at, metric in enumerate(view.counters)
        ]
    counts: list[dict[str, int]] = [defaultdict(int) for _ in dialect.views]
    for series in (await store.query(" or ".join(queries), instant)).series:
        index = int(series.metric.get(_MARK, "0").partition(".")[0])
        if series.value is not None:
            counts[index][series.metric.get(dialect.views[index].observer.label, "")] += int(float(series.value[1]))
    return list(counts)


async def _sampled(store: Store, dialect: Dialect, counts: Sequence[Mapping[str, int]], instant: int) -> list[Sequence[Series]]:
    """For each view the busiest of its series, if it has any."""
    queries = [_busiest(view) if held else "" for view, held in zip(dialect.views, counts, strict=True)]
    distinct = list(dict.fromkeys(filter(None, queries)))
    answers = dict(zip(distinct, await together(*(store.query(text, instant) for text in distinct)), strict=True))
    return [_renamed(view, answers[text].series) if text else () for view, text in zip(dialect.views, queries, strict=True)]


def _busiest(view: View) -> str:
    by = _observed_by(view)
    return " or ".join(f"topk{by} ({_SAMPLE}, {_size(view, index)})" for index in range(len(view.counters)))


def _size(view: View, index: int) -> str:
    """What tells how busy the series of a counter are. Histograms are not compared; the number of their observations has no name."""
    each = selector(view.counters[index], view.match)
    return f'label_replace(histogram_count({each}), "{_MARK}", "{index}", "", "")' if view.observations else each


def _renamed(view: View, series: Sequence[Series]) -> Sequence[Series]:
    if not view.observations:
        return series
    made: list[Series] = []
    for each in series:
        labels = {label: value for label, value in each.metric.items() if label != _MARK}
        made.append(Series({**labels, "__name__": view.counters[int(each.metric.get(_MARK, "0"))]}, each.value))
    return made


def _observed_by(view: View) -> str:
    return f" by ({spelt(view.observer.label)})" if view.observer.label else ""


def _naming(identity: Identity) -> list[Matcher]:
    """Matchers for series on which the identity may name something."""
    matchers = identity.narrow("", "")
    if identity.pattern is not None:
        matchers.append(Matcher(identity.origin, Comparison.MATCHES, identity.pattern.pattern))
    spaces = [
        Matcher(label, Comparison.NOT_EQUAL, "")
        for label in identity.labels
        if not identity.home and f"{{{label}}}" in identity.namespace
    ]
    unknown = [Matcher(label, Comparison.NOT_EQUAL, value) for label in identity.labels for value in sorted(identity.absent - {""})]
    return [*matchers, *spaces, *unknown]


def _selected(view: View, more: Sequence[Matcher]) -> str:
    return " or ".join(f"count({selector(metric, (*view.match, *more))})" for metric in view.counters)


def _timed(view: View) -> str:
    """Whether any of a view's histograms exists, in the classic form or the native one."""
    names = [latency.metric for latency in view.latencies]
    everything = (*view.match, equal("le", "+Inf"))
    classic = [] if view.native else [f"count({selector(f'{name}_bucket', everything)})" for name in names]
    return " or ".join([*classic, *(f"count({selector(name, view.match)})" for name in names)])
