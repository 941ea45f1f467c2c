"""Configuration of a CloudWatch source: what all of them have, and which further keys each kind of it takes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from backends.cloudwatch.meshedge import MeshEdge, read_mesh_edge
from backends.transport import TlsSettings, read_tls
from metrics_api import ANY_WORKLOAD, SPLIT_KINDS, ResourceRef, parse_duration, type_of_kind
from metrics_api.document import Node

__all__ = ["COMMON_KEYS", "SOURCES", "CloudWatchSettings", "read_settings", "source_of"]

COMMON_KEYS = ("name", "type", "source", "region", "profile", "endpointUrl", "timeout", "concurrency", "tls")

_METRICS = ("delay", "budget", "discoveryInterval", "services")
SOURCES: Mapping[str, tuple[str, ...]] = {
    "application-signals": (*_METRICS, "cluster", "environments", "failure"),
    "promql": ("dialect", "overrides", "params", "scrapeInterval"),
    "xray": ("delay", "services", "namespace", "group", "failure"),
    "appmesh": (*_METRICS, "mesh", "form", "metricNamespace", "edges", "failure"),
    "vpc-lattice": (*_METRICS, "failure"),
    "ecs-service-connect": (*_METRICS, "cluster", "namespace", "failure"),
}
"""The sources there are, and the keys of each beside those of all."""

FORMS = ("statsd", "emf", "adot")
"""The ways in which App Mesh's metrics reach CloudWatch: by the CloudWatch agent as a StatsD server, by the agent as a scraper of
Prometheus metrics, which it logs in the embedded metric format, and by the collector of ADOT."""

_NO_SERVICES = ("Namespace", "Node", "Pod", *SPLIT_KINDS)

_LABEL = r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?"
_NAMESPACE = re.compile(_LABEL)
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
"""How objects may be called (Kubernetes, "Object Names and IDs")."""

_DELAY = 120
_BUDGET = 1000
_TIMEOUT = 10


@dataclass(frozen=True, slots=True)
class CloudWatchSettings:
    """One CloudWatch source; which of the fields matter depends on ``source``.

    ``region`` and ``profile`` are empty where the environment tells them, as is ``endpoint_url`` for AWS itself. ``timeout`` is seconds for
    one call, ``concurrency`` bounds calls under way. ``delay`` is seconds that numbers take to arrive. ``budget`` is how many metrics may
    be asked for in a minute, which is billed. ``discovery_interval`` is seconds for which it is believed which metrics there are.

    ``services`` are objects by what AWS calls them: the name of a service, and its environment or "" for every one; the kind is
    ``Workload`` where the configuration gives none. ``environments`` are namespaces by the name of an environment. ``cluster`` and ``mesh``
    are what is asked about. ``namespace`` is that of services without one. ``client_errors_fail`` says that HTTP 4xx is a failure.
    ``form`` is in which shape a mesh's metrics are, ``metric_namespace`` where, empty for the place they have by themselves. ``edges`` are
    asked about whether CloudWatch lists them or not.
    """

    name: str
    source: str
    region: str = ""
    profile: str = ""
    endpoint_url: str = ""
    tls: TlsSettings = field(default_factory=TlsSettings)
    timeout: int = _TIMEOUT
    concurrency: int = 4
    delay: int = _DELAY
    budget: int = _BUDGET
    discovery_interval: int = 300
    cluster: str = ""
    mesh: str = ""
    form: str = ""
    metric_namespace: str = ""
    group: str = ""
    namespace: str = ""
    environments: Mapping[str, str] = field(default_factory=dict)
    services: Mapping[tuple[str, str], ResourceRef] = field(default_factory=dict)
    client_errors_fail: bool = False
    edges: tuple[MeshEdge, ...] = ()


def read_settings(node: Node, name: str) -> CloudWatchSettings | None:
    """Settings from an entry of ``backends``; mistakes go to the node's problems, and None says that there were too many."""
    source = source_of(node)
    if source not in SOURCES:
        return None
    entries = node.mapping((*COMMON_KEYS, *SOURCES[source]), required=_REQUIRED.get(source, ()))
    _check(source, node, entries)
    return CloudWatchSettings(
        name=name,
        source=source,
        region=_text(entries, "region"),
        profile=_text(entries, "profile"),
        endpoint_url=entries["endpointUrl"].read(_url, "") if "endpointUrl" in entries else "",
        tls=read_tls(entries),
        timeout=_seconds(entries, "timeout", _TIMEOUT),
        concurrency=entries["concurrency"].integer(1, 64, 4) if "concurrency" in entries else 4,
        delay=_seconds(entries, "delay", _DELAY, least=0),
        budget=entries["budget"].integer(1, 1_000_000, _BUDGET) if "budget" in entries else _BUDGET,
        discovery_interval=_seconds(entries, "discoveryInterval", 300),
        cluster=_text(entries, "cluster"),
        mesh=_text(entries, "mesh"),
        form=entries["form"].choice(FORMS, FORMS[0]) if "form" in entries else FORMS[0],
        metric_namespace=_text(entries, "metricNamespace"),
        group=_text(entries, "group"),
        namespace=_namespace(entries),
        environments=_environments(entries["environments"]) if "environments" in entries else {},
        services=_services(entries["services"]) if "services" in entries else {},
        client_errors_fail=_client_errors(entries["failure"]) if "failure" in entries else False,
        edges=tuple(map(read_mesh_edge, entries["edges"].items())) if "edges" in entries else (),
    )


_REQUIRED: Mapping[str, tuple[str, ...]] = {
    "application-signals": ("cluster",),
    "appmesh": ("mesh",),
    "vpc-lattice": ("services",),
}


def source_of(node: Node) -> str:
    """Which source an entry is; "" for one there is not, which goes to the node's problems."""
    common = node.mapping()
    return common["source"].choice(SOURCES, "") if "source" in common else next(iter(SOURCES))


def _check(source: str, node: Node, entries: Mapping[str, Node]) -> None:
    """Report what a source cannot do without, where it depends on more than one key or on what is in it."""
    for key in _REQUIRED.get(source, ()):
        if key in entries and entries[key].value in ("", [], None):
            entries[key].problem(f'"{key}" is empty')
    form = entries["form"].value if "form" in entries else FORMS[0]
    if source == "appmesh" and form in FORMS[1:] and "metricNamespace" not in entries:
        node.problem(f'"metricNamespace" is missing: form {form} has no namespace of its own, but the one that its agent is told')
    if source == "vpc-lattice" and "services" in entries and isinstance(entries["services"].value, list):
        _check_ids(entries["services"].value)
    if source == "ecs-service-connect" and "services" not in entries and "namespace" not in entries:
        node.problem('"services" or "namespace" is missing: nothing else says which objects the services of ECS are')


def _check_ids(items: Iterable[Node]) -> None:
    """Report services of VPC Lattice that are given twice: by an id and by the ARN that ends with it, or in several environments."""
    seen: dict[str, tuple[object, object]] = {}
    for item in items:
        entries = item.value if isinstance(item.value, dict) else {}
        service, environment = (entries[key].value if key in entries else "" for key in ("service", "environment"))
        # What is given twice in the same words is found with the others.
        if isinstance(service, str) and seen.setdefault(service.rpartition("/")[2], (service, environment)) != (
            service,
            environment,
        ):
            item.problem(f'"{service}" is given twice: an id or an ARN of VPC Lattice says all about which service it is')


def _text(entries: Mapping[str, Node], key: str) -> str:
    return entries[key].text() if key in entries else ""


def _seconds(entries: Mapping[str, Node], key: str, default: int, least: int = 1) -> int:
    def read(text: str) -> int:
        seconds = parse_duration(text)
        if seconds.denominator != 1 or not least <= seconds <= 86400:
            raise ValueError(f'"{text}" must be in whole seconds, from {least}s to 24h')
        return int(seconds)

    return entries[key].read(read, default) if key in entries else default


def _url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query:
        raise ValueError(f'"{text}" is not a URL such as https://monitoring.eu-west-1.amazonaws.com')
    return text.rstrip("/")


def _services(node: Node) -> dict[tuple[str, str], ResourceRef]:
    """``{service: checkout-api, environment: "eks:prod/shop", namespace: shop, name: checkout, kind: Deployment}``."""
    found: dict[tuple[str, str], ResourceRef] = {}
    for item in node.items():
        entries = item.mapping(("service", "environment", "kind", "namespace", "name"), required=("service", "namespace", "name"))
        key = (_text(entries, "service"), _text(entries, "environment"))
        if "service" in entries and entries["service"].value == "":
            entries["service"].problem('"service" is empty')
        elif key in found:
            item.problem(f'"{key[0]}" is given twice')
        kind = entries["kind"].read(_kind, ANY_WORKLOAD) if "kind" in entries else ANY_WORKLOAD
        name = entries["name"].read(_object_name, "") if "name" in entries else ""
        found[key] = ResourceRef(kind, _namespace(entries), name)
    return found


def _environments(node: Node) -> dict[str, str]:
    return {environment: place.read(_namespace_name, "") for environment, place in node.mapping().items()}


def _namespace(entries: Mapping[str, Node]) -> str:
    return entries["namespace"].read(_namespace_name, "") if "namespace" in entries else ""


def _namespace_name(text: str) -> str:
    if not _NAMESPACE.fullmatch(text):
        raise ValueError(f'"{text}" is no name of a namespace: that has lower-case letters, digits and hyphens')
    return text


def _object_name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise ValueError(f'"{text}" is no name of an object: that has lower-case letters, digits, hyphens and dots')
    return text


def _kind(text: str) -> str:
    row = type_of_kind(text)
    kind = row.kind if row is not None else text
    if not kind or kind in _NO_SERVICES:
        raise ValueError(f'"{text}" is not what a service is: give a kind of workload, or Service')
    return kind


def _client_errors(node: Node) -> bool:
    """``{http: ["5xx", "4xx"]}``, as for other sources; the metrics tell classes of codes alone."""
    entries = node.mapping(("http",), required=("http",))
    classes = [item.choice(("5xx", "4xx"), "5xx") for item in entries["http"].items()] if "http" in entries else []
    if "http" in entries and "5xx" not in classes:
        entries["http"].problem('"5xx" is missing: CloudWatch counts it as failure in any case')
    return "4xx" in classes
