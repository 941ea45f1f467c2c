"""Traffic as callers observed it, understood: rows by the namespace they are about, and what could not be understood."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import NamedTuple

from backends.cloudwatch.naming import asked_for
from backends.cloudwatch.responses import Responses, edges_of, total_of
from backends.cloudwatch.rows import Row
from backends.cloudwatch.selection import concerns
from metrics_api import ResourceRef, Side, TrafficQuery
from metrics_api.resources import host

__all__ = ["End", "Observed"]


class End(NamedTuple):
    """One end of calls: what AWS calls it, and the object that it is, None when nobody knows."""

    name: str
    ref: ResourceRef | None

    @property
    def peer(self) -> ResourceRef:
        """What it is for the other end."""
        return self.ref or host(self.name)


@dataclass(frozen=True, slots=True)
class Observed:
    """All rows there are; ``unnamed`` is what AWS calls those ends that are no object."""

    unnamed: set[str] = field(default_factory=set)
    _totals: dict[str, list[Row]] = field(default_factory=lambda: defaultdict(list))
    _edges: dict[str, list[Row]] = field(default_factory=lambda: defaultdict(list))

    def add_total(self, callee: End, responses: Responses) -> None:
        """Adds responses to what ``callee`` received in total."""
        if callee.ref is None:
            self.unnamed.add(callee.name)
        else:
            self._totals[callee.ref.namespace].append(total_of(callee.ref, Side.CLIENT, responses))

    def add_edge(self, caller: End, callee: End, responses: Responses) -> None:
        """Adds responses to what ``caller`` observed of ``callee``, for both of them as far as they are objects."""
        self.unnamed.update(end.name for end in (caller, callee) if end.ref is None)
        for row in edges_of(caller.peer, callee.peer, responses):
            self._edges[row.resource.namespace].append(row)

    def about(self, query: TrafficQuery) -> list[Row]:
        """The rows that a question is about."""
        rows = self._edges if query.edges else self._totals
        namespace = query.name if query.kinds == ("Namespace",) else query.namespace
        found = rows.get(namespace, ()) if namespace else chain.from_iterable(rows.values())
        return [row for row in found if asked_for(row.resource, query) and concerns(row, query)]

    def totals(self) -> Iterator[ResourceRef]:
        """The objects whose total is known."""
        return (row.resource for rows in self._totals.values() for row in rows)
