"""Asking one source: through its circuit, a second time if it takes long, and with every outcome told and remembered."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeVar

from apiservice.federation.breaker import Admission, Breaker, Circuit
from apiservice.federation.hedging import hedged
from apiservice.federation.observer import Observer
from apiservice.logformat import go_duration
from apiservice.logs import QUESTIONS, fields
from apiservice.sources.health import SourceHealth, SourceState
from metrics_api import Answer, BackendError, BackendForgot, BackendTimeout, BackendUnavailable, Source, Span, TrafficQuery

__all__ = ["Asking", "Outcome", "PastOutcome"]

logger = logging.getLogger("apiservice.federation.fanout")

Outcome = Answer | BackendError
"""What becomes of asking a source: a failing one must not disturb its siblings."""

PastOutcome = tuple[Answer, ...] | BackendError
"""The same for a history: an answer for each of its instants, in order."""

T = TypeVar("T", bound=Answer | tuple[Answer, ...])

_PATIENCE = 0.3
"""Seconds that a question waits to see whether a source that failed is well again; the probe itself goes on."""

_LONGEST_COOL_DOWN = 5.0


class Asking:
    """One source, and how it has been. A source that failed is tried again within half of ``refresh`` seconds, 5 at most.

    ``deadline`` is the seconds that all sources have for an answer. ``hedge_after`` are those after which a question is asked a second
    time: that may change while the source, and all that is known of it, stays.
    """

    def __init__(self, source: Source, observer: Observer, refresh: float, deadline: float) -> None:
        self._deadline = deadline
        self._backend = source.backend
        self.hedge_after = source.terms.hedge_after
        self._observer = observer
        self._breaker = Breaker(min(refresh / 2, _LONGEST_COOL_DOWN))
        self._probe: asyncio.Task[Any] | None = None
        self._was_open = False
        self.trouble: str | None = None
        """Why the last question failed; None when it did not, or none was asked yet."""
        self.since: float | None = None
        """Unix time since when it has answered, or has not; None while it was not asked."""

    @property
    def circuit(self) -> Circuit:
        """Whether questions reach it."""
        return self._breaker.state

    @property
    def health(self) -> SourceHealth:
        """How it has been."""
        if self.since is None:
            return SourceHealth()
        state = SourceState.OPEN if self.circuit is not Circuit.CLOSED else SourceState.FAILING if self.trouble else SourceState.OK
        return SourceHealth(state, self.trouble or "", self.since)

    def is_of(self, source: Source) -> bool:
        """Whether it is this one that is asked, on whatever terms."""
        return self._backend is source.backend

    def leave(self) -> None:
        """Tell nothing any more, whatever becomes of the questions that are under way: another source may have the name by now."""
        if self._was_open:
            self._observer.circuit(self._backend.name, is_open=False)
        self._observer = Observer()

    async def close(self) -> None:
        """End the probe that is under way."""
        if self._probe is not None:
            self._probe.cancel()
            await asyncio.gather(self._probe, return_exceptions=True)

    async def ask(self, query: TrafficQuery) -> Outcome:
        """The outcome of a question; one that is not asked because the source fails is :class:`BackendUnavailable`."""
        return await self._through(partial(self._answer, query))

    async def history(self, query: TrafficQuery, span: Span) -> PastOutcome:
        """The same for all instants of a span. A history is not asked a second time because it takes long.

        How much of it is asked is up to who asks: that a source cannot tell so much is no reason not to ask it anything else. So a history
        opens no circuit, and one that is open is tried with a plain question, which does not keep others waiting for long.
        """
        if self.circuit is not Circuit.CLOSED and isinstance(outcome := await self.ask(query), BackendError):
            return outcome
        return await self._through(partial(self._within, partial(self._backend.history, query, span)), counts=False)

    async def _through(self, work: Callable[[], Awaitable[T]], *, counts: bool = True) -> T | BackendError:
        admission = self._breaker.admit()
        if admission is None and self._probe is not None and not self._probe.done():
            # What another question finds out is worth a moment: the source may be well again.
            await asyncio.wait({self._probe}, timeout=_PATIENCE)
            admission = self._breaker.admit()
        if admission is None:
            self._observer.skipped(self._backend.name, "circuit")
            return self._breaker.refusal(self._backend.name)
        if not admission.probe:
            return await self._one(work, admission, counts=counts)
        probe: asyncio.Task[T | BackendError] = asyncio.create_task(self._one(work, admission))
        self._probe = probe
        finished, _ = await asyncio.wait({probe}, timeout=_PATIENCE)
        if finished:
            return probe.result()
        return BackendUnavailable(
            self._backend.name, f"is being tried again, and has not answered within {_PATIENCE:g}s; last: {self._reason()}"
        )

    def _reason(self) -> str:
        return self._breaker.reason.removeprefix(f'source "{self._backend.name}": ')

    async def _one(self, work: Callable[[], Awaitable[T]], admission: Admission, *, counts: bool = True) -> T | BackendError:
        """The outcome; ``counts`` says whether a failure is one of the source."""
        start = time.perf_counter()
        outcome, rows = "cancelled", 0
        try:
            found = await work()
        except BackendForgot as error:
            # Nothing is wrong with a source that does not reach so far back.
            outcome = type(error).__name__
            self._breaker.ended(admission, error)
            return error
        except BackendError as error:
            outcome = type(error).__name__
            if counts:
                self._breaker.ended(admission, error)
            else:
                self._breaker.gave_up(admission)
            self._failed(error)
            return error
        except BaseException:
            self._breaker.gave_up(admission)
            raise
        else:
            outcome, rows = "ok", _rows(found)
            self._breaker.succeeded(admission)
            self._well()
            return found
        finally:
            self._tell_circuit()
            self._log(outcome, time.perf_counter() - start, rows)

    async def _answer(self, query: TrafficQuery) -> Answer:
        ask = partial(self._backend.answer, query)
        return await self._within(lambda: hedged(ask, self.hedge_after, lambda: self._observer.hedged(self._backend.name)))

    async def _within(self, work: Callable[[], Awaitable[T]]) -> T:
        try:
            async with asyncio.timeout(self._deadline):
                return await work()
        except TimeoutError as error:
            told = f"did not answer within {self._deadline:g}s, in which all sources have to"
            raise BackendTimeout(self._backend.name, told) from error

    def _failed(self, error: BackendError) -> None:
        if self.trouble is None:
            self.since = time.time()
        self.trouble = error.message
        logger.warning("%s", error.message)

    def _well(self) -> None:
        if self.trouble is not None or self.since is None:
            self.since = time.time()
        self.trouble = None

    def _tell_circuit(self) -> None:
        is_open = self._breaker.state is not Circuit.CLOSED
        if is_open != self._was_open:
            self._was_open = is_open
            self._observer.circuit(self._backend.name, is_open=is_open)

    def _log(self, outcome: str, seconds: float, rows: int) -> None:
        self._observer.asked(self._backend.name, outcome, seconds, rows)
        if logger.isEnabledFor(QUESTIONS):
            told = {"source": self._backend.name, "outcome": outcome, "latency": go_duration(seconds), "rows": rows}
            logger.log(QUESTIONS, "asked a source", extra=fields(told))


def _rows(found: Answer | tuple[Answer, ...]) -> int:
    return len(found.samples) if isinstance(found, Answer) else sum(len(answer.samples) for answer in found)
