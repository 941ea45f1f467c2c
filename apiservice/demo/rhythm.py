"""Rhythm: failures and times that come out the same in every window, where dice would need an hour to even out.

A demonstration shows half a minute. Of the 45 requests in it, a service that fails 3 % of the time by dice would fail none or four.
These sequences have the same distribution, spread as evenly as it can be.
"""

from __future__ import annotations

from collections.abc import Iterator

from apiservice.demo.shop import Latency

__all__ = ["failures", "times"]

_GOLDEN = 0.6180339887498949
"""The fractional part of the golden ratio: its multiples, modulo 1, fill the interval most evenly."""


def failures(share: float) -> Iterator[bool]:
    """Whether each request fails: ``share`` of them, at even distances. Without end."""
    owed = 0.5
    while True:
        owed += share
        failed = owed >= 1
        owed -= failed
        yield failed


def times(latency: Latency) -> Iterator[float]:
    """Seconds for each request, spread as ``latency`` says. Without end."""
    share = 0.5
    while True:
        yield latency.at(share)
        # 0 and 1 are percentiles that no finite time has.
        share = min(max((share + _GOLDEN) % 1, 0.001), 0.999)
