"""Series that move by themselves: counters growing linearly with time, as one proxy exposes them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from tests.doubles.mesh_facts import IDLE_COUNT, RESTART_EVERY, Latency, Pod

__all__ = ["Page", "Row", "counter", "histogram"]


class Row(NamedTuple):
    """One line: its family, the text up to the value, and the value as a start and a growth per second."""

    family: str
    text: str
    start: float
    rate: float


def counter(family: str, labels: Mapping[str, str], rate: float, *, name: str = "") -> Row:
    """A counter; one that does not move stands where it once came to. ``name`` differs from the family in parts of a histogram."""
    body = ",".join(f'{key}="{value}"' for key, value in labels.items())
    return Row(family, f"{name or family}{{{body}}}" if body else name or family, 0.0 if rate else IDLE_COUNT, rate)


def histogram(
    family: str, labels: Mapping[str, str], bounds: Sequence[str], rate: float, latency: Latency, unit: float
) -> list[Row]:
    """A classic histogram of ``rate`` observations per second; ``unit`` is seconds per unit of the bounds."""
    count = counter(family, labels, rate, name=f"{family}_count")
    rows: list[Row] = []
    for bound in (*bounds, "+Inf"):
        share = sum(part for seconds, part in latency if seconds / unit <= float(bound))
        line = counter(family, {**labels, "le": bound}, rate, name=f"{family}_bucket")
        rows.append(line._replace(start=count.start * share, rate=rate * share))
    total = sum(seconds / unit * part for seconds, part in latency)
    rows.append(counter(family, labels, rate, name=f"{family}_sum")._replace(start=count.start * total, rate=rate * total))
    return [*rows, count]


@dataclass(frozen=True, slots=True)
class Page:
    """What one proxy exposes; rendered anew for each scrape."""

    lines: tuple[tuple[str, float, float], ...]
    restarts: bool

    @classmethod
    def of(cls, rows: Iterable[Row], pod: Pod) -> Page:
        """The page of a pod: families together under their type, and series that its proxy does not tell apart added up."""
        families: dict[str, dict[str, tuple[float, float]]] = {}
        histograms: set[str] = set()
        for family, text, start, rate in rows:
            series = families.setdefault(family, {})
            held = series.get(text, (0.0, 0.0))
            series[text] = (held[0] + start, held[1] + rate)
            if text.startswith(f"{family}_bucket"):
                histograms.add(family)
        lines: list[tuple[str, float, float]] = []
        for family, series in families.items():
            head = f"# TYPE {family} {'histogram' if family in histograms else 'counter'}\n"
            for text, (start, rate) in series.items():
                # What moves begins at zero, whatever idle flows it counts as well: so it does again after a restart.
                lines.append((f"{head}{text} ", 0.0 if rate else start, rate))
                head = ""
        return cls(tuple(lines), pod.restarts)

    def render(self, elapsed: float) -> str:
        """The page ``elapsed`` seconds after the fleet started."""
        moved = elapsed % RESTART_EVERY if self.restarts else elapsed
        return "".join([f"{text}{int(start + rate * moved)}\n" for text, start, rate in self.lines])
