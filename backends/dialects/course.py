"""The course of one question to one dialect: what is read first, and what that makes it necessary to read."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace

from backends.dialects.dialect import Dialect
from backends.dialects.interpret import Rows, interpret, passed_by
from backends.dialects.part import Part, Read
from backends.dialects.plan import by_caller, peer_kinds, plan, seen_by_callers, unnamed_peers
from metrics_api import Sample, Side, TrafficQuery

__all__ = ["Course"]


class Course:
    """One of the questions of a consultation. ``samples`` is its answer once there is nothing left to read."""

    def __init__(self, dialect: Dialect, query: TrafficQuery, source: str) -> None:
        self._dialect = dialect
        self._query = query
        self._source = source
        self._stages: list[list[Part]] = plan(dialect, query)
        # Mostly there are no series apart from those that name what is asked for; a counter shows it.
        self._probing = bool(query.apart_from)
        self._called: frozenset[Hashable] = frozenset()
        self._known: Mapping[Read, Rows] = {}
        self._peers_told = not (query.edges and query.peer_members)
        self.samples: tuple[Sample, ...] = ()

    @property
    def parts(self) -> Sequence[Part]:
        """The parts that are asked now."""
        stage = self._stages[0] if self._stages else []
        return [replace(part, latencies=(), sums=()) for part in stage] if self._probing else stage

    @property
    def reads(self) -> tuple[Read, ...]:
        """What has to be read now, each once; nothing when the answer is complete."""
        return tuple(dict.fromkeys(read for part in self.parts for read in part.reads if read not in self._known))

    def take(self, results: Mapping[Read, Rows]) -> None:
        """Go on with the rows of all :attr:`reads`."""
        self._known = {**self._known, **results}
        while self._stages and not self.reads:
            self._advance()

    def _advance(self) -> None:
        stage, *rest = self._stages
        if self._probing:
            self._probing = False
            if not any(self._known[part.requests] for part in stage):
                self._stages = []
            return
        found = interpret(stage, self._query, self._known, self._source, self._dialect.name)
        if self._called:
            found = tuple(sample for sample in found if sample.about in self._called)
        known = {sample.about for sample in found}
        self.samples = (*found, *(sample for sample in self.samples if sample.about not in known))
        self._stages = self._next(stage, rest, found)

    def _next(self, stage: list[Part], rest: list[list[Part]], found: Sequence[Sample]) -> list[list[Part]]:
        """What is to be asked after a stage that has found this."""
        if not self._peers_told and any(sample.peer.kind not in peer_kinds(self._query) for sample in found):
            self._peers_told = True
            told, untold = unnamed_peers(self._dialect, self._query, stage)
            if untold:
                self.samples = ()
                return [[*told, *untold]]
        if not any(part.callers for part in stage) and passed_by(stage, self._known):
            return [by_caller(self._dialect, self._query)]
        if any(part.bare for part in stage) and (called := _counted_at_clients(found)):
            self._called = called
            return [parts] if (parts := seen_by_callers(self._dialect, self._query)) else []
        return [] if any(sample.counted for sample in self.samples) else rest


def _counted_at_clients(samples: Sequence[Sample]) -> frozenset[Hashable]:
    """What rows are about that were counted at the client."""
    return frozenset(sample.about for sample in samples if sample.side is Side.CLIENT and sample.counted)
