"""Asking the sources: all that can answer, at the same time, each outcome on its own, identical questions once.

One answer has one deadline, and nobody waits for a source that cannot change it any more: one that does not cover what is asked, one that
failed again and again of late, one that comes after a source that has told already what a name did. What could not be told is said.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Self

from apiservice.federation.asking import Asking, Outcome
from apiservice.federation.coverage import by_pods, covered
from apiservice.federation.observer import Observer
from apiservice.shortlived import ShortLived
from apiservice.sources.health import SourceHealth
from metrics_api import (
    Answer,
    Backend,
    BackendError,
    BadQuery,
    Merge,
    ResourceRef,
    Sample,
    Source,
    Span,
    TrafficQuery,
    Unsupported,
    Window,
    aside,
    first_few,
    together,
)
from metrics_api.backend import GivesPercentiles
from metrics_api.federation import merged, ranks
from metrics_api.flight import Sharing, SingleFlight
from metrics_api.sample import Covered, first_source

__all__ = ["DEADLINE", "Fanout", "Gathered"]

DEADLINE = 20.0
"""Seconds that all sources together have for one answer."""

_SAMPLES_KEPT = 50_000
"""How many samples finished answers may hold together; one takes about 1 KiB."""

_LARGEST_HISTORY = 100_000
"""How many samples the answers of one history may hold together: it is in memory while it is told."""

_HISTORIES_KEPT = 15.0
"""Seconds a history is remembered: several panels of a dashboard tell of the same one, and it takes long to read."""

Naming = Callable[[ResourceRef], ResourceRef]


def _as_it_is(resource: ResourceRef) -> ResourceRef:
    return resource


@dataclass(frozen=True, slots=True)
class Gathered:
    """What all sources together say.

    ``elsewhere`` are the sources whose numbers are of another instant or window than the first one's, and what these are.
    ``asked`` is a source to name when something is missing: the first that failed, or else the first that was asked.
    ``order`` is the order in which sources are believed, by their names (:func:`metrics_api.federation.ranks`).
    """

    samples: tuple[Sample, ...]
    instant: int
    window: Window
    warnings: tuple[str, ...]
    incomplete: bool
    asked: str = ""
    elsewhere: Mapping[str, Covered] = field(default_factory=dict)
    order: Mapping[str, int] = field(default_factory=dict)

    def origin(self, source: str) -> tuple[int, Covered | None]:
        """The rank of a source, or of the first of several, and what its numbers describe if that is another window or instant."""
        first = first_source(source)
        return self.order.get(first, 0), self.elsewhere.get(first)


class Fanout:
    """Asks sources, and remembers answers for ``keep`` seconds, whole or not: a query names its instant, and is not asked again then.

    ``observer`` is told of every question asked of a source, ``sharing`` of those that need not be asked. ``deadline`` is in seconds.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        observer: Observer | None = None,
        keep: float = 5.0,
        sharing: Sharing | None = None,
        deadline: float = DEADLINE,
    ) -> None:
        self._observer = observer or Observer()
        self._sources = tuple(sources)
        self._order = ranks(sources)
        self._limited = {source.name: source.terms for source in sources if not source.terms.everywhere}
        self._asking = {source.name: Asking(source, self._observer, keep, deadline) for source in sources}
        self._handed_over: set[str] = set()
        self._sharing = sharing or Sharing()
        self._kept: ShortLived[TrafficQuery, Gathered] = ShortLived(_SAMPLES_KEPT, keep, lambda held: 1 + len(held.samples))
        self._flights: SingleFlight[Gathered] = SingleFlight()
        self._histories: ShortLived[TrafficQuery, Mapping[int, Gathered]] = ShortLived(
            2 * _LARGEST_HISTORY, _HISTORIES_KEPT, lambda held: 1 + sum(len(each.samples) for each in held.values())
        )
        self._history_flights: SingleFlight[Mapping[int, Gathered]] = SingleFlight()

    @classmethod
    def of(
        cls, backends: Sequence[Backend], observer: Observer | None = None, keep: float = 5.0, sharing: Sharing | None = None
    ) -> Self:
        """The fan-out over sources that cover everything, the first of which is believed."""
        return cls([Source(backend) for backend in backends], observer, keep, sharing)

    @property
    def gives_percentiles(self) -> bool:
        """Whether a source must be told which percentiles are wanted; all others give histograms, which tell any."""
        backends = (source.backend for source in self._sources)
        return any(isinstance(backend, GivesPercentiles) and backend.gives_percentiles for backend in backends)

    def covers(self, source: str, resource: ResourceRef) -> bool:
        """Whether what a source says of an object is heard, now that the object has its name."""
        return source not in self._limited or self._limited[source].covers_resource(resource)

    def trouble(self, source: str) -> str | None:
        """Why the last question a source was asked failed; None when it did not, or none was asked yet."""
        return self._asking[source].trouble

    def health(self, source: str) -> SourceHealth:
        """How a source has been."""
        return self._asking[source].health

    def hand_over(self, source: Source) -> Asking | None:
        """How a source is asked, for another who goes on with it; None when the one of that name is another here."""
        asking = self._asking.get(source.name)
        if asking is None or not asking.is_of(source):
            return None
        self._handed_over.add(source.name)
        return asking

    def take_over(self, source: str, asking: Asking) -> None:
        """Ask a source as it was asked before: with its circuit, with how it has been, and with what is under way."""
        asking.hedge_after = self._asking[source].hedge_after
        self._asking[source] = asking

    def leave(self) -> None:
        """Tell nothing any more of the sources that nobody goes on with."""
        for asking in self._remaining():
            asking.leave()

    async def close(self) -> None:
        """End what is still asked of sources that failed, if nobody goes on with them."""
        for asking in self._remaining():
            await asking.close()

    def _remaining(self) -> list[Asking]:
        return [asking for name, asking in self._asking.items() if name not in self._handed_over]

    async def gather(self, query: TrafficQuery, naming: Naming = _as_it_is) -> Gathered:
        """The combined answer; ``naming`` tells what an object is that a source knows by an incomplete name.

        Of a query that is a part of a history all instants are read at once, and remembered for the others of them.
        Raises :class:`metrics_api.errors.Unsupported` when no source can ever answer such a query, and the
        :class:`metrics_api.errors.BackendError` of the first source when all that could have failed.
        """
        if query.span is not None:
            return (await self._history(replace(query, instant=query.span.end), query.span))[query.instant]
        held = self._kept.get(query)
        if held is not None:
            self._sharing.held()
            return held
        return await self._flights.once(query, lambda: self._ask(query, naming), self._sharing.joined)

    async def _ask(self, query: TrafficQuery, naming: Naming) -> Gathered:
        self._sharing.missed()
        able = self._able(query)
        outcomes = await self._outcomes(query, able, naming)
        gathered = await self._gathered(query, able, outcomes)
        if gathered.incomplete:
            self._observer.incomplete()
        if len(gathered.samples) < _SAMPLES_KEPT:
            self._kept[query] = gathered
        return gathered

    async def _history(self, query: TrafficQuery, span: Span) -> Mapping[int, Gathered]:
        """What a query comes to at each instant of the span it is a part of."""
        held = self._histories.get(query)
        if held is not None:
            self._sharing.held()
            return held
        return await self._history_flights.once(query, partial(self._ask_history, query, span), self._sharing.joined)

    async def _ask_history(self, query: TrafficQuery, span: Span) -> Mapping[int, Gathered]:
        self._sharing.missed()
        plain = replace(query, span=None)
        able = self._able(plain)
        told = await together(*(self._asking[source.name].history(asked, span) for source, asked in able))
        size = sum(len(answer.samples) for outcome in told if not isinstance(outcome, BackendError) for answer in outcome)
        if size > _LARGEST_HISTORY:
            raise BadQuery(
                f"{size} rows of traffic at {len(span.instants)} instants are more than the {_LARGEST_HISTORY} that are read at once: "
                "take a longer step or a shorter range, or ask for one namespace or one workload"
            )
        found: dict[int, Gathered] = {}
        for place, instant in enumerate(span.instants):
            # Others have their turn: what is put together here may be large.
            await asyncio.sleep(0)
            outcomes: list[tuple[Source, Outcome]] = [
                (source, outcome if isinstance(outcome, BackendError) else outcome[place])
                for (source, _), outcome in zip(able, told, strict=True)
            ]
            found[instant] = await self._gathered(replace(plain, instant=instant), able, outcomes)
        if any(gathered.incomplete for gathered in found.values()):
            self._observer.incomplete()
        self._histories[query] = found
        return found

    async def _gathered(
        self, query: TrafficQuery, able: Sequence[tuple[Source, TrafficQuery]], outcomes: Sequence[tuple[Source, Outcome]]
    ) -> Gathered:
        """The outcomes as one answer; raises the first failure when there is nothing else."""
        answers = [(source, outcome) for source, outcome in outcomes if isinstance(outcome, Answer)]
        failures = [outcome for _, outcome in outcomes if isinstance(outcome, BackendError)]
        if not answers:
            raise failures[0]
        _, first = answers[0]
        main = instant, window = first.instant, first.window
        lead, outcome = outcomes[0]
        if isinstance(outcome, BackendError) and not lead.offer.delay:
            # What it would have been of; that others are late must not turn the version of the answer back.
            main = instant, window = query.instant, query.window
        return Gathered(
            samples=await aside(sum(len(answer.samples) for _, answer in answers), partial(merged, answers, self._order)),
            instant=instant,
            window=window,
            warnings=tuple(
                dict.fromkeys(
                    [
                        *(error.message for error in failures),
                        *(text for _, answer in answers for text in answer.warnings),
                        *self._untold(query, able),
                    ]
                )
            ),
            asked=failures[0].backend if failures else outcomes[0][0].name,
            elsewhere={
                source.name: (answer.instant, answer.window)
                for source, answer in answers
                if (answer.instant, answer.window) != main
            },
            incomplete=bool(failures) or any(answer.incomplete for _, answer in answers),
            order=self._order,
        )

    def _able(self, query: TrafficQuery) -> list[tuple[Source, TrafficQuery]]:
        """The sources that can answer, each with what it is asked; :class:`Unsupported` when there is none."""
        refusals: dict[str, str] = {}
        able: list[tuple[Source, TrafficQuery]] = []
        for source in self._sources:
            asked = covered(query, source.terms)
            if isinstance(asked, str):
                refusals[source.name] = asked
                self._observer.skipped(source.name, "coverage")
            elif refusal := source.backend.refusal(asked):
                refusals[source.name] = refusal
            else:
                able.append((source, asked))
        if not able:
            raise Unsupported("; ".join(f'source "{name}": {why}' for name, why in refusals.items()) or "no source is configured")
        if "Node" in query.kinds and any(source.name in self._limited for source, _ in able):
            # What one source says of a node and another of some of its pods are the same requests, and pods can be told apart.
            pods = by_pods(query)
            able = [(source, asked if source.backend.refusal(pods) else pods) for source, asked in able]
        return able

    def _untold(self, query: TrafficQuery, able: Sequence[tuple[Source, TrafficQuery]]) -> Iterator[str]:
        """What a reader must know of what nobody is asked about: parts of nodes and of sums, and namespaces."""
        names = {source.name for source, _ in able}
        if "Node" in query.kinds and names <= self._limited.keys():
            patterns = first_few(sorted({pattern for name in names for pattern in self._limited[name].namespaces}))
            yield f"numbers of nodes are those of pods in namespaces that a source covers, which are {patterns}"
        added = " and ".join(f'"{source.name}"' for source, _ in able if source.terms.merge is Merge.SUM)
        anywhere = not (query.name if "Namespace" in query.kinds else query.namespace)
        for source in self._sources:
            asked = covered(query, source.terms)
            if source.name in names or isinstance(asked, str):
                continue
            why = source.backend.refusal(asked)
            only = [each for each in source.terms.namespaces if not any(other.terms.covers(each) for other, _ in able)]
            if added and source.terms.merge is Merge.SUM:
                yield f'source "{source.name}", whose numbers are to be added to those of {added}, cannot tell: {why}'
            elif only and anywhere:
                yield f'nothing is told of {first_few(only)}, because source "{source.name}" cannot tell: {why}'

    async def _outcomes(
        self, query: TrafficQuery, able: Sequence[tuple[Source, TrafficQuery]], naming: Naming
    ) -> list[tuple[Source, Outcome]]:
        """What became of each source, in their order; those that were not needed in the end are left out."""
        flights = {source.name: asyncio.ensure_future(self._asking[source.name].ask(asked)) for source, asked in able}
        done: dict[str, Outcome] = {}
        try:
            # Each ends at the deadline by itself.
            while len(done) < len(flights) and not self._decided(query, able, done, naming):
                pending = {flight for name, flight in flights.items() if name not in done}
                finished, _ = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                done |= {name: flight.result() for name, flight in flights.items() if flight in finished}
        finally:
            for flight in flights.values():
                flight.cancel()
            await asyncio.gather(*flights.values(), return_exceptions=True)
        for name in flights:
            if name not in done:
                self._observer.skipped(name, "decided")
        return [(source, done[source.name]) for source, _ in able if source.name in done]

    def _decided(
        self, query: TrafficQuery, able: Sequence[tuple[Source, TrafficQuery]], done: Mapping[str, Outcome], naming: Naming
    ) -> bool:
        """Whether the sources that are still under way cannot change the answer: it is about one object, and one before them told of it."""
        if len(able) < 2 or query.edges or not query.name or len(query.kinds) != 1:
            return False
        kind = query.kinds[0]
        asked = ResourceRef(kind, "" if kind in ("Namespace", "Node") else query.namespace, query.name)
        for rank in sorted({self._order[source.name] for source, _ in able}):
            names = [source.name for source, _ in able if self._order[source.name] == rank]
            if any(name not in done for name in names):
                return False
            answers = [outcome for name in names if isinstance(outcome := done[name], Answer)]
            if any(sample.counted and naming(sample.resource) == asked for answer in answers for sample in answer.samples):
                return True
        return False
