"""What is wrong with the series of a dialect, in sentences: told from the evidence alone, whichever source it comes from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from backends.dialects.dialect import Dialect, Temporality, View
from backends.dialects.examination import Absence, Evidence, abilities, absences, blind, reduced, silent_sides
from backends.dialects.keeping import TEMPORALITY
from backends.dialects.lookalikes import lookalike
from backends.dialects.names import spelt
from backends.dialects.renaming import labels_of
from metrics_api import Side
from metrics_api.diagnosis import Ability, Finding, Level

__all__ = ["examine"]

_ESSENTIAL = frozenset({"workloads", "namespaces"})
"""Resources of which every mesh tells, so that their absence is no matter of how it is scraped."""

_UNHEARD = {
    Side.SERVER: (
        "callees report nothing",
        "switch on what callees report, and scrape them; until then totals are what callers in the mesh saw",
    ),
    Side.CLIENT: (
        "callers report nothing",
        "switch on what callers report, and scrape them; until then calls that reached no callee of the mesh are missing",
    ),
}


def examine(
    source: str, dialect: Dialect, evidence: Sequence[Evidence], names: Mapping[str, str]
) -> tuple[list[Finding], tuple[Ability, ...]]:
    """The findings about the series of a dialect, and what they let it answer.

    ``evidence`` is in the order of the dialect's views. ``names`` maps labels that the configuration renamed back to what the dialect
    itself calls them.
    """
    able = abilities(dialect, reduced(dialect, evidence))
    found = [
        *_only_connections(source, dialect, evidence),
        *_unheard(source, dialect, evidence),
        *_blind(source, dialect, evidence, names),
        *_mistaken(source, dialect, evidence),
        *_untimed(source, dialect, evidence),
        *(_absent(source, dialect, absence, able, names) for absence in absences(dialect, evidence, able)),
    ]
    return list(dict.fromkeys(found)), able


def _only_connections(source: str, dialect: Dialect, evidence: Sequence[Evidence]) -> Iterator[Finding]:
    counted = [view for view, seen in zip(dialect.views, evidence, strict=True) if seen.count]
    if counted and not any(view.requests for view in counted):
        yield Finding(
            Level.PROBLEM,
            source,
            "requests",
            f"{dialect.name}: only connections are counted ({counted[0].connections[0]}), and no requests",
            "requests are counted by proxies that read HTTP: let the traffic pass one, and scrape it",
        )


def _unheard(source: str, dialect: Dialect, evidence: Sequence[Evidence]) -> Iterator[Finding]:
    for side, view in silent_sides(dialect, evidence):
        what, advice = _UNHEARD[side]
        yield Finding(Level.WARNING, source, "observers", f"{dialect.name}: {what}: no series has {_reports(view, side)}", advice)


def _reports(view: View, side: Side) -> str:
    """By what the reports of one side would be known."""
    if view.observer.label:
        values = [f'"{value}"' for value, of in view.observer.sides if of is side]
        return f"{view.observer.label}={' or '.join(values)}"
    match = ",".join(f'{spelt(matcher.label)}{matcher.comparison.value}"{matcher.value}"' for matcher in view.match)
    return f"{view.requests[0]}{{{match}}}" if match else view.requests[0]


def _blind(source: str, dialect: Dialect, evidence: Sequence[Evidence], names: Mapping[str, str]) -> Iterator[Finding]:
    for view, seen in zip(dialect.views, evidence, strict=True):
        missing = blind(view, seen)
        if missing:
            beside = frozenset(label for labels in seen.series for label in labels)
            words = " and ".join(f'"{label}"' for label in missing)
            yield Finding(
                Level.PROBLEM,
                source,
                "outcomes",
                f"{dialect.name}: no series of {', '.join(view.requests)} has {words}, so failures cannot be told",
                _advice(dialect, missing[0], beside, names),
            )


def _mistaken(source: str, dialect: Dialect, evidence: Sequence[Evidence]) -> Iterator[Finding]:
    """Running totals where deltas are added up, which are left out; or deltas of which the increase is taken, which are wrong numbers."""
    for view, seen in zip(dialect.views, evidence, strict=True):
        told = {labels[TEMPORALITY].lower() for labels in seen.series if labels.get(TEMPORALITY)}
        if told - {view.temporality.value}:
            (other,) = set(Temporality) - {view.temporality}
            some = "some series" if view.temporality.value in told else "the series"
            yield Finding(
                Level.PROBLEM,
                source,
                "temporality",
                f"{dialect.name}: {some} of {', '.join(view.counters)} are {other.value}, and {view.temporality.value} ones are asked for: "
                f"they {'are left out' if view.temporality is Temporality.DELTA else 'give wrong numbers'}",
                "let all who send them send the same"
                if view.temporality.value in told
                else f"overrides: {{temporality: {other.value}}}",
            )


def _untimed(source: str, dialect: Dialect, evidence: Sequence[Evidence]) -> Iterator[Finding]:
    for view, seen in zip(dialect.views, evidence, strict=True):
        if seen.count and not seen.timed:
            metrics = ", ".join(latency.metric for latency in view.latencies)
            yield Finding(
                Level.PROBLEM,
                source,
                "latencies",
                f"{dialect.name}: {metrics} has no series while {view.requests[0]} has, so there are no percentiles",
                "keep its _bucket series: metric_relabel_configs drop them, or the mesh has switched the histogram off",
            )


def _absent(source: str, dialect: Dialect, absence: Absence, able: Sequence[Ability], names: Mapping[str, str]) -> Finding:
    nothing_left = {ability.resources for ability in able if ability.lost and not ability.told}
    lost: dict[str, list[str]] = {}
    for resources, way in absence.lost:
        lost.setdefault(resources, []).append(way)
    told = ", ".join(
        resources if resources in nothing_left else f"{resources} ({', '.join(ways)})" for resources, ways in lost.items()
    )
    other = _elsewhere(dialect, absence.label, absence.beside, names)
    essential = any("received" in lost.get(resources, ()) for resources in _ESSENTIAL)
    return Finding(
        # A mesh in which nobody calls anybody has no labels of callees, and nothing is wrong with it.
        Level.PROBLEM if other or essential else Level.WARNING,
        source,
        "labels",
        f'{dialect.name}: no series has the label "{absence.label}", which is needed for {told}',
        _advice(dialect, absence.label, absence.beside, names),
    )


def _elsewhere(dialect: Dialect, label: str, beside: frozenset[str], names: Mapping[str, str]) -> str:
    """The name under which a missing label may be there after all."""
    spelt = dict.fromkeys((label, names.get(label, label)))
    return next(filter(None, (lookalike(name, beside, labels_of(dialect)) for name in spelt)), "")


def _advice(dialect: Dialect, label: str, beside: frozenset[str], names: Mapping[str, str]) -> str:
    """Where the label could come from: it has another name, somebody should add it, or the mesh was told to leave it out."""
    other = _elsewhere(dialect, label, beside, names)
    if other:
        return f"overrides: {{labels: {{{names.get(label, label)}: {other}}}}}"
    origin = dialect.origins.get(label)
    return f"who adds it: {origin}" if origin else "the mesh writes it, unless its configuration or metric_relabel_configs drop it"
