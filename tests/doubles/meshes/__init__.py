"""The doubles of the meshes: what each exposes for the fleet of ``tests/doubles/mesh_facts.py``, and what can be known from that.

A new mesh is one module here, ``<name>.py``, with a subclass of :class:`Mesh`, and its line in ``all.py``. The class says two things,
both written from what the mesh's own sources say and neither with the help of the product's dialect, which is what they prove:

* the exposition: ``rows(workload, pod)`` gives every series the proxy of that pod exposes, made with ``counter`` and ``histogram`` of
  ``mesh_series.py`` out of ``FLOWS``, with what is no traffic as well (probes, the proxy's own calls) at rates that would be seen in any
  row they got into; ``scrape_labels(workload, pod)`` are the labels that scraping adds. What is exposed elsewhere than at the proxies of
  the fleet (a collector, a node's agent) belongs to a workload of its own in ``extra``.
* the knowledge: which of the two ends reports a flow (``reports``), what it takes for a failure (``failed``), of which results it has a
  latency (``timed``), how its labels name the two ends (``named``), and the kinds it can never answer for (``never``).

``tests/truth`` then asks every question of the dialect of the same name through a real Prometheus, and of the doubles themselves when
``scraped`` says that the mesh's proxies can be. ``consul.py`` is the shortest example, ``linkerd.py`` one with finer knowledge.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

from metrics_api import ResourceRef
from tests.doubles.mesh_facts import External, Flow, Latency, Orphan, Outcome, Outside, Pod, Result, Workload
from tests.doubles.mesh_series import Row

__all__ = ["CALLERS", "EVERY_KIND", "FROM", "NOBODY", "ROUTE_KINDS", "TO", "TOTAL", "WORKLOAD_KINDS", "Mesh", "Seen", "of_kind"]

WORKLOAD_KINDS = ("Deployment", "StatefulSet", "DaemonSet", "Job", "ReplicaSet", "ReplicationController")
"""Kinds of the workloads of the fleet."""

EVERY_KIND = frozenset({"Namespace", "Node", "Pod", "Service", *WORKLOAD_KINDS})
"""Kinds that the truth is asked about."""

ROUTE_KINDS = frozenset({"HTTPRoute", "GRPCRoute"})
"""Kinds that it is asked about in one way: whom callers reached by one."""

NOBODY = ResourceRef("", "", "unknown")
"""A peer of whom nothing is known."""

TOTAL, TO, FROM, CALLERS = "total", "to", "from", "seen by callers"
"""The ways to ask, keys of ``Mesh.never``: what was received, edges to callees and from callers, what was received as callers saw it."""


@dataclass(frozen=True, slots=True)
class Seen:
    """Requests as one observer saw them: those between one pod and another, with one result.

    ``side`` is ``client`` or ``server``, the end at which they were observed; ``rate`` is per second.
    """

    flow: Flow
    client_pod: Pod | None
    server_pod: Pod | None
    side: str
    result: Result
    rate: float
    latency: Latency

    @property
    def observer(self) -> Pod | None:
        """The pod whose proxy observed."""
        return self.client_pod if self.side == "client" else self.server_pod

    def end(self, which: str) -> tuple[Workload | External | Orphan | Outside, Pod | None]:
        """The ``client`` or the ``server``."""
        return (self.flow.client, self.client_pod) if which == "client" else (self.flow.server, self.server_pod)


class Mesh(ABC):
    """One mesh. ``name`` is that of its dialect, ``bounds`` are the finite bounds of its latency buckets in seconds.

    ``extra`` are workloads beside those of the fleet that expose something. ``scraped`` says that the mesh's own proxies expose these
    series, and ``scrape_labels`` no more than a configuration of scraping can add, so that the scrape source can read them.
    ``never`` holds, by the way of asking (:data:`TOTAL` and so on), the kinds for which the mesh has no answer whatever the traffic is.
    ``routes`` says that callers name the route by which they called. ``kindless_callees``: callers name a workload they call without its
    kind, and the callee's own series with it; then callers' rows for workloads are of use only when no callee reported anything.
    """

    name: ClassVar[str]
    bounds: ClassVar[tuple[float, ...]]
    extra: ClassVar[tuple[Workload, ...]] = ()
    scraped: ClassVar[bool] = True
    never: ClassVar[Mapping[str, frozenset[str]]]
    routes: ClassVar[bool] = False
    kindless_callees: ClassVar[bool] = False

    @abstractmethod
    def rows(self, workload: Workload, pod: Pod) -> Iterator[Row]:
        """Every series of one proxy."""

    @abstractmethod
    def scrape_labels(self, workload: Workload, pod: Pod) -> dict[str, str]:
        """The labels that scraping gives all series of one proxy."""

    @abstractmethod
    def named(self, seen: Seen, which: str, kind: str, *, only: bool) -> ResourceRef | None:
        """The object of ``kind`` at one end (``client`` or ``server``), if these series name it.

        A workload whose kind is not in the labels is a ``Workload``, whichever kind of workload is asked for. ``only``: no other kind is
        asked for at the same time.
        """

    def reports(self, flow: Flow, side: str) -> bool:
        """Whether there is an observer on that side, and it reports the flow."""
        return isinstance(flow.client if side == "client" else flow.server, Workload)

    def result(self, outcome: Outcome, side: str) -> Result | None:
        """What the observer on that side saw of an outcome; None when it saw nothing of such requests."""
        return outcome.client if side == "client" else outcome.server

    def failed(self, result: Result) -> bool:
        """Whether the mesh's numbers make this a failure."""
        return result.failed

    def timed(self, side: str, result: Result) -> bool:  # noqa: ARG002 what a mesh decides by
        """Whether there is a latency for such a result."""
        return True

    def tells_peer(self, seen: Seen, other: str) -> bool:  # noqa: ARG002 what a mesh decides by
        """Whether these series say anything of their ``other`` end, be it that nobody knows it; if not, they make no edges."""
        return True

    def unnamed(self, seen: Seen, other: str) -> ResourceRef:
        """The peer of whom no kind that is wanted can be named: a host, or nobody."""
        thing, _ = seen.end(other)
        if isinstance(thing, External):
            return ResourceRef("", "", thing.host)
        if isinstance(thing, Orphan):
            return ResourceRef("", "", f"{thing.name}.{thing.namespace}.svc.cluster.local")
        return NOBODY


def of_kind(workload: Workload, kind: str) -> ResourceRef | None:
    """The workload, if it is of this kind."""
    return ResourceRef(kind, workload.namespace, workload.name) if kind == workload.kind else None
