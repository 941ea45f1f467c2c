"""Peers that a reader may not be told of: hidden, added up, and kept out of whatever is told beside the rows.

An edge is the traffic of a resource that its reader may read, and tells of a peer that may be in a namespace the reader may not look into.
What may be told is asked of *places*: a namespace, the nodes, or a host by its name. A place that nobody has been asked about is hidden.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Sequence
from dataclasses import replace

from metrics_api import UNKNOWN, Direction, Naming, ResourceRef, Sample, Side, first_few
from metrics_api.resources import host
from metrics_api.rollup import added, combined
from metrics_api.sample import sources_of

__all__ = ["NODES", "Places", "discreet", "hide", "home_of", "left_alone", "namespace_of", "place_of", "words_of"]

Places = frozenset[ResourceRef]
"""Namespaces (``Namespace//NAME``), :data:`NODES`, hosts; and objects of which nobody knows in which namespace they are."""

NODES = ResourceRef("Node", "", "")
"""The place of every node."""

_BETWEEN_WORDS = re.compile(r"[^a-z0-9-]+")
_LONGEST = 63
"""Characters of the longest name of a namespace."""


def namespace_of(name: str) -> ResourceRef:
    """The place of everything in a namespace."""
    return ResourceRef("Namespace", "", name)


def home_of(resource: ResourceRef) -> str:
    """The namespace whose reader asks about the resource; empty for a node."""
    return resource.name if resource.kind == "Namespace" else resource.namespace


def place_of(peer: ResourceRef, home: str) -> ResourceRef | None:
    """Where a peer is, which says who may be told of it; None for whom everybody may be told of who reads ``home``."""
    if peer.kind == "Node":
        return NODES
    namespace = home_of(peer)
    if namespace:
        return namespace_of(namespace) if namespace != home else None
    if not peer.kind:
        # Everything, whoever sent it, has no name.
        return host(peer.name) if peer.name not in ("", UNKNOWN.name) else None
    return peer


Origin = Callable[[str], tuple[int, Hashable]]
"""The rank of a source, and what its numbers describe if it is not what most do. Those that agree in both saw different requests."""


def hide(samples: Collection[Sample], visible: Places, origin: Origin = lambda _: (0, None)) -> tuple[list[Sample], Places]:
    """The samples with every peer that is not in a place of ``visible`` unknown, and the places of those.

    All unknown peers of a resource are one in each direction, together with those of whom nobody knows more: what one observer saw of one
    peer and another of the next are different requests, so they are added whoever observed. The row is said to be of the side of the best
    observer, and names no identities: those of peers are their names. Where several sources that are not disjoint tell of such peers, the
    first that counts anything is believed: whom one knows by name may be unknown to the other.
    """
    hidden: set[ResourceRef] = set()
    kept: list[Sample] = []
    unknown: dict[Hashable, list[Sample]] = defaultdict(list)
    for sample in samples:
        place = place_of(sample.peer, home_of(sample.resource)) if sample.peer != sample.resource else None
        if place is not None and place not in visible:
            hidden.add(place)
        elif sample.peer != UNKNOWN:
            kept.append(sample)
            continue
        unknown[sample.resource, sample.direction].append(sample)
    return [*kept, *(_as_one(_of_first(group, origin)) for group in unknown.values())], frozenset(hidden)


def left_alone(seen: Iterable[Sample], shown: Iterable[Sample], origin: Origin) -> tuple[str, ...]:
    """A sentence about resources whose unknown peers, ``shown``, lack what was ``seen`` by other sources."""
    believed = {(sample.resource, sample.direction): origin(sample.source) for sample in shown if sample.peer == UNKNOWN}
    told = {sample.about for sample in shown}
    lacking = {
        sample.resource
        for sample in seen
        if sample.counted
        and (sample.peer == UNKNOWN or sample.about not in told)
        and believed.get((sample.resource, sample.direction), origin(sample.source)) != origin(sample.source)
    }
    if not lacking:
        return ()
    why = "of peers that may not be told of the numbers are those of one source, because others may have seen the same requests"
    return (f"{why}: {first_few(['/'.join(filter(None, ref[1:])) for ref in sorted(lacking)])}",)


def _of_first(group: Sequence[Sample], origin: Origin) -> list[Sample]:
    def standing(sample: Sample) -> tuple[bool, int, bool]:
        rank, elsewhere = origin(sample.source)
        return not sample.counted, rank, elsewhere is not None

    first = min(group, key=standing)
    return [sample for sample in group if origin(sample.source) == origin(first.source)]


def discreet(warnings: Iterable[str], visible: Places | None, home: str) -> tuple[str, ...]:
    """The sentences a reader of ``home`` may be told: those that name what is hidden say it without names, or are left out."""
    if visible is None:
        return tuple(warnings)
    told = [
        warning.otherwise
        if isinstance(warning, Naming)
        and any((place := place_of(ref, home)) is not None and place not in visible for ref in warning.about)
        else warning
        for warning in warnings
    ]
    return tuple(dict.fromkeys(filter(None, told)))


def words_of(name: str) -> frozenset[str]:
    """Every name of a namespace that may be part of the name of a host.

    Meshes know some Services by a text alone: ``db.data.svc.cluster.local``, ``db.data:80``, ``data-db-80``, ``data_db_80``. Where a
    hyphen is, a word may begin or end, or not.
    """
    return frozenset(run for word in _BETWEEN_WORDS.split(name.lower()) for run in _runs(word))


def _runs(word: str) -> Iterator[str]:
    parts = word.split("-")
    for start in range(len(parts)):
        for end in range(start + 1, len(parts) + 1):
            run = "-".join(parts[start:end])
            if len(run) > _LONGEST:
                break
            if parts[start] and parts[end - 1]:
                yield run


def _as_one(group: Sequence[Sample]) -> Sample:
    """The samples added up, as if one unknown peer had been seen by one observer."""
    natural = Side.CLIENT if group[0].direction is Direction.TO else Side.SERVER
    best = min(group, key=lambda sample: (sample.trust, sample.side is not natural, sample.source))
    together = added(group) if len({sample.source for sample in group}) == 1 else combined(group)
    return replace(together, peer=UNKNOWN, side=best.side, trust=best.trust, source=sources_of((best, *group)), identities=None)
