"""From rows back to samples: names for both ends, outcomes, and one sample per resource and peer."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from backends.dialects.dialect import Outcome
from backends.dialects.plan import Part, Read
from metrics_api import (
    EVERYTHING,
    UNKNOWN,
    Histogram,
    ResourceRef,
    Sample,
    Side,
    TrafficQuery,
    best_observers,
    merge,
    roll_up,
)

__all__ = ["Rows", "interpret"]

Rows = Mapping[tuple[str, ...], float] | Mapping[tuple[str, ...], Histogram]
"""What a read yielded: a value per tuple of the values of ``Read.by``."""

Within = tuple[ResourceRef | None, ...]
Place = tuple[ResourceRef, ResourceRef, Side, int, Within]
Placer = Callable[[tuple[str, ...]], Place | None]


def interpret(parts: Sequence[Part], query: TrafficQuery, results: Mapping[Read, Rows], source: str) -> tuple[Sample, ...]:
    """The samples that answer ``query``: of several observers of the same requests, the best one.

    Callers of whom a view says no more than that they are outside the mesh are nobody that another view has seen, even where that one
    cannot name a caller either: both are "unknown", and they are added.
    """
    chosen: dict[Hashable, Sample] = {}
    outside: list[Sample] = []
    for part in parts:
        if part.peer and not any(identity.labels for identity in part.peer):
            outside += [sample for _, sample in _samples(part, query, results, source)]
            continue
        for within, sample in _samples(part, query, results, source):
            key = (sample.about, sample.side, within)
            if key not in chosen or sample.trust < chosen[key].trust:
                chosen[key] = sample
    # Whole things are each chosen once already: there are no parts to put together.
    whole = not any(part.within for part in parts)
    seen = best_observers(chosen.values() if whole else roll_up(_equally_trusted(chosen.values())))
    return tuple(roll_up(_alike([*outside, *seen]))) if outside else tuple(seen)


def _alike(samples: Collection[Sample]) -> Iterator[Sample]:
    """The samples, those about the same thing with the side and trust of the first."""
    first: dict[Hashable, Sample] = {}
    for sample in samples:
        held = first.setdefault(sample.about, sample)
        yield replace(sample, side=held.side, trust=held.trust)


def _equally_trusted(samples: Collection[Sample]) -> Iterator[Sample]:
    """Samples about the same thing from one side: where different observers saw different parts of it, the parts belong together."""
    trust: dict[Hashable, int] = {}
    for sample in samples:
        key = (sample.about, sample.side)
        trust[key] = min(sample.trust, trust.get(key, sample.trust))
    for sample in samples:
        best = trust[sample.about, sample.side]
        yield sample if sample.trust == best else replace(sample, trust=best)


@dataclass(slots=True)
class _Tally:
    """What one observer saw of one resource and peer.

    ``failed`` are failures among the successes, ``overlapping`` failures that may be among either.
    """

    success: float | None = None
    failure: float | None = None
    failed: float = 0.0
    overlapping: float = 0.0
    histograms: list[Histogram] = field(default_factory=list)

    def counts(self) -> tuple[float | None, float | None]:
        """Successes and failures once both are corrected."""
        if self.success is None or self.failure is None:
            return self.success, self.failure
        moved = min(self.failed + max(self.overlapping - self.failure, 0.0), self.success)
        return self.success - moved, self.failure + moved


def _samples(part: Part, query: TrafficQuery, results: Mapping[Read, Rows], source: str) -> Iterator[tuple[Within, Sample]]:
    tallies: defaultdict[Place, _Tally] = defaultdict(_Tally)
    places = _Places(_placer(part, query, part.latency.by))
    for place, outcome, value in _counted(part, places, results[part.requests]):
        if outcome is Outcome.IGNORE:
            continue
        tally = tallies[place]
        # One series of a family is enough to know both counts: the others, which never moved, do not exist.
        tally.success = (tally.success or 0.0) + (value if outcome is Outcome.SUCCESS else 0.0)
        tally.failure = (tally.failure or 0.0) + (value if outcome is Outcome.FAILURE else 0.0)
    for correction, read in zip(part.view.corrections, part.corrections, strict=True):
        for place, corrected in _placed(places, results[read]):
            if place in tallies and isinstance(corrected, float):
                tallies[place].failed += 0.0 if correction.overlap else corrected
                tallies[place].overlapping += corrected if correction.overlap else 0.0
    for place, observed in _placed(places, results[part.latency]):
        if isinstance(observed, Histogram):
            tallies[place].histograms.append(observed)
    for (resource, peer, side, trust, within), tally in tallies.items():
        success, failure = tally.counts()
        latency = merge(tally.histograms) if tally.histograms else None
        yield within, Sample(resource, peer, part.direction, side, success, failure, latency, trust, source)


class _Places(dict[tuple[str, ...], Place | None]):
    """What rows are about, by the labels of their ends: all reads of a part have those in front, and many rows have the same."""

    def __init__(self, find: Placer) -> None:
        super().__init__()
        self._find = find

    def __missing__(self, ends: tuple[str, ...]) -> Place | None:
        place = self[ends] = self._find(ends)
        return place


def _counted(part: Part, places: _Places, rows: Rows) -> Iterator[tuple[Place, Outcome, float]]:
    classify = part.view.classifier(part.requests.by)
    width = len(part.latency.by)
    for values, value in rows.items():
        place = places[values[:width]]
        if place is not None and isinstance(value, float):
            yield place, classify(values), value


def _placed(places: _Places, rows: Rows) -> Iterator[tuple[Place, float | Histogram]]:
    for values, value in rows.items():
        place = places[values]
        if place is not None:
            yield place, value


def _placer(part: Part, query: TrafficQuery, by: Sequence[str]) -> Placer:
    """A function from label values to what a row is about; None for rows the query does not ask for."""
    resources = [identity.reader(by) for identity in part.resource]
    peers = [identity.reader(by) for identity in part.peer]
    workloads = [[identity.reader(by) for identity in identities] for identities in part.within]
    label = part.view.observer.label
    position = by.index(label) if label else -1
    sides = {value: (side, trust) for value, side, trust in part.sides}
    fixed = part.sides[0][1:]

    def place(values: tuple[str, ...]) -> Place | None:
        resource = next((ref for read in resources if (ref := read(values)) is not None), None)
        if resource is None or not _wanted(resource, query):
            return None
        peer = EVERYTHING
        if query.edges:
            peer = next((ref for read in peers if (ref := read(values)) is not None), UNKNOWN)
            if any(want and want != have for want, have in zip(query.peer[1:], peer[1:], strict=True)):
                return None
        observed = sides.get(values[position]) if label else fixed
        if observed is None:
            return None
        within = tuple(next((ref for read in readers if (ref := read(values)) is not None), None) for readers in workloads)
        return (resource, peer, *observed, within)

    return place


def _wanted(resource: ResourceRef, query: TrafficQuery) -> bool:
    if query.name and resource.name != query.name:
        return False
    return not query.namespace or not resource.namespace or resource.namespace == query.namespace
