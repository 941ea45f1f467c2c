"""What a plan is made of: reads, and for each view and direction the part that says how to name the two ends of their rows."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from backends.dialects.dialect import Temporality, View
from backends.dialects.identity import Identity
from backends.dialects.matcher import Matcher
from metrics_api import Direction, Side

__all__ = ["Part", "Read", "Reading"]


class Reading(Enum):
    """What a read yields per row: the increase of a counter, of a histogram, or of the sum or the number of a histogram's observations.

    The number is asked of native histograms alone: that of a classic one is a counter by itself, and named like one.
    """

    COUNTER = "counter"
    COUNT = "count"
    HISTOGRAM = "histogram"
    SUM = "sum"


@dataclass(frozen=True, slots=True)
class Read:
    """One read: the increase over the window of ``metrics`` whose series satisfy ``matchers``, summed by the labels ``by``.

    Several counters are added. A histogram is named without ``_bucket`` or ``_sum``, and ``unit`` is the factor from its unit to seconds,
    in which both it and its sum are given. ``temporality`` and ``native`` are those of its :class:`View`.
    """

    reading: Reading
    metrics: tuple[str, ...]
    matchers: tuple[Matcher, ...]
    by: tuple[str, ...]
    unit: float = 1.0
    temporality: Temporality = Temporality.CUMULATIVE
    native: bool = False


@dataclass(frozen=True, slots=True)
class Part:
    """One view asked for one direction: the reads, and how to name the two ends of their rows.

    ``resource`` are the identities of the end the question is about, ``peer`` those of the other end (empty for totals).
    ``sides`` are the observers: the value of the view's label, the side, and how much it is trusted, less being better; ``partial`` are the
    trusts of those that callers may pass by.
    ``by`` are the labels of the ends, which every read begins with. ``corrections`` are in the order of the view's.
    ``within`` are the identities of the workloads, of either end, that a coarser resource
    or peer (a namespace, a node, a service) is added up from: which observer counts, and which failures were counted already, can only
    be told of a workload. ``strands`` says that they are those of the callee, of the caller and of the service that was called, each of
    them empty if not needed, because observers are chosen for each of these; ``callers`` that a total is told apart by caller for it.
    ``bare`` says that latencies are left for :func:`backends.dialects.plan.seen_by_callers`.
    ``apart`` are identities whose rows are left out. ``namespace`` and ``name`` are those of the resource, empty for any. ``named`` leaves
    out rows whose peer has no name of its own.
    """

    view: View
    direction: Direction
    resource: tuple[Identity, ...]
    peer: tuple[Identity, ...]
    sides: tuple[tuple[str, Side, int], ...]
    by: tuple[str, ...]
    requests: Read
    latencies: tuple[Read, ...]
    corrections: tuple[Read, ...]
    sums: tuple[Read, ...] = ()
    within: tuple[tuple[Identity, ...], ...] = ()
    strands: bool = False
    callers: bool = False
    bare: bool = False
    apart: tuple[Identity, ...] = ()
    namespace: str = ""
    name: str = ""
    named: bool = False

    @property
    def reads(self) -> tuple[Read, ...]:
        """Every read of the part."""
        return (self.requests, *self.latencies, *self.sums, *self.corrections)

    @property
    def partial(self) -> frozenset[int]:
        """The trusts of observers that callers may pass by."""
        return frozenset(trust for value, _, trust in self.sides if value in self.view.observer.partial)
