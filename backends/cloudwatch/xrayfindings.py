"""The examination of X-Ray: may we ask it, was anything traced, and does anybody know which objects the services are."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator

from backends.cloudwatch.graph import Graph
from backends.cloudwatch.graphsamples import nameless
from backends.cloudwatch.moment import Moment
from backends.cloudwatch.settings import CloudWatchSettings
from backends.cloudwatch.traced import TracedServices
from metrics_api import BackendError, BackendRefused, first_few, timestamp
from metrics_api.diagnosis import Ability, Diagnosis, Finding, Level, advised

__all__ = ["examine"]

_WAYS = ("received", "to", "from")

_RESOURCES = ("workloads", "namespaces", "services")
"""Services of a graph are workloads, and what can be added up from them."""


async def examine(settings: CloudWatchSettings, graph_of: Callable[[Moment], Awaitable[Graph]], moment: Moment) -> Diagnosis:
    """What there is to say of the graph of a moment. Nothing is raised."""
    facts: dict[str, str | float] = {"type": "cloudwatch", "source": settings.source}
    try:
        graph = await graph_of(moment)
    except BackendError as error:
        what, advice = advised(settings.name, error.message)
        check = "access" if isinstance(error, BackendRefused) else "reach"
        hint = advice or "check the region, endpointUrl and the network"
        finding = Finding(Level.PROBLEM, settings.name, check, what, hint)
        return Diagnosis(settings.name, "X-Ray does not answer", facts, (finding,))
    services = TracedServices(settings)
    known = {resource for node in graph.nodes if (resource := services.resource(node)) is not None}
    unknown = nameless(graph, settings)
    facts |= {"services": len(graph.nodes), "edges": len(graph.calls), "workloads": len(known), "unnamedServices": len(unknown)}
    findings = tuple(_findings(settings, graph, unknown, moment))
    told = _WAYS if known else ()
    lost = () if known else _WAYS
    abilities = tuple(Ability(settings.source, resources, told, lost) for resources in _RESOURCES)
    summary = f"X-Ray: {len(graph.nodes)} services, {len(graph.calls)} edges, {len(known)} of them workloads, in {moment.window}"
    return Diagnosis(settings.name, summary, facts, findings, abilities)


def _findings(settings: CloudWatchSettings, graph: Graph, unknown: list[str], moment: Moment) -> Iterator[Finding]:
    name = settings.name
    if not graph.nodes:
        what = f"nothing was traced in {moment.window} until {timestamp(moment.end)}"
        group = f', and does the filter of group "{settings.group}" choose anything' if settings.group else ""
        yield Finding(Level.WARNING, name, "traces", what, f"do workloads send traces to X-Ray in this account and region{group}?")
    if unknown:
        what = f"nobody says which objects {len(unknown)} services are, so they are left out: {first_few(unknown)}"
        yield Finding(Level.WARNING, name, "names", what, 'name them in "services", or set "namespace" if they are all in one')
    if graph.links:
        what = f"{graph.links} edges are asynchronous, and left out: what is taken from a queue is no request, and has no response"
        yield Finding(Level.OK, name, "messages", what)
    what = "its counts are of traced requests, a sample of the traffic: each answer says so, and its objects are marked as sampled"
    yield Finding(Level.OK, name, "sampling", what, "for all requests, use the source application-signals")
