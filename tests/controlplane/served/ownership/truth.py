"""What is true of the fleet in a window, worked out from the flows and the table of pods alone.

Counts are those of PromQL's ``increase`` over samples that lie at exact instants: what happened in the window, and for a proxy that ended
in it half a step more, by which the function goes on when samples stop.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from tests.controlplane.served.ownership.fleet import BOUNDS, FLOWS, STEP, WINDOW, Flow, Pod

__all__ = ["ALL", "UNKNOWN", "Key", "Lift", "Ref", "Row", "edges", "totals"]

Ref = tuple[str, str, str]
"""Kind, namespace and name; the names of what is in no namespace have an empty one."""

Key = tuple[Ref, Ref, str]
"""Resource, peer, and ``to`` or ``from``."""

ALL: Ref = ("", "", "")
"""The peer of a total."""
UNKNOWN: Ref = ("", "", "unknown")

Lift = Callable[[Pod, Flow], tuple[Ref, ...]]
"""The objects that a pod's end of a flow is counted for."""


@dataclass(slots=True)
class Row:
    """Requests in the window, and how many of them were answered within each bound."""

    success: float = 0.0
    failure: float = 0.0
    within: list[float] = field(default_factory=lambda: [0.0] * len(BOUNDS))

    def add(self, flow: Flow, seconds: float, shares: tuple[float, ...]) -> None:
        """Count so many seconds of a flow."""
        self.success += flow.success * seconds
        self.failure += flow.failure * seconds
        for at, share in enumerate(shares):
            self.within[at] += (flow.success + flow.failure) * seconds * share

    def percentile(self, q: float) -> float | None:
        """Seconds; requests are spread evenly over their bucket. None without requests."""
        wanted = q * self.within[-1]
        lower = below = 0.0
        for bound, reached in zip(BOUNDS, self.within, strict=True):
            if reached > 0 and reached >= wanted:
                return lower + (bound - lower) * (wanted - below) / (reached - below)
            lower, below = bound, reached
        return None


def totals(resource: Lift, instant: int, *, side: str = "server") -> dict[Key, Row]:
    """What everything received in the window that ends at ``instant``, as servers (or clients) saw it."""
    rows: dict[Key, Row] = {}
    for flow, client, server in _ends(side):
        del client
        for ref in resource(server, flow):
            _count(rows.setdefault((ref, ALL, "from"), Row()), flow, side, instant)
    return rows


def edges(resource: Lift, peer: Lift, instant: int, direction: str, *, side: str, outsiders: bool = True) -> dict[Key, Row]:
    """Who called (``from``), or was called by (``to``), everything, as one side saw it; ``outsiders`` are seen by servers alone."""
    rows: dict[Key, Row] = {}
    for flow, client, server in _ends(side):
        own, other = (client, server) if direction == "to" else (server, client)
        if own is None or (other is None and not outsiders):
            continue
        peers = peer(other, flow) if other is not None else (UNKNOWN,)
        for ref in resource(own, flow):
            for peer_ref in peers:
                _count(rows.setdefault((ref, peer_ref, direction), Row()), flow, side, instant)
    return rows


def _ends(side: str) -> Iterator[tuple[Flow, Pod | None, Pod]]:
    for flow in FLOWS:
        client = flow.client if isinstance(flow.client, Pod) else None
        if client is not None or side == "server":
            yield flow, client, flow.server


def _count(row: Row, flow: Flow, side: str, instant: int) -> None:
    shares = flow.latency.at_server if side == "server" else flow.latency.at_client
    row.add(flow, seconds(flow, side, instant), shares)


def seconds(flow: Flow, side: str, instant: int) -> float:
    """For how long the flow's requests count in the window, as the pod on that side reports them."""
    reporter = flow.server if side == "server" else flow.client
    assert isinstance(reporter, Pod)
    since, until = max(instant - WINDOW, reporter.born), min(instant, reporter.died)
    client = flow.client if isinstance(flow.client, Pod) else flow.server
    lasted = min(until, client.died, flow.server.died) - max(since, client.born, flow.server.born)
    beyond = STEP / 2 if reporter.died < instant else 0
    return max(lasted, 0) * (until - since + beyond) / (until - since)
