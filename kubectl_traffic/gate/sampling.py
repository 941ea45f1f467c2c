"""Sampling: when a gate looks at the traffic, and what it gets to see. The way to the API and the clock are given to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from kubectl_traffic.gate.check import Observation
from kubectl_traffic.kubectl import KubectlError
from kubectl_traffic.reading import Reading
from metrics_api.instant import timestamp
from metrics_api.objects import TrafficMetrics

__all__ = ["Clock", "Refused", "Sampling", "count"]

_AGAIN = 5  # times a look is repeated that is of no use, for example because it shows nothing new
_PAUSE = 1.0  # seconds before it is; a server renews its numbers every five by default
_PASSING = frozenset(
    {"Expired", "InternalError", "InternalServerError", "ServerTimeout", "ServiceUnavailable", "Timeout", "TooManyRequests"}
)
"""Reasons of a Kubernetes Status that time may cure (kubernetes/apimachinery: pkg/apis/meta/v1/types.go, StatusReason)."""

_UNAUTHORIZED = "(Unauthorized)"
"""What kubectl says of a 401, in words of its own (kubernetes/kubectl: pkg/cmd/util/helpers.go)."""


class Refused(Exception):
    """The API will not tell, and waiting does not help: no such object, no right to read it, a wrong question, or no way there."""


@dataclass(frozen=True, slots=True)
class Clock:
    """``now`` is in seconds that never go back, ``sleep`` waits for some."""

    now: Callable[[], float]
    sleep: Callable[[float], None]


def count(duration: Fraction, interval: Fraction) -> int:
    """How many samples it takes to watch for ``duration``, in seconds, with one at the end of each interval: rounded up, at least one."""
    return max(1, -(-duration // interval))


@dataclass(frozen=True, slots=True)
class Sampling:
    """Looks at the traffic. ``reads`` ask for the subject, and then for the candidate if there is one: each for its one row."""

    reads: tuple[Callable[[], Reading], ...]
    clock: Clock

    def first(self) -> Observation:
        """What there is to see now.

        Raises :class:`Refused`, also when nobody can be reached: waiting would not help who mistyped a context.
        """
        return self._look(-1, _AGAIN * _PAUSE, reached=False)

    def later(self, number: int, interval: Fraction, first: Observation) -> Iterator[Observation]:
        """``number`` observations, one at the end of every interval of so many seconds, which begin now.

        Each is of a later instant than the one before, and than ``first``, which was made already: where for some seconds there is nothing
        later to see, or nobody to be reached, it is an observation without data. Raises :class:`Refused`.
        """
        began, last = self.clock.now(), _instant(first)
        for index in range(1, number + 1):
            self.clock.sleep(max(0.0, began + float(index * interval) - self.clock.now()))
            observation = self._look(last, min(float(interval), _AGAIN * _PAUSE), reached=True)
            last = max(last, _instant(observation))
            yield observation

    def _look(self, last: int, patience: float, *, reached: bool) -> Observation:
        """An observation of a later instant than ``last``, in Unix seconds; without rows when there is none for ``patience`` seconds."""
        until = self.clock.now() + patience
        for again in range(_AGAIN + 1):
            observation = self._glance(last, reached=reached)
            if observation.rows or again == _AGAIN or self.clock.now() + _PAUSE > until:
                return observation
            self.clock.sleep(_PAUSE)
        raise AssertionError("the last look is returned")

    def _glance(self, last: int, *, reached: bool) -> Observation:
        rows: list[TrafficMetrics] = []
        warnings: dict[str, None] = {}
        for read in self.reads:
            try:
                reading = read()
            except KubectlError as error:
                # Without a reason it is not the server that spoke: nobody was reached, unless it says who was not let in.
                unreached = not error.reason and _UNAUTHORIZED not in error.message
                if error.reason in _PASSING or (reached and unreached):
                    return Observation((), " ".join(error.message.split()))
                raise Refused(error.message) from error
            if len(reading.rows) != 1:
                raise Refused(f"the server answered {len(reading.rows)} rows where there is one to be judged")
            rows += reading.rows
            warnings |= dict.fromkeys(reading.warnings)
        missing = _apart(rows) or _old(rows, last)
        return Observation((), missing, tuple(warnings)) if missing else Observation(tuple(rows), "", tuple(warnings))


def _apart(rows: Sequence[TrafficMetrics]) -> str:
    """Why the rows cannot be compared; empty when they are of the same instant and window."""
    if len({(row.instant, row.window) for row in rows}) == 1:
        return ""
    return "the two were told of at different times: " + " and ".join(
        f"{row.window} until {timestamp(row.instant)}" for row in rows
    )


def _old(rows: Sequence[TrafficMetrics], last: int) -> str:
    if rows[0].instant > last:
        return ""
    return f"still the numbers of {timestamp(rows[0].instant)}: a longer --interval suits this source"


def _instant(observation: Observation) -> int:
    return max((row.instant for row in observation.rows), default=-1)
