"""Tables that keep up: asked for again and again, drawn over on a terminal, and one below the other where there is none."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from kubectl_traffic.kubectl import KubectlError
from kubectl_traffic.reading import Reading
from kubectl_traffic.screen import Screen
from kubectl_traffic.sheet import clean
from kubectl_traffic.sparkline import sparkline
from kubectl_traffic.view import Measure, key_of
from metrics_api.golden import golden
from metrics_api.objects import TrafficMetrics

__all__ = ["LONGEST_TREND", "Trends", "watch_on_screen", "watch_plainly"]

LONGEST_TREND = 20
"""How many recent values a trend shows."""


@dataclass(slots=True)
class Trends:
    """The recent values of one measure, row by row, instant by instant."""

    measure: Measure
    _instants: deque[int] = field(default_factory=lambda: deque(maxlen=LONGEST_TREND))
    _values: dict[tuple[str, ...], dict[int, float | None]] = field(default_factory=dict)

    def add(self, rows: Sequence[TrafficMetrics]) -> None:
        """Remember an answer; one of an instant that was told before says nothing new. Rows that are gone for good are forgotten."""
        for row in rows:
            if row.told_at not in self._instants:
                self._instants.append(row.told_at)
            self._values.setdefault(key_of(row), {})[row.told_at] = self.measure(golden(row))
        for key, values in list(self._values.items()):
            self._values[key] = {instant: value for instant, value in values.items() if instant in self._instants}
            if not self._values[key]:
                del self._values[key]

    def line(self, row: TrafficMetrics) -> str:
        """The sparkline of a row; instants at which it was not there are gaps."""
        values = self._values.get(key_of(row), {})
        return sparkline([values.get(instant) for instant in self._instants])


Ask = Callable[[], Reading]
Render = Callable[[Reading, int], list[str]]


def watch_on_screen(ask: Ask, render: Render, interval: float) -> int:
    """Show what is asked for until Ctrl-C or q; the last table stays when it ends. Returns the exit code, 0.

    ``render`` makes lines of a reading, at most as wide as it is told. Raises :class:`kubectl_traffic.kubectl.KubectlError` only if the
    first answer is one: later ones are shown, and what was last known with them.
    """
    reading = ask()
    trouble = ""
    screen = Screen()
    try:
        with screen.open():
            while True:
                screen.draw(_fitted(render(reading, screen.width), _notes(reading, trouble), screen.height))
                event = screen.wait(interval)
                if event == "quit":
                    break
                if event == "resized":
                    continue
                try:
                    reading, trouble = ask(), ""
                except KubectlError as error:
                    trouble = error.message.splitlines()[0]
    except KeyboardInterrupt:
        pass
    print("\n".join([*render(reading, screen.width), *_notes(reading, trouble)]))  # noqa: T201 a command prints
    return 0


def watch_plainly(ask: Ask, render: Render, interval: float, *, apart: bool = True) -> int:
    """Print every answer below the one before, ``apart`` by an empty line, until Ctrl-C. Returns the exit code, 0."""
    first = True
    try:
        while True:
            try:
                reading = ask()
            except KubectlError as error:
                if first:
                    raise
                print(f"kubectl traffic: {error.message}", file=sys.stderr)  # noqa: T201 a command prints
            else:
                text = "\n".join(render(reading, 0))
                print(("" if first or not apart else "\n") + text, flush=True)  # noqa: T201
                first = False
            time.sleep(interval)
    except KeyboardInterrupt:
        return 0


def _notes(reading: Reading, trouble: str) -> list[str]:
    """What is to be known beside the rows; the newest trouble first."""
    notes = [f"No newer answer: {trouble}"] if trouble else []
    return [clean(note) for note in (*notes, *(f"Warning: {warning}" for warning in reading.warnings))]


def _fitted(lines: list[str], notes: list[str], height: int) -> list[str]:
    """As many lines as there is room for above the notes, and how many more there are."""
    notes = notes[: max(0, height // 3)]
    room = height - len(notes)
    if len(lines) > room:
        hidden = len(lines) - room + 1
        lines = [*lines[: room - 1], f"… {hidden} more: a higher terminal or -l shows them"]
    return [*lines, *notes]
