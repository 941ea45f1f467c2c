"""Ten minutes of a small mesh whose traffic is known by hand, in the dialect ``SMALL``.

``web`` is asked 2 times a second; after three minutes 4 times, one of which fails and all of which take ten times as long; after five
minutes it is idle, after six its proxy is gone, and a minute later another one counts from 0, 2 times a second. ``api`` is asked 2 times a
second all the time, and its proxy restarts right after five minutes. Samples are taken every 15 s.
"""

from __future__ import annotations

from collections.abc import Iterator

__all__ = ["END", "START", "TICK", "timelines"]

START = 1_600_000_200
END = START + 600
TICK = 15


Samples = list[tuple[int, float]]


def timelines() -> dict[str, Samples]:
    """Every sample of every series."""
    found: dict[str, Samples] = {}
    for at, success, fast, slow, failure in _web():
        _note(found, "web", at, success, failure, fast, slow)
    for at in range(0, 601, TICK):
        count = 2.0 * (at if at <= 300 else at - 300)
        _note(found, "api", at, count, None, count, 0.0)
    return found


def _web() -> Iterator[tuple[int, float, float, float, float]]:
    """When, and by then: successes, requests within 10 ms and within 100 ms, failures."""
    for at in range(0, 361, TICK):
        calm, busy = min(at, 180), min(max(at - 180, 0), 120)
        yield at, 2.0 * calm + 3.0 * busy, 2.0 * calm, 4.0 * busy, 1.0 * busy
    for at in range(420, 601, TICK):
        yield at, 2.0 * (at - 420), 2.0 * (at - 420), 0.0, 0.0


def _note(found: dict[str, Samples], app: str, at: int, success: float, failure: float | None, fast: float, slow: float) -> None:
    labels = f'namespace="shop",app="{app}"'
    told = {
        f'requests_total{{{labels},code="200"}}': success,
        f'requests_total{{{labels},code="503"}}': failure,
        f'latency_ms_bucket{{{labels},le="10"}}': fast,
        f'latency_ms_bucket{{{labels},le="100"}}': fast + slow,
        f'latency_ms_bucket{{{labels},le="+Inf"}}': fast + slow,
        f"latency_ms_sum{{{labels}}}": 4 * fast + 50 * slow,
    }
    for name, value in told.items():
        if value is not None:
            found.setdefault(name, []).append((START + at, value))
