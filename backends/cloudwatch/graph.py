"""The service graph of X-Ray, read: the services that were traced, who called whom, how often, with what outcome, and how long it took.

A node has what a service recorded itself, an edge what its caller recorded (X-Ray Developer Guide, "Concepts", Subsegments). Services
that record nothing have nodes that X-Ray infers from their callers.

Latency is the response time: from the start of a request to its response. The other histogram of a node, of durations, also has what a
service went on to do after it had responded (botocore data/xray/2016-04-12, TraceSummary). Both are in seconds.

Edges of the type ``link`` are left out: a consumer took messages from a queue or a topic, at some time, and nobody waited for it. They have
no responses (ibid., Edge), and counted with requests they would be taken for some.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from metrics_api import BackendProtocolError, Histogram

__all__ = ["CLIENT", "Call", "Graph", "Node", "Requests", "read_graph"]

CLIENT = "client"
"""The type of the node that stands for whoever called a service that was the first to be traced; its name is that of the service."""

_ASYNCHRONOUS = "link"


@dataclass(frozen=True, slots=True)
class Requests:
    """Requests that were traced: how many completed, and how many of them with an error (4xx, 429 among them) or a fault (5xx)."""

    total: float
    errors: float
    faults: float
    latency: Histogram | None

    def outcome(self, *, client_errors_fail: bool = False) -> tuple[float, float] | None:
        """How many succeeded and failed; None when the counts contradict each other.

        What is neither a fault nor, if those fail, an error has succeeded: a request may be both, or be neither of these nor ``ok``, as
        a redirect is.
        """
        if not 0 <= self.faults <= self.total < math.inf or not 0 <= self.errors <= self.total:
            return None
        failures = min(self.faults + self.errors, self.total) if client_errors_fail else self.faults
        return self.total - failures, failures


@dataclass(frozen=True, slots=True)
class Node:
    """A service: what it is called, its type, and the account it is in. ``received`` is None where nothing is told of it."""

    name: str
    names: tuple[str, ...] = ()
    type: str = ""
    account: str = ""
    received: Requests | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """What one service asked of another. ``callee`` is None when the graph has no such node, ``requests`` when nothing is told of them."""

    caller: Node
    callee: Node | None
    requests: Requests | None = None


@dataclass(frozen=True, slots=True)
class Graph:
    """The services of a window, and the calls between them. ``links`` is how many asynchronous edges were left out.

    ``regrouped`` says that the filter of the group was another one in a part of the window.
    """

    nodes: tuple[Node, ...] = ()
    calls: tuple[Call, ...] = ()
    links: int = 0
    regrouped: bool = False


class _Outcomes(msgspec.Struct, rename="pascal"):
    total_count: float | None = None


class _Statistics(msgspec.Struct, rename="pascal"):
    ok_count: float | None = None
    error_statistics: _Outcomes | None = None
    fault_statistics: _Outcomes | None = None
    total_count: float | None = None
    total_response_time: float | None = None


class _Entry(msgspec.Struct, rename="pascal"):
    value: float = 0.0
    count: float = 0.0


class _Observed(msgspec.Struct, rename="pascal"):
    reference_id: int | None = None
    summary_statistics: _Statistics | None = None
    response_time_histogram: list[_Entry] | None = None


class _Edge(_Observed, rename="pascal"):
    edge_type: str | None = None


class _Service(_Observed, rename="pascal"):
    name: str | None = None
    names: list[str] | None = None
    type: str | None = None
    account_id: str | None = None
    edges: list[_Edge] | None = None


class _Page(msgspec.Struct, rename="pascal"):
    services: list[_Service] | None = None
    contains_old_group_versions: bool | None = None


def read_graph(source: str, pages: Iterable[Mapping[str, Any]]) -> Graph:
    """The graph that all pages of an answer are together, as botocore gives them.

    Raises :class:`metrics_api.errors.BackendProtocolError`, in the name of ``source``, for what is no service graph.
    """
    try:
        read = [msgspec.convert(page, _Page) for page in pages]
    except msgspec.ValidationError as error:
        raise BackendProtocolError(source, f"answered something that is no service graph of X-Ray: {error}") from error
    services = _distinct(source, (service for page in read for service in page.services or ()))
    nodes = [_node(service) for service in services]
    known = {service.reference_id: node for service, node in zip(services, nodes, strict=True) if service.reference_id is not None}
    edges = [(node, edge) for service, node in zip(services, nodes, strict=True) for edge in service.edges or ()]
    calls = [
        Call(node, known.get(edge.reference_id) if edge.reference_id is not None else None, _requests(edge))
        for node, edge in edges
        if edge.edge_type != _ASYNCHRONOUS
    ]
    return Graph(
        tuple(nodes), tuple(calls), len(edges) - len(calls), regrouped=any(page.contains_old_group_versions for page in read)
    )


def _distinct(source: str, services: Iterable[_Service]) -> list[_Service]:
    """The services, each once: a page may name one of another page again, for an edge to point to."""
    found: dict[int, _Service] = {}
    nameless: list[_Service] = []
    for service in services:
        if service.reference_id is None:
            nameless.append(service)
            continue
        held = found.setdefault(service.reference_id, service)
        if held == service or _bare(service, held):
            continue
        if not _bare(held, service):
            raise BackendProtocolError(
                source, f"answered a service graph with two services of one reference ({service.reference_id})"
            )
        found[service.reference_id] = service
    return [*found.values(), *nameless]


def _bare(service: _Service, whole: _Service) -> bool:
    """Whether it is what ``whole`` is, and says nothing else of it."""
    alike = (service.name, service.type, service.account_id) == (whole.name, whole.type, whole.account_id)
    return alike and service.summary_statistics is None and not service.edges


def _node(service: _Service) -> Node:
    return Node(service.name or "", tuple(service.names or ()), service.type or "", service.account_id or "", _requests(service))


def _requests(observed: _Observed) -> Requests | None:
    told = observed.summary_statistics
    if told is None:
        return None
    errors, faults = _count(told.error_statistics), _count(told.fault_statistics)
    total = told.total_count
    if total is None:
        if told.ok_count is None:
            return None
        total = told.ok_count + errors + faults
    return Requests(total, errors, faults, _latency(observed.response_time_histogram or (), total, told.total_response_time))


def _count(outcomes: _Outcomes | None) -> float:
    return (outcomes.total_count or 0.0) if outcomes is not None else 0.0


def _latency(entries: Iterable[_Entry], total: float, seconds: float | None) -> Histogram | None:
    """How long requests took: values X-Ray has in milliseconds. The time they took together is that of ``total`` requests."""
    counts: dict[float, float] = {}
    for entry in entries:
        if not math.isfinite(entry.value) or not 0 <= entry.count < math.inf:
            return None
        # Clocks may have gone back meanwhile.
        value = max(entry.value, 0.0)
        counts[value] = counts.get(value, 0.0) + entry.count
    observed = math.fsum(counts.values())
    return Histogram.of_values(counts, seconds if observed == total else None) if observed else None
