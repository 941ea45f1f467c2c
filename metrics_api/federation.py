"""Several sources, one answer: whose row counts, which rows are added up, and which must never be.

Each source says what it saw. Of sources that may have seen the same requests the first in the configuration with data is believed, row by
row: they are never added. Sources that are declared disjoint (:attr:`Merge.SUM`) each saw requests that no other of them did, so that
their rows are added: counts as they are, latencies where both have histograms. Together they stand where the first of them does.

What they say is kept apart (``Sample.share``) until every row has its name and its members, because two of them may know one workload by
different members; only then it is added (:func:`settled`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from metrics_api.resources import CALLED_HOST, JOINED_SERVICE, ResourceRef
from metrics_api.rollup import combined
from metrics_api.sample import Answer, Covered, Sample, first_source, sources_of
from metrics_api.source import Merge, Source
from metrics_api.wording import Naming, first_few

__all__ = ["Settled", "merged", "not_added", "ranks", "settled"]

Row = tuple[ResourceRef, ResourceRef, str]


@dataclass(frozen=True, slots=True)
class Settled:
    """One sample for each row. ``elsewhere`` is what those of sums describe; ``warnings`` tell what could not be added."""

    samples: tuple[Sample, ...]
    elsewhere: Mapping[str, Covered]
    warnings: tuple[str, ...] = ()


def ranks(sources: Sequence[Source]) -> dict[str, int]:
    """The order in which sources are believed, by their names, the lowest first; those that are added up have one rank."""
    together = next((at for at, source in enumerate(sources) if source.terms.merge is Merge.SUM), 0)
    return {source.name: together if source.terms.merge is Merge.SUM else at for at, source in enumerate(sources)}


def merged(answers: Iterable[tuple[Source, Answer]], order: Mapping[str, int]) -> tuple[Sample, ...]:
    """What is heard of several answers: for each row the samples of the lowest rank that counted its requests, else of the lowest.

    Samples of disjoint sources are still apart, each with the name of its source as its ``share``. A source that knows of connections
    alone has nothing to say of requests that another one counts. What a source says of objects that it does not cover is not heard.
    Who the ends of an edge are to each other is no number: whoever knows it tells it of the row of any other.
    """
    answers = list(answers)
    if len(answers) == 1 and answers[0][0].terms.everywhere and answers[0][0].terms.merge is Merge.FIRST:
        return answers[0][1].samples
    heard = [
        (order[source.name], replace(sample, share=source.name) if source.terms.merge is Merge.SUM else sample)
        for source, answer in answers
        for sample in answer.samples
        if source.terms.covers_resource(sample.resource)
    ]
    return _identified(_believed(heard), heard)


def settled(samples: Sequence[Sample], order: Mapping[str, int], main: Covered, elsewhere: Mapping[str, Covered]) -> Settled:
    """The samples, those of disjoint sources added up: one about each row.

    ``main`` is what the numbers of most sources describe, and ``elsewhere`` what those of the others do. Numbers of different windows or
    instants are not added: then the first counts alone, and ``warnings`` say which rows lack what the others saw.
    """
    # Members that several sources told of are added up by now: all of them describe the same.
    joined = {
        sample.source
        for sample in samples
        if first_source(sample.source) != sample.source and first_source(sample.source) in elsewhere
    }
    told_of = {**elsewhere, **{names: elsewhere[first_source(names)] for names in joined}}
    if not any(sample.share for sample in samples):
        return Settled(tuple(samples), told_of)
    groups: defaultdict[Row, list[Sample]] = defaultdict(list)
    for sample in _believed((order[first_source(sample.source)], sample) for sample in samples):
        groups[_row(sample)].append(sample)
    places = {name: at for at, name in enumerate(order)}
    found: list[Sample] = []
    apart: dict[tuple[str, ...], list[ResourceRef]] = defaultdict(list)
    for group in groups.values():
        group.sort(key=lambda sample: places[first_source(sample.source)])
        covered = told_of.get(group[0].source, main)
        fitting = [sample for sample in group if told_of.get(sample.source, main) == covered]
        if len(fitting) < len(group):
            late = tuple(dict.fromkeys(sample.source for sample in group if sample not in fitting))
            apart[(group[0].source, *late)].append(group[0].resource)
        names = sources_of(fitting)
        if covered != main:
            told_of[names] = covered
        found.append(replace(combined(fitting), source=names, share=""))
    return Settled(tuple(found), told_of, tuple(not_added(sources, about) for sources, about in apart.items()))


def _believed(heard: Iterable[tuple[int, Sample]]) -> tuple[Sample, ...]:
    """For each row the samples of the best standing: those that count before those that do not, and then the lowest rank."""
    heard = list(heard)
    best: dict[Row, tuple[bool, int]] = {}
    for rank, sample in heard:
        standing = (not sample.counted, rank)
        row = _row(sample)
        if row not in best or standing < best[row]:
            best[row] = standing
    kept: dict[object, Sample] = {}
    for rank, sample in heard:
        if sample.resource.kind in (JOINED_SERVICE, CALLED_HOST):
            # Whether its source covers it shows when it has its name; till then it stands in nobody's way.
            kept.setdefault((sample.about, sample.source), sample)
        elif best[_row(sample)] == (not sample.counted, rank):
            kept.setdefault(sample.about, sample)
    return tuple(kept.values())


def _identified(chosen: tuple[Sample, ...], heard: Iterable[tuple[int, Sample]]) -> tuple[Sample, ...]:
    known = {
        _row(sample): sample.identities for _, sample in sorted(heard, key=_rank, reverse=True) if sample.identities is not None
    }
    if not known:
        return chosen
    return tuple(
        replace(sample, identities=known[_row(sample)]) if sample.identities is None and _row(sample) in known else sample
        for sample in chosen
    )


def _rank(heard: tuple[int, Sample]) -> int:
    return heard[0]


def _row(sample: Sample) -> Row:
    return sample.resource, sample.peer, sample.direction.value


def not_added(sources: Sequence[str], about: Iterable[ResourceRef]) -> str:
    """A sentence about rows that have the numbers of the first of ``sources`` alone."""
    first, *others = (f'"{source}"' for source in sources)
    late = " and ".join(others)
    why = f"these numbers are of source {first} alone, because those of {late} are of another window or instant and cannot be added"
    refs = sorted(set(about))
    return Naming(f"{why}: {first_few(['/'.join(filter(None, ref[1:])) for ref in refs])}", refs, why)
