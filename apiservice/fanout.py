"""Asking the sources: all that can answer, at the same time, each outcome on its own, identical questions once."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field

from cachetools import TTLCache

from apiservice.logformat import go_duration
from apiservice.logs import QUESTIONS, fields
from metrics_api import Answer, Backend, BackendError, BackendForgot, Sample, TrafficQuery, Unsupported, Window
from metrics_api.backend import GivesPercentiles
from metrics_api.flight import Sharing, SingleFlight
from metrics_api.sample import Covered

__all__ = ["Fanout", "Gathered", "Observer"]

logger = logging.getLogger(__name__)

_SAMPLES_KEPT = 50_000
"""How many samples finished answers may hold together; one takes about 1 KiB."""


class Observer:
    """Whom a :class:`Fanout` tells what it does, so that it can be counted; this one does not care."""

    def asked(self, source: str, outcome: str, seconds: float, rows: int) -> None:
        """A source was asked; ``outcome`` is ``ok``, ``cancelled`` or the name of the error, ``rows`` is 0 without an answer."""


@dataclass(frozen=True, slots=True)
class Gathered:
    """What all sources together say: of several sources with a row, the first in the configuration gives it.

    ``elsewhere`` are the sources whose numbers are of another instant or window than the first one's, and what these are.
    ``asked`` is a source to name when something is missing: the first that failed, or else the first that was asked.
    """

    samples: tuple[Sample, ...]
    instant: int
    window: Window
    warnings: tuple[str, ...]
    incomplete: bool
    asked: str = ""
    elsewhere: Mapping[str, Covered] = field(default_factory=dict)


class Fanout:
    """Asks backends, and remembers answers for ``keep`` seconds, whole or not.

    A query names its instant, and when that is past nobody asks it again.

    ``observer`` is told of every question asked of a source, ``sharing`` of those that need not be asked.
    """

    def __init__(
        self,
        backends: Sequence[Backend],
        observer: Observer | None = None,
        keep: float = 5.0,
        sharing: Sharing | None = None,
    ) -> None:
        self._backends = tuple(backends)
        self._observer = observer or Observer()
        self._sharing = sharing or Sharing()
        self._kept: TTLCache[TrafficQuery, Gathered] = TTLCache(_SAMPLES_KEPT, keep, getsizeof=lambda held: 1 + len(held.samples))
        self._flights: SingleFlight[Gathered] = SingleFlight()
        self._troubles: dict[str, str] = {}

    @property
    def gives_percentiles(self) -> bool:
        """Whether a source must be told which percentiles are wanted; all others give histograms, which tell any."""
        return any(isinstance(backend, GivesPercentiles) and backend.gives_percentiles for backend in self._backends)

    def trouble(self, source: str) -> str | None:
        """Why the last question a source was asked failed; None when it did not, or none was asked yet."""
        return self._troubles.get(source)

    async def gather(self, query: TrafficQuery) -> Gathered:
        """The combined answer.

        Raises :class:`metrics_api.errors.Unsupported` when no source can ever answer such a query, and the
        :class:`metrics_api.errors.BackendError` of the first source when all that could have failed.
        """
        held = self._kept.get(query)
        if held is not None:
            self._sharing.held()
            return held
        return await self._flights.once(query, lambda: self._ask(query), self._sharing.joined)

    async def _ask(self, query: TrafficQuery) -> Gathered:
        self._sharing.missed()
        refusals = {backend.name: backend.refusal(query) for backend in self._backends}
        able = [backend for backend in self._backends if refusals[backend.name] is None]
        if not able:
            raise Unsupported("; ".join(f'source "{name}": {why}' for name, why in refusals.items()) or "no source is configured")
        outcomes = await asyncio.gather(*(self._one(backend, query) for backend in able))
        answered = [(backend.name, outcome) for backend, outcome in zip(able, outcomes, strict=True) if isinstance(outcome, Answer)]
        answers = [answer for _, answer in answered]
        failures = [outcome for outcome in outcomes if isinstance(outcome, BackendError)]
        if not answers:
            raise failures[0]
        gathered = Gathered(
            samples=_first_of_each(answers),
            instant=answers[0].instant,
            window=answers[0].window,
            warnings=tuple(
                dict.fromkeys([*(error.message for error in failures), *(text for answer in answers for text in answer.warnings)])
            ),
            asked=failures[0].backend if failures else able[0].name,
            elsewhere={
                name: (answer.instant, answer.window)
                for name, answer in answered
                if (answer.instant, answer.window) != (answers[0].instant, answers[0].window)
            },
            incomplete=bool(failures) or any(answer.incomplete for answer in answers),
        )
        if len(gathered.samples) < _SAMPLES_KEPT:
            self._kept[query] = gathered
        return gathered

    async def _one(self, backend: Backend, query: TrafficQuery) -> Answer | BackendError:
        """One source's outcome: a failing one must not cancel its siblings."""
        start = time.perf_counter()
        outcome, rows = "cancelled", 0
        try:
            answer = await backend.answer(query)
        except BackendForgot as error:
            # Nothing is wrong with a source that does not reach so far back.
            outcome = type(error).__name__
            return error
        except BackendError as error:
            outcome = type(error).__name__
            self._troubles[backend.name] = error.message
            logger.warning("%s", error.message)
            return error
        else:
            outcome, rows = "ok", len(answer.samples)
            self._troubles.pop(backend.name, None)
            return answer
        finally:
            seconds = time.perf_counter() - start
            self._observer.asked(backend.name, outcome, seconds, rows)
            if logger.isEnabledFor(QUESTIONS):
                told = {"source": backend.name, "outcome": outcome, "latency": go_duration(seconds), "rows": rows}
                logger.log(QUESTIONS, "asked a source", extra=fields(told))


def _first_of_each(answers: Sequence[Answer]) -> tuple[Sample, ...]:
    if len(answers) == 1:
        return answers[0].samples
    chosen: dict[Hashable, Sample] = {}
    for answer in answers:
        for sample in answer.samples:
            held = chosen.setdefault(sample.about, sample)
            # A source that knows of connections alone has nothing to say of requests that another one counts.
            if sample.counted and not held.counted:
                chosen[sample.about] = sample
    return tuple(chosen.values())
