"""From rows back to samples: names for both ends, outcomes, and one sample per resource and peer."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from backends.dialects.dialect import Outcome
from backends.dialects.part import Part, Read
from metrics_api import (
    CALLED_HOST,
    EVERYTHING,
    JOINED_SERVICE,
    UNKNOWN,
    Histogram,
    ResourceRef,
    Sample,
    Side,
    TrafficQuery,
    best_observers,
    merge,
    partings,
    roll_up,
)

__all__ = ["Rows", "interpret", "passed_by"]

Rows = Mapping[tuple[str, ...], float] | Mapping[tuple[str, ...], Histogram]
"""What a read yielded: a value per tuple of the values of ``Read.by``."""

_ROUNDING = 1e-6

Within = tuple[ResourceRef | None, ...]
Place = tuple[ResourceRef, ResourceRef, Side, int, Within]
Placer = Callable[[tuple[str, ...]], Place | None]

Origin = tuple[str, str]
"""The names of a source and of the dialect it is understood in."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """A sample of one view, and the workloads within it that it is about."""

    sample: Sample
    within: Within


def interpret(
    parts: Sequence[Part], query: TrafficQuery, results: Mapping[Read, Rows], source: str, dialect: str = ""
) -> tuple[Sample, ...]:
    """The samples that answer ``query``: of several observers of the same requests, the best one.

    ``source`` and ``dialect`` are the names of both, for the samples to say where they come from.

    Callers of whom a view says no more than that they are outside the mesh are nobody that another view has seen, even where that one
    cannot name a caller either: both are "unknown", and they are added.

    What is known to have had connections, and no requests that anybody counted, has a sample without numbers.
    """
    origin = (source, dialect)
    chosen: dict[Hashable, _Seen] = {}
    outside: list[Sample] = []
    connected: dict[Hashable, Sample] = {}
    for part in parts:
        if part.view.connections:
            for sample in _connections(part, query, results, origin):
                connected.setdefault(sample.about, sample)
            continue
        if part.peer and not any(identity.labels for identity in part.peer):
            outside += [seen.sample for seen in _samples(part, query, results, origin)]
            continue
        for seen in _samples(part, query, results, origin):
            key = (seen.sample.about, seen.sample.side, seen.within)
            if key not in chosen or seen.sample.trust < chosen[key].sample.trust:
                chosen[key] = seen
    best = _best([part for part in parts if part.view.requests], chosen.values())
    found = list(roll_up(_alike([*outside, *best]))) if outside else best
    known = {sample.about for sample in found}
    return (*found, *(sample for about, sample in connected.items() if about not in known))


def passed_by(parts: Sequence[Part], results: Mapping[Read, Rows]) -> bool:
    """Whether an observer that callers may pass by saw some of a total: then it has to be added up caller by caller."""
    for part in parts:
        partial = part.view.observer.partial
        if partial and not part.peer:
            position = part.requests.by.index(part.view.observer.label)
            if any(values[position] in partial for values in results[part.requests]):
                return True
    return False


def _best(parts: Sequence[Part], chosen: Collection[_Seen]) -> list[Sample]:
    """Of each direction by itself: the ends of one may be named so that strands have to be told apart, and those of the other not."""
    return [
        sample
        for direction in dict.fromkeys(part.direction for part in parts)
        for sample in _best_of_direction(
            [part for part in parts if part.direction is direction], [seen for seen in chosen if seen.sample.direction is direction]
        )
    ]


def _best_of_direction(parts: Sequence[Part], chosen: Collection[_Seen]) -> list[Sample]:
    if any(part.strands for part in parts):
        partial = frozenset[int]().union(*(part.partial for part in parts))
        return best_observers(roll_up(_alike(_strand_by_strand(chosen, partial))))
    samples = [seen.sample for seen in chosen]
    # Whole things are each chosen once already: there are no parts to put together.
    whole = not any(part.within for part in parts)
    return best_observers(samples if whole else roll_up(_equally_trusted(samples)))


def _strand_by_strand(chosen: Collection[_Seen], partial: Collection[int]) -> list[Sample]:
    """Of each strand of the traffic of a row what the best of those saw who saw it.

    A callee whose own proxy reports knows of all its callers, whatever it calls them, and what stands before it is not asked. Otherwise a
    strand is what one caller sent to one callee. Who goes through an observer that others pass by names that one as the callee, but the
    same service: there it is what one caller sent to one service. What reached nobody adds nothing to what callees saw.
    """
    whole: dict[Hashable, int] = {}
    told: set[Hashable] = set()
    kept: list[Sample] = []
    for seen in sorted(chosen, key=lambda seen: seen.sample.trust):
        sample, (callee, caller, service) = seen.sample, seen.within
        about, side, beside = sample.about, sample.side, sample.trust in partial
        other = Side.CLIENT if side is Side.SERVER else Side.SERVER
        known = (
            whole.get((about, callee), sample.trust) != sample.trust
            or (about, other, caller, callee) in told
            or (service is not None and (about, other, True, caller, service) in told)
            or (service is not None and beside and (about, other, False, caller, service) in told)
            or (callee is None and (about, other) in told)
        )
        if known:
            continue
        kept.append(sample)
        told |= {(about, side), (about, side, caller, callee), (about, side, beside, caller, service)}
        if side is Side.SERVER and not beside:
            whole[about, callee] = sample.trust
    return kept


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

    ``failed`` are failures among the successes, ``overlapping`` failures that may be among either, ``ignored`` what is neither. Histograms,
    and how long all that they observed took, are told apart by the metric they are of.
    """

    success: float | None = None
    failure: float | None = None
    failed: float = 0.0
    overlapping: float = 0.0
    ignored: float = 0.0
    seconds: dict[int, float] = field(default_factory=dict)
    histograms: list[tuple[int, Histogram]] = field(default_factory=list)

    def counts(self) -> tuple[float | None, float | None]:
        """Successes and failures once both are corrected."""
        if self.success is None or self.failure is None:
            return self.success, self.failure
        moved = min(self.failed + max(self.overlapping - self.failure, 0.0), self.success)
        return self.success - moved, self.failure + moved

    def latency(self, *, whole: bool) -> Histogram | None:
        """All observations together, with how long they took if that was read of every one; None if not ``whole``, and some are missing."""
        if not self.histograms:
            return None
        merged = merge([histogram for _, histogram in self.histograms])
        if whole and not math.isclose(
            merged.total, (self.success or 0.0) + (self.failure or 0.0) + self.ignored, rel_tol=_ROUNDING
        ):
            return None
        timed = {index for index, _ in self.histograms} <= self.seconds.keys()
        return replace(merged, sum=math.fsum(self.seconds.values())) if timed else merged


def _samples(part: Part, query: TrafficQuery, results: Mapping[Read, Rows], origin: Origin) -> Iterator[_Seen]:
    source, dialect = origin
    places = _Places(_placer(part, query, part.by))
    tallies = _counts(part, places, results)
    for correction, read in zip(part.view.corrections, part.corrections, strict=True):
        for tally, corrected in _numbers(tallies, places, results[read]):
            tally.failed += 0.0 if correction.overlap else corrected
            tally.overlapping += corrected if correction.overlap else 0.0
    for index, read in enumerate(part.sums):
        for tally, took in _numbers(tallies, places, results[read]):
            tally.seconds[index] = tally.seconds.get(index, 0.0) + took
    # Latencies without counts are of something else than these requests: the same name with another meaning.
    for index, read in enumerate(part.latencies):
        for place, observed in _placed(places, results[read]):
            if place in tallies and isinstance(observed, Histogram):
                tallies[place].histograms.append((index, observed))
    for (resource, peer, side, trust, within), tally in tallies.items():
        success, failure = tally.counts()
        # Where the requests are the observations, a store that tells fewer of these has left histograms out: it cannot add all of them up.
        latency = tally.latency(whole=part.view.observations)
        sample = Sample(resource, peer, part.direction, side, success, failure, latency, trust, source, dialect=dialect)
        yield _Seen(sample, within)


def _counts(part: Part, places: _Places, results: Mapping[Read, Rows]) -> dict[Place, _Tally]:
    tallies: defaultdict[Place, _Tally] = defaultdict(_Tally)
    ignored: defaultdict[Place, float] = defaultdict(float)
    for place, outcome, value in _counted(part, places, results[part.requests]):
        if outcome is Outcome.IGNORE:
            ignored[place] += value
            continue
        tally = tallies[place]
        # One series of a family is enough to know both counts: the others, which never moved, do not exist.
        tally.success = (tally.success or 0.0) + (value if outcome is Outcome.SUCCESS else 0.0)
        tally.failure = (tally.failure or 0.0) + (value if outcome is Outcome.FAILURE else 0.0)
    for place, tally in tallies.items():
        tally.ignored = ignored[place]
    return dict(tallies)


def _numbers(tallies: Mapping[Place, _Tally], places: _Places, rows: Rows) -> Iterator[tuple[_Tally, float]]:
    """What rows add to places of which the counts are known."""
    for place, value in _placed(places, rows):
        if place in tallies and isinstance(value, float):
            yield tallies[place], value


def _connections(part: Part, query: TrafficQuery, results: Mapping[Read, Rows], origin: Origin) -> Iterator[Sample]:
    """A sample without numbers for whatever had connections in the window."""
    source, dialect = origin
    places = _Places(_placer(part, query, part.by))
    for place, value in _placed(places, results[part.requests]):
        if isinstance(value, float) and value > 0:
            resource, peer, side, trust, _ = place
            yield Sample(resource, peer, part.direction, side, None, None, None, trust, source, dialect=dialect)


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
    width = len(part.by)
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
    apart = [identity.reader(by) for identity in part.apart]
    workloads = [[identity.reader(by) for identity in identities] for identities in part.within]
    label = part.view.observer.label
    position = by.index(label) if label else -1
    sides = {value: (side, trust) for value, side, trust in part.sides}
    fixed = part.sides[0][1:]

    def place(values: tuple[str, ...]) -> Place | None:
        resource = next((ref for read in resources if (ref := read(values)) is not None), None)
        if resource is None or not _wanted(resource, part) or any(read(values) is not None for read in apart):
            return None
        peer = EVERYTHING
        if query.edges:
            peer = next((ref for read in peers if (ref := read(values)) is not None), UNKNOWN)
            if part.named and peer is UNKNOWN:
                return None
            # Which object a host name stands for is not known yet.
            if peer.kind != CALLED_HOST and any(want and want != have for want, have in zip(query.peer[1:], peer[1:], strict=True)):
                return None
        observed = sides.get(values[position]) if label else fixed
        if observed is None:
            return None
        within = tuple(next((ref for read in readers if (ref := read(values)) is not None), None) for readers in workloads)
        return (resource, peer, *observed, within)

    return place


def _wanted(resource: ResourceRef, part: Part) -> bool:
    if resource.kind == JOINED_SERVICE:
        return any(_wanted(parting, part) for parting in partings(resource))
    if resource.kind == CALLED_HOST:
        # Its identity names none but those that are sought.
        return True
    if part.name and resource.name != part.name:
        return False
    return not part.namespace or not resource.namespace or resource.namespace == part.namespace
