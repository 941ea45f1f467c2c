"""Who calls whom in a few namespaces, and which source knows of it: the numbers by hand, against which every answer is held."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

__all__ = [
    "EAST",
    "EVERYWHERE",
    "PROXIES",
    "SOURCES",
    "VIZ",
    "WEST",
    "Flow",
    "Numbers",
    "Row",
    "Source",
    "Workload",
    "edges_of",
    "known",
]

Workload = tuple[str, str]
"""Namespace and name of a Deployment."""


@dataclass(frozen=True, slots=True)
class Flow:
    """Requests per second from one Deployment to another. All take from ``fastest`` to ``slowest`` milliseconds: the ends of one bucket."""

    client: Workload
    server: Workload
    success: int
    failure: int
    fastest: int
    slowest: int


@dataclass(frozen=True, slots=True)
class Numbers:
    """What is true of a row: requests per second, and between which milliseconds they lie, spread evenly."""

    success: int = 0
    failure: int = 0
    fastest: int = 0
    slowest: int = 0

    def percentile(self, percent: int) -> Decimal | None:
        """In seconds; None without requests."""
        if not self.success + self.failure:
            return None
        return (Decimal(self.fastest) + Decimal(self.slowest - self.fastest) * percent / 100) / 1000


@dataclass(frozen=True, slots=True)
class Source:
    """A source: the flows it knows, and the namespaces it is asked about, empty for all of them.

    ``idle`` are Deployments that it lists although they receive nothing. ``offers`` are the percentiles it gives. ``slack`` is the part by
    which its counts may be wrong: moments of scraping are not whole seconds. ``scrapes`` says that it counts what it has seen itself.
    """

    name: str
    flows: tuple[Flow, ...]
    covers: tuple[str, ...] = ()
    idle: tuple[Workload, ...] = ()
    offers: tuple[int, ...] = (99, 90, 50)
    slack: Decimal = Decimal(0)
    scrapes: bool = False

    def asked_about(self, namespace: str) -> bool:
        """Whether it is asked about a namespace; all are, of all namespaces ("")."""
        return not namespace or not self.covers or namespace in self.covers


EVERYWHERE = ""

CACHE = ("shared", "cache")
"""Three sources know it, each by other numbers: the first of them that answers is believed."""

EAST = Source(
    "east",
    (
        Flow(("shop", "gate"), ("shop", "web"), 60, 6, 10, 25),
        Flow(("shop", "web"), ("shop", "api"), 30, 0, 25, 50),
        Flow(("shop", "web"), CACHE, 40, 2, 1, 5),
    ),
    covers=("shop", "shared"),
)
WEST = Source(
    "west",
    (
        Flow(("ledger", "gate"), ("ledger", "book"), 24, 3, 100, 200),
        Flow(("ledger", "book"), ("ledger", "store"), 18, 0, 200, 300),
        Flow(("ledger", "book"), CACHE, 10, 1, 2, 3),
    ),
)
PROXIES = Source(
    "proxies",
    (
        Flow(("edge", "door"), ("edge", "hall"), 200, 20, 30, 40),
        Flow(("edge", "hall"), CACHE, 100, 50, 3, 4),
    ),
    covers=("edge", "shared"),
    slack=Decimal("0.1"),
    scrapes=True,
)
VIZ = Source(
    "viz",
    (
        Flow(("legacy", "desk"), ("legacy", "till"), 12, 4, 400, 500),
        Flow(("legacy", "till"), ("legacy", "vault"), 8, 0, 300, 400),
    ),
    covers=("legacy",),
    idle=(("legacy", "desk"),),
    offers=(99, 50),
)
SOURCES = (EAST, WEST, PROXIES, VIZ)
"""In the order in which they are believed."""

Row = tuple[Workload, str, Workload | None]
"""Of whom, ``to`` or ``from``, and the peer; None in total."""


def known(source: Source, namespace: str = EVERYWHERE) -> dict[Row, Numbers]:
    """What a source says Deployments received in total."""
    received = {flow.server: _numbers(flow) for flow in source.flows}
    assert len(received) == len(source.flows), "each is called by one other, so that every bucket is one flow's"
    received |= {workload: Numbers() for workload in source.idle}
    return {
        (workload, "from", None): numbers
        for workload, numbers in received.items()
        if source.asked_about(workload[0]) and namespace in (EVERYWHERE, workload[0])
    }


def edges_of(source: Source, workload: Workload) -> dict[Row, Numbers]:
    """The edges of a Deployment that a source knows."""
    found: dict[Row, Numbers] = {}
    for flow in source.flows:
        if flow.client == workload:
            found[workload, "to", flow.server] = _numbers(flow)
        if flow.server == workload:
            found[workload, "from", flow.client] = _numbers(flow)
    return found if source.asked_about(workload[0]) else {}


def _numbers(flow: Flow) -> Numbers:
    return Numbers(flow.success, flow.failure, flow.fastest, flow.slowest)
