"""What became of every request: as it should be, excused by a disturbance that was under way, or unexpected."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

__all__ = ["Ledger", "Unexpected"]

_MANY = 200


@dataclass(frozen=True, slots=True)
class Unexpected:
    """Something nobody should have met, ``at`` so many seconds after the beginning; ``during`` are the disturbances of that moment."""

    at: float
    operation: str
    outcome: str
    during: str
    detail: str


class Ledger:
    """Counts outcomes by operation. ``clock`` gives seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began = clock()
        self._under_way: Counter[str] = Counter()
        self._until: dict[str, float] = {}
        self.outcomes: Counter[tuple[str, str]] = Counter()
        self.excused: Counter[tuple[str, str]] = Counter()
        self.disturbances: Counter[str] = Counter()
        self.unexpected: list[Unexpected] = []
        self.unexpected_count = 0
        self.compared = 0
        self.uncompared = 0
        self.requests = 0
        self.watches = 0
        self.events = 0
        self.changes = 0
        self.waited: list[float] = []

    @property
    def now(self) -> float:
        """Seconds since the beginning."""
        return self._clock() - self._began

    @contextmanager
    def disturbed(self, what: str, excuse: str = "", grace: float = 0) -> Iterator[None]:
        """A disturbance ``what``; it is an ``excuse`` of that name until ``grace`` seconds after its end."""
        self.disturbances[what] += 1
        names = {what, excuse} - {""}
        self._under_way.update(names)
        try:
            yield
        finally:
            self._under_way.subtract(names)
            if excuse:
                self.excuse(excuse, grace)

    def excuse(self, name: str, grace: float) -> None:
        """From now on something excuses for so many seconds."""
        self._until[name] = max(self.now + grace, self._until.get(name, 0.0))

    def is_disturbed(self, excuse: str, since: float | None = None) -> bool:
        """Whether something is under way that excuses, or was at any time from ``since`` on."""
        return self._under_way[excuse] > 0 or self._until.get(excuse, -1.0) > (self.now if since is None else since)

    def note(
        self, operation: str, outcome: str, *, expected: bool, excuse: str = "", since: float | None = None, detail: str = ""
    ) -> None:
        """The outcome of something that began at ``since``, which ``excuse`` makes bearable where it is not ``expected``."""
        self.outcomes[operation, outcome] += 1
        if expected:
            return
        if excuse and self.is_disturbed(excuse, since):
            self.excused[operation, outcome] += 1
            return
        self.unexpected_count += 1
        if len(self.unexpected) < _MANY:
            during = ", ".join(sorted(name for name, count in self._under_way.items() if count > 0))
            self.unexpected.append(Unexpected(round(self.now, 1), operation, outcome, during, detail[:300]))
