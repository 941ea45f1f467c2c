"""What an examination says of a metrics-api of Linkerd viz: told from what it answered alone, without asking anything."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from backends.linkerd import viz_pb2 as viz
from backends.linkerd.kinds import refusal
from backends.linkerd.settings import LinkerdSettings
from metrics_api import Direction, TrafficQuery, Window, first_few
from metrics_api.diagnosis import Ability, Finding, Level, Mesh

__all__ = [
    "DIALECT",
    "WORKLOADS",
    "Probe",
    "Rows",
    "abilities",
    "about_checks",
    "about_coverage",
    "about_identities",
    "about_load",
    "about_probe",
    "about_silence",
    "about_window",
    "counted",
    "mesh_of",
]

Rows = Sequence[viz.StatTable.PodGroup.Row]

WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet")
"""The workloads that are looked at: nearly every namespace has one of them."""

DIALECT = "viz"
"""What the samples of this source say they are told by."""

_RESOURCES = (
    ("workloads", "Deployment"),
    ("pods", "Pod"),
    ("namespaces", "Namespace"),
    ("services", "Service"),
    ("nodes", "Node"),
)
"""What may be asked about: in the plural, and a kind of it."""

_MANY = 1_000
_SLOW = 1.0
_LONGEST = 200
_MOST_VERSIONS = 20
_NUMBER = re.compile(r"([0-9]+)")
_QUERY = re.compile(r'Query failed: "(?:[^"\\]|\\.)*": ')
_BOILERPLATE = re.compile(r"^Error calling (?:Prometheus from the control plane|the Kubernetes API): ")
_SCRAPE_JOB = 'give it the scrape job "linkerd-proxy" of linkerd-viz, with all of its relabel_configs'


@dataclass(frozen=True, slots=True)
class Probe:
    """What is told of one namespace, that with the most requests: its workloads, pods and services, and its neighbours."""

    namespace: str
    workloads: Rows
    pods: Rows
    services: Rows
    callers: Rows
    callees: Rows


def mesh_of(pods: Iterable[viz.Pod]) -> Mesh:
    """Linkerd, in the versions of its proxies: what is not printable is none."""
    versions = {pod.proxyVersion for pod in pods if pod.proxyVersion.isprintable() and len(pod.proxyVersion) <= _LONGEST}
    return Mesh("Linkerd", DIALECT, tuple(sorted(filter(None, versions), key=_order)[-_MOST_VERSIONS:]), "proxy")


def counted(rows: Rows) -> Rows:
    """The rows that tell of requests."""
    return [row for row in rows if row.HasField("stats") and row.stats.success_count + row.stats.failure_count]


def about_checks(source: str, results: Iterable[viz.CheckResult]) -> Iterator[Finding]:
    """What the metrics-api says of Kubernetes and of Prometheus. It asks neither well if there is any finding."""
    by_name = {result.SubsystemName: result for result in results}
    for result in by_name.values():
        if result.Status != viz.OK:
            why = _QUERY.sub("", _BOILERPLATE.sub("", result.FriendlyMessageToUser)).strip().rstrip(".")[:_LONGEST]
            known = _DEPENDENCIES.get(result.SubsystemName)
            check, what, advice = known or (result.SubsystemName, f"its check of {result.SubsystemName} fails", "linkerd viz check")
            yield Finding(Level.PROBLEM, source, check, f"{what}: {why}" if why else what, advice)
    if "prometheus" not in by_name:
        yield Finding(
            Level.PROBLEM, source, "prometheus", "it has no Prometheus to ask", "set prometheusUrl of the linkerd-viz chart"
        )


_DEPENDENCIES = {
    "kubernetes": (
        "kubernetes",
        "it cannot read the objects of the cluster",
        "check the RBAC of its service account: linkerd viz check",
    ),
    "prometheus": (
        "prometheus",
        "its Prometheus does not answer it",
        "is it running, and is prometheusUrl of the chart right? linkerd viz check",
    ),
}
"""What the metrics-api depends on, by the names its check gives them (viz/metrics-api/grpc_server.go)."""


def about_window(settings: LinkerdSettings, window: Window) -> Iterator[Finding]:
    """Whether a window can hold two scrapes, if its Prometheus scrapes as often as is configured."""
    interval = settings.scrape_interval
    if window.seconds < 2 * interval:
        what = f'by "scrapeInterval" its Prometheus scrapes every {Window(interval)}: a window of {window} may hold one scrape'
        yield Finding(Level.WARNING, settings.name, "interval", what, f"metrics.window: {Window(4 * interval)}")


def about_coverage(source: str, rows: Rows) -> Iterator[Finding]:
    """Who is in the mesh; ``rows`` are of the namespaces that are not Linkerd's own."""
    pods = sum(row.running_pod_count for row in rows)
    if not any(row.meshed_pod_count for row in rows):
        what = (
            f"none of the {pods} pods outside of Linkerd itself is in its mesh"
            if pods
            else "there is no pod outside of Linkerd itself"
        )
        advice = "annotate namespaces or workloads with linkerd.io/inject: enabled, and restart their pods"
        yield Finding(Level.PROBLEM, source, "mesh", what, advice)
        return
    part = [row.resource.name for row in rows if 0 < row.meshed_pod_count < row.running_pod_count]
    if part:
        what = f"of pods that are not in the mesh nothing is told; there are such beside others in {first_few(sorted(part))}"
        yield Finding(Level.OK, source, "mesh", what)


def about_silence(
    settings: LinkerdSettings, window: Window, longer: Window, rows: Rows, pods: Sequence[viz.Pod]
) -> Iterator[Finding]:
    """Why nobody received anything in ``window``: ``rows`` are those of a ``longer`` one, ``pods`` all there are."""
    source = settings.name
    meshed = [pod for pod in pods if pod.controllerNamespace]
    if counted(rows):
        what = f"no request was counted in the last {window}, and there were some in the last {longer}"
        level = Level.PROBLEM if window.seconds < 2 * settings.scrape_interval else Level.WARNING
        yield Finding(
            level, source, "requests", what, "a longer metrics.window, if it holds less than two scrapes or traffic is rare"
        )
    elif meshed and not any(pod.added for pod in meshed):
        what = f"its Prometheus has nothing of the proxies of the {len(meshed)} pods in the mesh, so that all counts are 0"
        yield Finding(Level.PROBLEM, source, "series", what, f"is it the right Prometheus (prometheusUrl)? {_SCRAPE_JOB}")
    else:
        what = f"no request was counted in the last {longer}"
        yield Finding(
            Level.WARNING,
            source,
            "requests",
            what,
            f"is there any traffic? if so, its Prometheus does not scrape it: {_SCRAPE_JOB}",
        )


def about_probe(settings: LinkerdSettings, probe: Probe, window: Window) -> Iterator[Finding]:
    """What is missing of a namespace that is known to receive requests."""
    source = settings.name
    for check, rows in (("workloads", probe.workloads), ("pods", probe.pods)):
        if not counted(rows):
            what = f"requests are told of the namespace {probe.namespace}, and none of its {check}: series lack the labels that name them"
            yield Finding(Level.PROBLEM, source, "labels", what, _SCRAPE_JOB)
    timed = counted([*probe.workloads, *probe.pods])
    if timed and not any(row.stats.latency_ms_p50 or row.stats.latency_ms_p99 for row in timed):
        what = f"requests are counted, and no latency is told: a window of {window} may not hold two scrapes"
        longer = Window(max(4 * settings.scrape_interval, 2 * window.seconds))
        yield Finding(Level.WARNING, source, "latencies", what, f"metrics.window: {longer}")
    if not counted(probe.callers) and not counted(probe.callees):
        what = f"nobody in the mesh is known to call the namespace {probe.namespace}, or to be called by it"
        yield Finding(Level.WARNING, source, "peers", what, "callers outside the mesh are never told; is the ingress in the mesh?")
    advice = "for p90, a source of type: prometheus with dialect: linkerd before this one"
    yield Finding(Level.OK, source, "percentiles", "it gives p50, p95 and p99 of the last two scrapes, and no p90", advice)


def abilities(probe: Probe, window: Window, instant: int) -> tuple[Ability, ...]:
    """What can be answered of each kind of resource, as far as one namespace shows; what it shows nothing of is lost."""
    between = {"to": bool(counted(probe.callees)), "from": bool(counted(probe.callers))}
    rows = {"Deployment": probe.workloads, "Pod": probe.pods, "Service": probe.services}
    found = []
    for resources, kind in _RESOURCES:
        seen = between | {"received": kind not in rows or bool(counted(rows[kind]))}
        edges = {way.value: TrafficQuery((kind,), window, instant, edges=True, direction=way) for way in Direction}
        queries = {"received": TrafficQuery((kind,), window, instant), **edges}
        ways = [way for way, query in queries.items() if refusal(query) is None]
        found.append(Ability(DIALECT, resources, *(tuple(way for way in ways if seen[way] is told) for told in (True, False))))
    return tuple(found)


def about_identities(source: str, edges: Sequence[viz.Edge]) -> Iterator[Finding]:
    """Which connections of one namespace are not secured by mutual TLS, and why not."""
    plain = [edge for edge in edges if edge.no_identity_msg]
    if plain:
        why = first_few(sorted({edge.no_identity_msg for edge in plain}))
        what = f"{len(plain)} of the {len(edges)} connections looked at have no mutual TLS: {why}"
        yield Finding(
            Level.OK, source, "identities", what, f"linkerd viz edges pod -n {plain[0].dst.namespace or plain[0].src.namespace}"
        )


def about_load(settings: LinkerdSettings, seconds: float, pods: int) -> Iterator[Finding]:
    """Whether a list of all namespaces, for which the metrics-api looks at every pod there is, is a heavy question."""
    took = f"a list of all namespaces took it {seconds:.1f}s, with {pods} pods to look at"
    advice = "a longer metrics.refresh; covers: {namespaces: [...]}; or ask for one namespace"
    if seconds > settings.timeout / 3 or seconds > _SLOW:
        yield Finding(Level.WARNING, settings.name, "load", took, advice)
    elif pods > _MANY:
        yield Finding(Level.OK, settings.name, "load", took, advice)


def _order(version: str) -> list[tuple[int, str]]:
    """stable-2.9.1 before stable-2.14.0."""
    return [(int(piece[:18]) if at % 2 else -1, piece) for at, piece in enumerate(_NUMBER.split(version))]
