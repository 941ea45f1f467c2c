"""What shows only when sources are seen together: who tells of the same, whose numbers cannot be added, and what nobody covers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from itertools import combinations

from metrics_api import Merge, Source, format_duration
from metrics_api.diagnosis import Diagnosis, Finding, Level
from metrics_api.wording import first_few

__all__ = ["hints"]

Seen = tuple[Source, Diagnosis]


def hints(seen: Sequence[Seen], home: str) -> Mapping[str, tuple[Finding, ...]]:
    """Further findings, by the name of the source they are about. ``home`` is the name of the server's cluster, empty if it has none."""
    rules: tuple[Callable[[Sequence[Seen], str], Iterator[Finding]], ...] = (_clusters, _spellings, _namespaces, _overlaps, _sums)
    found: defaultdict[str, list[Finding]] = defaultdict(list)
    for rule in rules:
        for finding in rule(seen, home):
            found[finding.source].append(finding)
    return {name: tuple(findings) for name, findings in found.items()}


def _clusters(seen: Sequence[Seen], home: str) -> Iterator[Finding]:
    """About names of clusters: another one than ours is right, and one that differs by its spelling alone is not."""
    for source, _ in seen:
        cluster = source.terms.cluster
        if not cluster or cluster == home:
            continue
        if cluster.casefold() == home.casefold():
            what = f'its cluster "{cluster}" and kubernetes.clusterName "{home}" differ, in upper and lower case alone'
            yield Finding(Level.WARNING, source.name, "cluster", what, f"covers: {{cluster: {home}}}")
        elif home:
            what = f'it tells of cluster "{cluster}", and not of the one that the server runs in, which is "{home}"'
            yield Finding(Level.OK, source.name, "cluster", what)
        else:
            what = f'it tells of cluster "{cluster}", and the one that the server runs in has no name'
            advice = f"kubernetes.clusterName: {cluster}, if that is the one"
            yield Finding(Level.OK, source.name, "cluster", what, advice)


def _spellings(seen: Sequence[Seen], home: str) -> Iterator[Finding]:
    """About two names of clusters that differ by their spelling alone: nothing of one is beside anything of the other."""
    told: set[str] = set()
    for (first, _), (second, _) in combinations(seen, 2):
        one, other = first.terms.cluster, second.terms.cluster
        if one == other or one.casefold() != other.casefold() or other.casefold() == home.casefold() or other in told:
            continue
        told.add(other)
        what = f'its cluster "{other}" and "{one}", that of source "{first.name}", differ in upper and lower case alone'
        yield Finding(Level.WARNING, second.name, "cluster", what, f"covers: {{cluster: {one}}}")


def _namespaces(seen: Sequence[Seen], _: str) -> Iterator[Finding]:
    """About covered namespaces of which a source has nothing."""
    for source, diagnosis in seen:
        if diagnosis.namespaces is None:
            continue
        idle = [
            pattern
            for pattern in source.terms.namespaces
            if not any(fnmatchcase(namespace, pattern) for namespace in diagnosis.namespaces)
        ]
        if idle:
            what = f"it covers {first_few(idle)}, and no series of it names such a namespace"
            there = first_few(sorted(diagnosis.namespaces))
            advice = "correct covers.namespaces, unless there is no traffic yet" + (f"; it has series of {there}" if there else "")
            yield Finding(Level.WARNING, source.name, "coverage", what, advice)


def _overlaps(seen: Sequence[Seen], home: str) -> Iterator[Finding]:
    """About sources of one cluster that tell of the same mesh in namespaces that both cover."""
    for (first, one), (second, other) in combinations(seen, 2):
        meshes = [mesh.name for mesh in other.meshes if mesh.name in {same.name for same in one.meshes}]
        if not meshes or not _beside(first, second, home):
            continue
        what = f'it tells of {first_few(list(dict.fromkeys(meshes)))}, as source "{first.name}" does'
        summed = [source.terms.merge is Merge.SUM for source in (first, second)]
        if all(summed):
            url = other.facts.get("url")
            if url and url == one.facts.get("url"):
                what = f'its rows are added to those of source "{first.name}", which asks the same store: {url}'
                advice = "unless overrides.match tells them apart, each request counts twice: leave out one, or merge: sum"
                yield Finding(Level.WARNING, second.name, "overlap", what, advice)
            else:
                what += ", and their rows are added"
                yield Finding(Level.OK, second.name, "overlap", what, "right if no request is seen by both")
        elif any(summed):
            what += ", and only one of them has merge: sum, so that their rows are not added: of each row the first that has it is believed"
            yield Finding(Level.OK, second.name, "overlap", what, "merge: sum for both, if no request is seen by both")
        else:
            what += ", which stands first and is believed where both have a row"
            yield Finding(Level.OK, second.name, "overlap", what, "merge: sum for both adds them up, if no request is seen by both")


def _sums(seen: Sequence[Seen], home: str) -> Iterator[Finding]:
    """About sources whose rows are to be added, and cannot be, or not with their latencies."""
    summed = [source for source, _ in seen if source.terms.merge is Merge.SUM]
    alone: set[str] = {source.name for source in summed}
    told: set[str] = set()
    for first, second in combinations(summed, 2):
        if not _beside(first, second, home):
            continue
        alone -= {first.name, second.name}
        if first.offer.delay != second.offer.delay:
            late, other = (first, second) if first.offer.delay > second.offer.delay else (second, first)
            ages = [format_duration(source.offer.delay) for source in (late, other)]
            what = f'its numbers are {ages[0]} old and those of source "{other.name}" {ages[1]}, so that they can never be added'
            yield Finding(Level.PROBLEM, late.name, "delay", what, "merge: first, or sources of one kind")
        for source in (first, second):
            if source.offer.percentiles is not None and source.name not in told:
                told.add(source.name)
                what = "it has percentiles and no histograms: where its rows are added to others, their latencies are unknown"
                yield Finding(Level.WARNING, source.name, "percentiles", what, "merge: first keeps them")
    for source in summed:
        if source.name in alone:
            what = "merge: sum, and there is no other source with it that covers the same"
            yield Finding(Level.OK, source.name, "overlap", what, "each source whose rows are to be added needs it")


def _beside(one: Source, other: Source, home: str) -> bool:
    """Whether both may be asked about one and the same namespace."""
    if (one.terms.cluster or home) != (other.terms.cluster or home):
        return False
    if one.terms.everywhere or other.terms.everywhere:
        return True
    # Of two patterns nobody can say in general; one that matches the other's text is the usual case.
    return any(
        fnmatchcase(mine, theirs) or fnmatchcase(theirs, mine) for mine in one.terms.namespaces for theirs in other.terms.namespaces
    )
