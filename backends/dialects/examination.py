"""What a dialect can answer out of the series there really are, and what is missing from them.

Which questions a dialect can answer follows from its views. So the views are reduced to what has series, to the observers that report and
to the names that the labels do give; what the whole dialect can answer and the reduced one cannot is lost.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from backends.dialects.dialect import Dialect, Outcome, View
from backends.dialects.identity import Identity
from backends.dialects.plan import refusal
from metrics_api import RESOURCE_TYPES, SPLIT_KINDS, WORKLOAD_KINDS, Direction, Side, TrafficQuery, Window
from metrics_api.diagnosis import Ability

__all__ = ["Absence", "Evidence", "abilities", "absences", "blind", "identities_of", "named_in", "reduced", "silent_sides"]

Labels = Mapping[str, str]

_WORKLOADS = "workloads"
_RESOURCES: dict[str, tuple[str, ...]] = {
    _WORKLOADS: WORKLOAD_KINDS,
    **{row.plural: (row.kind,) for row in RESOURCE_TYPES if row.kind not in (*WORKLOAD_KINDS, *SPLIT_KINDS, "CronJob")},
}
_WAYS: dict[str, Direction | None] = {"received": None, "to": Direction.TO, "from": Direction.FROM}


@dataclass(frozen=True, slots=True)
class Evidence:
    """What there is of one view.

    ``observers`` is how many series its counters have, by what the observer's label says (``""`` without one). ``series`` are the labels of
    some of them, ``named`` the identities that name something on at least one, ``labels`` those that at least one has. ``timed`` says
    whether its latencies exist.
    """

    observers: Mapping[str, int] = field(default_factory=dict)
    series: Sequence[Labels] = ()
    named: frozenset[Identity] = frozenset()
    labels: frozenset[str] = frozenset()
    timed: bool = True

    @property
    def count(self) -> int:
        """How many series its counters have, of whichever observer."""
        return sum(self.observers.values())


@dataclass(frozen=True, slots=True)
class Absence:
    """A label that no series of ``metrics`` has, and what cannot be told therefore: ``(resources, way)`` pairs."""

    label: str
    metrics: tuple[str, ...]
    lost: tuple[tuple[str, str], ...]
    beside: frozenset[str]


def identities_of(view: View) -> tuple[Identity, ...]:
    """Every way the view names either end by labels, each once."""
    return tuple(dict.fromkeys(identity for identity in (*view.source, *view.destination) if identity.labels))


def named_in(identities: Iterable[Identity], series: Sequence[Labels]) -> frozenset[Identity]:
    """Those of the identities that name something on at least one of the series."""
    found: set[Identity] = set()
    for identity in identities:
        by = identity.labels
        read = identity.reader(by)
        if any(read([labels.get(label, "") for label in by]) is not None for labels in series):
            found.add(identity)
    return frozenset(found)


def reduced(dialect: Dialect, evidence: Sequence[Evidence]) -> Dialect:
    """The dialect as far as there are series for it; ``evidence`` is in the order of its views."""
    views = (_reduced(view, seen) for view, seen in zip(dialect.views, evidence, strict=True))
    return replace(dialect, views=tuple(view for view in views if view is not None))


def _reduced(view: View, seen: Evidence) -> View | None:
    sides = tuple((value, side) for value, side in view.observer.sides if seen.observers.get(value))
    if not sides:
        return None
    left = replace(
        view,
        observer=replace(view.observer, sides=sides),
        source=tuple(identity for identity in view.source if not identity.labels or identity in seen.named),
        destination=tuple(identity for identity in view.destination if not identity.labels or identity in seen.named),
    )
    return left if left.source or left.destination else None


def abilities(dialect: Dialect, left: Dialect) -> tuple[Ability, ...]:
    """What can be told out of ``left``, a reduced dialect, for each resource that the whole one tells requests of."""
    dialect, left = _of_requests(dialect), _of_requests(left)
    found: list[Ability] = []
    for resources in _RESOURCES:
        whole = [way for way in _WAYS if _answers(dialect, resources, way)]
        told = tuple(way for way in whole if _answers(left, resources, way))
        if whole:
            found.append(Ability(dialect.name, resources, told, tuple(way for way in whole if way not in told)))
    return tuple(found)


def _of_requests(dialect: Dialect) -> Dialect:
    return replace(dialect, views=tuple(view for view in dialect.views if view.requests))


def _answers(dialect: Dialect, resources: str, way: str) -> bool:
    return any(refusal(dialect, _query(kind, _WAYS[way], edges=way != "received")) is None for kind in _RESOURCES[resources])


def _query(kind: str, direction: Direction | None, *, edges: bool) -> TrafficQuery:
    return TrafficQuery(kinds=(kind,), window=Window(30), instant=0, edges=edges, direction=direction)


def absences(dialect: Dialect, evidence: Sequence[Evidence], able: Sequence[Ability]) -> tuple[Absence, ...]:
    """The labels whose absence explains what is lost, the most harmful first."""
    lost = {ability.resources: ability.lost for ability in able if ability.lost}
    found: dict[str, dict[tuple[str, str], None]] = {}
    metrics: dict[str, dict[str, None]] = {}
    beside: dict[str, set[str]] = {}
    for view, seen in zip(dialect.views, evidence, strict=True):
        if not view.requests or not seen.count:
            continue
        for end in (view.source, view.destination):
            for resources, ways in lost.items():
                for label in _missing(end, seen, _RESOURCES[resources]):
                    found.setdefault(label, {}).update(dict.fromkeys((resources, way) for way in ways))
                    metrics.setdefault(label, {}).update(dict.fromkeys(view.requests))
                    beside.setdefault(label, set()).update(name for labels in seen.series for name in labels)
    made = (Absence(label, tuple(metrics[label]), tuple(pairs), frozenset(beside[label])) for label, pairs in found.items())
    return tuple(sorted(made, key=lambda absence: -len(absence.lost)))


def _missing(end: Sequence[Identity], seen: Evidence, kinds: Sequence[str]) -> tuple[str, ...]:
    """The labels that would let an end be named as one of ``kinds``, of the way that lacks the fewest; none when it is named."""
    ways = [identity for identity in end if identity.labels and any(identity.names(kind) for kind in kinds)]
    if any(identity in seen.named for identity in ways):
        return ()
    lacking = [tuple(label for label in identity.labels if label not in seen.labels) for identity in ways]
    return min(lacking, key=len, default=())


def silent_sides(dialect: Dialect, evidence: Sequence[Evidence]) -> Iterator[tuple[Side, View]]:
    """The sides at which nobody reports while the other one does, each with a view that shows whose reports are missing."""
    heard: dict[Side, int] = {}
    views: dict[Side, View] = {}
    for view, seen in zip(dialect.views, evidence, strict=True):
        if view.requests:
            for value, side in view.observer.sides:
                heard[side] = heard.get(side, 0) + seen.observers.get(value, 0)
                views.setdefault(side, view)
    if any(heard.values()):
        yield from ((side, views[side]) for side, count in heard.items() if not count)


def blind(view: View, seen: Evidence) -> tuple[str, ...]:
    """The missing labels for want of which no request of the view is a failure, or none counts at all; empty when both can be told."""
    missing = tuple(label for label in view.outcome_labels if label not in seen.labels)
    if not missing or not seen.count:
        return ()
    possible = {
        rule.outcome
        for rule in view.outcomes
        if all(label in seen.labels or pattern.fullmatch("") is not None for label, pattern in rule.when)
    }
    told = Outcome.FAILURE in possible or (bool(view.corrections) and Outcome.SUCCESS in possible)
    return () if told or all(rule.outcome is not Outcome.FAILURE for rule in view.outcomes) else missing
