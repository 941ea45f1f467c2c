"""One question put to one dialect: what is to be read next, until enough is known to answer.

A source alternates between reading what :attr:`Consultation.reads` lists and handing the rows over with :meth:`Consultation.take`; it
need not know why something more is asked for. That is so where the first look found nothing, where only callers saw some of what was
received, and where an observer that callers may pass by has seen some of the traffic.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence

from backends.dialects.dialect import Dialect
from backends.dialects.interpret import Rows, interpret, passed_by
from backends.dialects.plan import Part, Read, by_caller, by_callers, omissions, plan
from metrics_api import Sample, Side, TrafficQuery

__all__ = ["Consultation", "combined"]

_MOST_NAMED = 3
"""How many rows a warning names."""


class Consultation:
    """A question under way. ``samples`` is its answer once there is nothing left to read."""

    def __init__(self, dialect: Dialect, query: TrafficQuery, source: str) -> None:
        self._dialect = dialect
        self._query = query
        self._source = source
        self._stages: list[list[Part]] = plan(dialect, query)
        self._lacks = tuple(f'source "{source}": {text}' for text in omissions(dialect, query))
        self._called: frozenset[Hashable] = frozenset()
        self.samples: tuple[Sample, ...] = ()

    @property
    def fallback(self) -> bool:
        """Whether another dialect that knows of the same traffic is to be believed."""
        return self._dialect.fallback

    @property
    def parts(self) -> Sequence[Part]:
        """The parts that are asked now."""
        return self._stages[0] if self._stages else ()

    @property
    def reads(self) -> tuple[Read, ...]:
        """What has to be read now, each once; nothing when the answer is complete."""
        return tuple(dict.fromkeys(read for part in self.parts for read in part.reads))

    def take(self, results: Mapping[Read, Rows]) -> None:
        """Go on with the rows of all :attr:`reads`. Does no I/O, so that a thread may do it when there are many rows."""
        stage, *rest = self._stages
        found = interpret(stage, self._query, results, self._source)
        if self._called:
            found = tuple(sample for sample in found if sample.about in self._called)
        known = {sample.about for sample in found}
        self.samples = (*found, *(sample for sample in self.samples if sample.about not in known))
        if not any(part.callers for part in stage) and passed_by(stage, results):
            self._stages = [by_caller(self._dialect, self._query)]
        elif any(part.bare for part in stage) and (called := _seen_by_callers(found)):
            self._called = called
            self._stages = [parts] if (parts := by_callers(self._dialect, self._query)) else []
        else:
            self._stages = [] if any(map(_counted, self.samples)) else rest

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the reader of the answer must know: which half of it the dialect cannot tell, and which rows have connections alone."""
        told = list(self._lacks)
        silent = [sample for sample in self.samples if not _counted(sample)]
        if silent:
            names = [_named(sample) for sample in silent[:_MOST_NAMED]]
            more = f" and {len(silent) - _MOST_NAMED} more" if len(silent) > _MOST_NAMED else ""
            told.append(
                f'source "{self._source}": dialect {self._dialect.name} knows connections and bytes alone (TCP), no requests and no '
                f"latencies, of {', '.join(names)}{more}"
            )
        return tuple(told)


def combined(consultations: Sequence[Consultation]) -> tuple[tuple[Sample, ...], tuple[str, ...]]:
    """What several dialects know together, and what the reader must know of it.

    Of two that know of the same traffic the first one is believed. One that is a fallback is heard about resources of which no other knows
    anything: it may name them and their peers otherwise.
    """
    samples: dict[Hashable, Sample] = {}
    warnings: dict[str, None] = {}
    known: set[tuple[str, ...]] = set()
    for consultation in consultations:
        fallback = consultation.fallback and len(consultations) > 1
        news = [sample for sample in consultation.samples if not fallback or sample.resource[1:] not in known]
        for sample in news:
            samples.setdefault(sample.about, sample)
        if news or not fallback:
            warnings |= dict.fromkeys(consultation.warnings)
        known |= {sample.resource[1:] for sample in consultation.samples}
    return tuple(samples.values()), tuple(warnings)


def _seen_by_callers(samples: Sequence[Sample]) -> frozenset[Hashable]:
    """What rows are about that were counted at the client."""
    return frozenset(sample.about for sample in samples if sample.side is Side.CLIENT and _counted(sample))


def _counted(sample: Sample) -> bool:
    return sample.success is not None or sample.failure is not None


def _named(sample: Sample) -> str:
    name = f"{sample.resource.kind} {sample.resource.name}".strip()
    return f"{name} {sample.direction.value} {sample.peer.name}" if sample.peer.name else name
