"""One question put to one dialect: what is to be read next, until enough is known to answer.

A source alternates between reading what :attr:`Consultation.reads` lists and handing the rows over with :meth:`Consultation.take`; it
need not know why something more is asked for. That is so where the first look found nothing, where only callers saw some of what was
received, and where an observer that callers may pass by has seen some of the traffic.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence

from backends.dialects.dialect import Dialect
from backends.dialects.interpret import Rows, interpret, passed_by
from backends.dialects.plan import Part, Read, by_caller, omissions, plan, seen_by_callers
from metrics_api import Sample, Side, TrafficQuery, first_few

__all__ = ["Consultation"]


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
    def dialect(self) -> str:
        """The name of the dialect."""
        return self._dialect.name

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
        elif any(part.bare for part in stage) and (called := _counted_at_clients(found)):
            self._called = called
            self._stages = [parts] if (parts := seen_by_callers(self._dialect, self._query)) else []
        else:
            self._stages = [] if any(sample.counted for sample in self.samples) else rest

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the reader of the answer must know: which half of it the dialect cannot tell, and which rows have connections alone."""
        return self.warned(self.samples)

    def warned(self, kept: Sequence[Sample]) -> tuple[str, ...]:
        """The warnings if only these of the samples are in the answer."""
        told = list(self._lacks)
        if silent := [sample for sample in kept if not sample.counted]:
            told.append(
                f'source "{self._source}": dialect {self.dialect} knows connections and bytes alone (TCP), no requests and no '
                f"latencies, of {first_few([_named(sample) for sample in silent])}"
            )
        return tuple(told)

    def left_out(self, samples: Sequence[Sample], first: str) -> str:
        """The sentence about samples that are not in the answer, because the dialect ``first`` tells of the same things."""
        named = first_few([_named(sample) for sample in samples])
        return (
            f'source "{self._source}": dialect {first} tells of {named}; what dialect {self.dialect} counts there is not '
            "added, because it may be the same requests: ask for workloads, where the dialects tell of any"
        )


def _named(sample: Sample) -> str:
    name = f"{sample.resource.kind} {sample.resource.name}".strip()
    return f"{name} {sample.direction.value} {sample.peer.name}" if sample.peer.name else name


def _counted_at_clients(samples: Sequence[Sample]) -> frozenset[Hashable]:
    """What rows are about that were counted at the client."""
    return frozenset(sample.about for sample in samples if sample.side is Side.CLIENT and sample.counted)
