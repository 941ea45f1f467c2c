"""Circuit breaking: a source that fails again and again is not asked for a while, and then by one question at a time until it is well.

Closed, every question goes through. After ``threshold`` failures in a row the circuit opens: for ``cool_down`` seconds nobody asks. Then it
is half-open: one question at a time is let through as a probe, and all others are refused. An answer closes the circuit at once, a failure
opens it for as long again.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from enum import StrEnum
from typing import NamedTuple

from metrics_api import BackendError, BackendForgot, BackendUnavailable
from metrics_api.errors import BackendRefused

__all__ = ["Admission", "Breaker", "Circuit"]


class Circuit(StrEnum):
    """The states of a circuit."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


class Admission(NamedTuple):
    """The leave to ask one question, which is handed back with what became of it; ``probe`` says that all others wait for that.

    ``era`` is how often the circuit had opened or closed by then: failures of an era that is over say nothing new.
    """

    era: int
    probe: bool = False


class Breaker:
    """The circuit of one source. It does no I/O, and is used by one thread; ``clock`` gives seconds, and never goes back.

    Whoever is admitted must say what became of the question, in one way and once: :meth:`ended`, or one of the three it is made of.
    """

    def __init__(self, cool_down: float, threshold: int = 3, clock: Callable[[], float] = time.monotonic) -> None:
        self._cool_down = cool_down
        self._threshold = threshold
        self._clock = clock
        self._era = 0
        self._failures = 0
        self._reason = ""
        self._since: float | None = None
        self._due = 0.0
        self._probing: Admission | None = None

    @property
    def state(self) -> Circuit:
        """Whether questions go through, as of now."""
        if self._since is None:
            return Circuit.CLOSED
        return Circuit.OPEN if self.retry_in else Circuit.HALF_OPEN

    @property
    def reason(self) -> str:
        """Why the last question failed that counted; empty when none failed since the last answer."""
        return self._reason

    @property
    def since(self) -> float | None:
        """When the circuit opened, by the clock, however many probes have failed since; None while it is closed."""
        return self._since

    @property
    def retry_in(self) -> float:
        """Seconds until a question is let through; 0 when the next one is, or when a probe is under way."""
        return 0.0 if self._since is None else max(0.0, self._due - self._clock())

    def admit(self) -> Admission | None:
        """The leave to ask, or None for a question that must not be asked: :meth:`refusal` is what it is told instead."""
        match self.state:
            case Circuit.CLOSED:
                return Admission(self._era)
            case Circuit.HALF_OPEN if self._probing is None:
                self._probing = Admission(self._era, probe=True)
                return self._probing
            case _:
                return None

    def refusal(self, source: str) -> BackendUnavailable:
        """The error of a question that is not asked of ``source``, which this circuit is the one of."""
        wait = math.ceil(self.retry_in)
        again = f"it is tried again in {wait}s" if wait else "it is being tried again now"
        last = self._reason.removeprefix(f'source "{source}": ')
        told = f"was not asked: it failed {self._failures} times in a row, last: {last}; {again}"
        return BackendUnavailable(source, told, retry_after=max(1, wait))

    def ended(self, admission: Admission, error: BackendError | None = None) -> None:
        """A question was answered, or failed with ``error``.

        A refusal is the word of a source that was reached: it is an answer here, for what it says must be read, and cutting the source off
        would hide it. What a source has forgotten it often knows without looking, so that tells neither.
        """
        match error:
            case None | BackendRefused():
                self.succeeded(admission)
            case BackendForgot():
                self.gave_up(admission)
            case _:
                self.failed(admission, error.message)

    def succeeded(self, admission: Admission) -> None:
        """The source answered; that is so whenever it was asked, and closes the circuit."""
        self._release(admission)
        self._failures = 0
        self._reason = ""
        if self._since is not None:
            self._since = None
            self._probing = None
            self._era += 1

    def failed(self, admission: Admission, reason: str) -> None:
        """The source failed. Where the circuit has opened or closed since it was asked, that is no news."""
        self._release(admission)
        if admission.era != self._era:
            return
        self._failures += 1
        self._reason = reason
        if admission.probe:
            self._due = self._clock() + self._cool_down
        elif self._failures >= self._threshold:
            self._since = self._clock()
            self._due = self._since + self._cool_down
            self._era += 1

    def gave_up(self, admission: Admission) -> None:
        """Nobody waited for the outcome, which says nothing of the source: after a probe the next question is one."""
        self._release(admission)

    def _release(self, admission: Admission) -> None:
        if admission is self._probing:
            self._probing = None
