"""The window that CloudWatch can answer for: whole minutes, ended long enough ago for its numbers to have arrived."""

from __future__ import annotations

from dataclasses import dataclass

from metrics_api import Window, format_duration, timestamp

__all__ = ["MINUTE", "Moment", "moment_of", "remark"]

MINUTE = 60
"""Seconds between two data points of a metric of standard resolution, which all metrics of traffic are (CloudWatch User Guide, "Metrics
concepts", Resolution)."""

_KEPT = ((15 * 86400, MINUTE), (63 * 86400, 300), (455 * 86400, 3600))
"""Until which age, in seconds, data points of which period are kept ("Metrics concepts", Metrics retention)."""


@dataclass(frozen=True, slots=True)
class Moment:
    """A window as CloudWatch has it: ``[end - seconds, end)``, in Unix seconds, both whole minutes."""

    end: int
    seconds: int

    @property
    def start(self) -> int:
        """Its first second."""
        return self.end - self.seconds

    @property
    def window(self) -> Window:
        """How long it is."""
        return Window(self.seconds)

    def earlier(self) -> Moment:
        """The moment a minute before."""
        return Moment(self.end - MINUTE, self.seconds)


def moment_of(instant: int, window: Window, now: float, delay: int, *, whole_periods: bool = False) -> Moment | None:
    """The moment that answers best for a ``window`` that ends at ``instant``: no shorter than that, and over when its numbers arrived.

    ``delay`` is the seconds that numbers take to arrive, ``now`` Unix seconds. With ``whole_periods`` its end is a multiple of its length.
    None when CloudWatch keeps nothing of it any more.
    """
    latest = int(min(instant, now - delay))
    for kept, period in _KEPT:
        seconds = -(-window.seconds // period) * period
        grid = seconds if whole_periods else period
        moment = Moment(latest // grid * grid, seconds)
        if now - moment.start <= kept:
            return moment
    return None


def remark(source: str, instant: int, window: Window, moment: Moment) -> str | None:
    """What a reader must know of the moment, in a sentence: how it differs from the window that was asked for; None when it does not."""
    if moment.end == instant and moment.seconds == window.seconds:
        return None
    asked = f"not {window}" if moment.seconds != window.seconds else ""
    before = f"{format_duration(instant - moment.end)} before the instant that was asked for" if moment.end != instant else ""
    until = f"until {timestamp(moment.end)}"
    why = ", ".join(filter(None, (asked, before)))
    whole_minutes = moment.seconds == -(-window.seconds // MINUTE) * MINUTE
    has = "has whole minutes, some time after they are over" if whole_minutes else "tells of no single minutes so long ago"
    return f'source "{source}" {has}: the numbers cover {moment.window} {until} ({why})'
