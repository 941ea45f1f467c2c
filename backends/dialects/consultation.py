"""One question put to one dialect: what is to be read next, until enough is known to answer.

A source alternates between reading what :attr:`Consultation.reads` lists and handing the rows over with :meth:`Consultation.take`; it
need not know why something more is asked for. That is so where the first look found nothing, where only callers saw some of what was
received, and where an observer that callers may pass by has seen some of the traffic.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from typing import Self

from backends.dialects.course import Course
from backends.dialects.dialect import Dialect
from backends.dialects.interpret import Rows
from backends.dialects.levels import omissions, questions
from backends.dialects.part import Part, Read
from metrics_api import Naming, Sample, TrafficQuery, first_few

__all__ = ["Consultation"]


class Consultation:
    """A question under way. ``samples`` is its answer once there is nothing left to read.

    It is put to the dialect as one question or as several, each about other series (:func:`backends.dialects.levels.questions`).
    """

    def __init__(self, dialect: Dialect, query: TrafficQuery, source: str) -> None:
        self._dialect = dialect
        self._source = source
        self._courses = tuple(Course(dialect, asked, source) for asked in questions(dialect, query))
        self._lacks = tuple(f'source "{source}": {text}' for text in omissions(dialect, query))

    def __copy__(self) -> Self:
        twin = object.__new__(type(self))
        twin.__dict__ = {**self.__dict__, "_courses": tuple(map(copy, self._courses))}
        return twin

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
        return [part for course in self._courses for part in course.parts]

    @property
    def reads(self) -> tuple[Read, ...]:
        """What has to be read now, each once; nothing when the answer is complete."""
        return tuple(dict.fromkeys(read for course in self._courses for read in course.reads))

    def take(self, results: Mapping[Read, Rows]) -> None:
        """Go on with the rows of all :attr:`reads`. Does no I/O, so that a thread may do it when there are many rows."""
        for course in self._courses:
            if reads := course.reads:
                course.take({read: results[read] for read in reads})

    @property
    def samples(self) -> tuple[Sample, ...]:
        """What is known so far."""
        return tuple(sample for course in self._courses for sample in course.samples)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the reader of the answer must know: which half of it the dialect cannot tell, and which rows have connections alone."""
        return self.warned(self.samples)

    def warned(self, kept: Sequence[Sample]) -> tuple[str, ...]:
        """The warnings if only these of the samples are in the answer."""
        told = list(self._lacks)
        if silent := [sample for sample in kept if not sample.counted]:
            known = f'source "{self._source}": dialect {self.dialect} knows connections and bytes alone (TCP), no requests'
            sentence = f"{known} and no latencies, of"
            told.append(_naming(f"{sentence} {first_few([_named(sample) for sample in silent])}", silent, f"{sentence} some of it"))
        return tuple(told)

    def left_out(self, samples: Sequence[Sample], first: str) -> str:
        """The sentence about samples that are not in the answer, because the dialect ``first`` tells of the same things."""

        def tell(what: str) -> str:
            return (
                f'source "{self._source}": dialect {first} tells of {what}; what dialect {self.dialect} counts there is not '
                "added, because it may be the same requests: ask for workloads, where the dialects tell of any"
            )

        return _naming(tell(first_few([_named(sample) for sample in samples])), samples, tell("some of it"))


def _naming(sentence: str, samples: Sequence[Sample], otherwise: str) -> Naming:
    """A sentence that names the ends of samples."""
    return Naming(sentence, [end for sample in samples for end in (sample.resource, sample.peer)], otherwise)


def _named(sample: Sample) -> str:
    name = f"{sample.resource.kind} {sample.resource.name}".strip()
    return f"{name} {sample.direction.value} {sample.peer.name}" if sample.peer.name else name
