"""Configuration of a CloudWatch source: what all of them have, and which further keys each kind of it takes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from backends.cloudwatch.meshedge import MeshEdge, read_mesh_edge
from backends.transport import TlsSettings, read_tls, url_like
from metrics_api import ANY_WORKLOAD, SPLIT_KINDS, ResourceRef, type_of_kind
from metrics_api.document import Node
from metrics_api.forms import MAPPING, TEXT, choice, parsed, seconds, shape, whole
from metrics_api.keys import key as described
from metrics_api.keys import nested, read_keys

__all__ = ["COMMON_KEYS", "REQUIRED", "SOURCES", "CloudWatchSettings", "read_settings", "source_of"]

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

REQUIRED: Mapping[str, tuple[str, ...]] = {
    "application-signals": ("cluster",),
    "appmesh": ("mesh",),
    "vpc-lattice": ("services",),
}
"""What they cannot do without."""

FORMS = ("statsd", "emf", "adot")
"""The ways in which App Mesh's metrics reach CloudWatch: by the CloudWatch agent as a StatsD server, by the agent as a scraper of
Prometheus metrics, which it logs in the embedded metric format, and by the collector of ADOT."""

_NO_SERVICES = ("Namespace", "Node", "Pod", *SPLIT_KINDS)

_LABEL = r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?"
_NAMESPACE = re.compile(_LABEL)
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
"""How objects may be called (Kubernetes, "Object Names and IDs")."""

_SERVICES = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {each: {"type": "string"} for each in ("service", "environment", "kind", "namespace", "name")},
        "required": ["service", "namespace", "name"],
        "additionalProperties": False,
    },
}
_EDGES = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {
            **{each: {"type": "string"} for each in ("from", "to", "service")},
            "gateway": {"type": "boolean"},
            "dimensions": MAPPING.schema,
        },
        "required": ["from", "to"],
        "additionalProperties": False,
    },
}
_FAILURE = {
    "type": "object",
    "properties": {"http": {"type": "array", "items": {"enum": ["5xx", "4xx"]}, "contains": {"const": "5xx"}}},
    "required": ["http"],
    "additionalProperties": False,
}
_DAY = "24h"


def _url(text: str) -> str:
    return url_like(
        text,
        "https://monitoring.eu-west-1.amazonaws.com",
        advice="those for AWS are found where its own tools look",
        query="the path is all that can be given",
    )


def _namespace_name(text: str) -> str:
    if not _NAMESPACE.fullmatch(text):
        raise ValueError(f'"{text}" is no name of a namespace: that has lower-case letters, digits and hyphens')
    return text


@dataclass(frozen=True, slots=True)
class CloudWatchSettings:
    """One CloudWatch source; which of the fields matter depends on ``source``.

    Times are seconds. ``services`` are objects by what AWS calls them: the name of a service, and its environment or "" for every one; the
    kind is ``Workload`` where the configuration gives none. ``environments`` are namespaces by the name of an environment.
    ``client_errors_fail`` says that HTTP 4xx is a failure. ``edges`` are asked about whether CloudWatch lists them or not.
    """

    name: str
    source: str = field(metadata=described("[what is asked](cloudwatch.md)", choice(SOURCES), otherwise=f"`{next(iter(SOURCES))}`"))
    region: str = field(default="", metadata=described("the region of AWS", TEXT, otherwise="the environment's"))
    profile: str = field(
        default="", metadata=described("the profile in AWS' own files, which says as whom", TEXT, otherwise="the environment's")
    )
    endpoint_url: str = field(
        default="",
        metadata=described("where AWS is, when it is elsewhere", parsed(_url, "a URL"), otherwise="AWS's own"),
    )
    tls: TlsSettings = field(default_factory=TlsSettings, metadata=nested(TlsSettings, "tls."))
    timeout: int = field(default=10, metadata=described("for one call", seconds("1s", _DAY)))
    concurrency: int = field(default=4, metadata=described("calls under way at once", whole(1, 64)))
    delay: int = field(default=120, metadata=described("how long numbers take to arrive", seconds("0s", _DAY)))
    budget: int = field(
        default=1000, metadata=described("metrics that may be requested in a minute, which are billed", whole(1, 1_000_000))
    )
    discovery_interval: int = field(
        default=300, metadata=described("for how long it is believed which metrics there are", seconds("1s", _DAY))
    )
    cluster: str = field(
        default="",
        metadata=described(
            "the cluster that is asked about: of EKS, or of ECS", TEXT, otherwise="required by `application-signals`"
        ),
    )
    mesh: str = field(default="", metadata=described("the mesh that is asked about", TEXT, otherwise="required"))
    form: str = field(default=FORMS[0], metadata=described("how the mesh's metrics reached CloudWatch", choice(FORMS)))
    metric_namespace: str = field(
        default="",
        metadata=described("the namespace of CloudWatch they are in", TEXT, otherwise="that of the agent, with `statsd`"),
    )
    group: str = field(
        default="", metadata=described("the group of traces that is asked about", TEXT, otherwise="the default group")
    )
    namespace: str = field(
        default="",
        metadata=described("the namespace of services that tell none", parsed(_namespace_name, "a name")),
    )
    environments: Mapping[str, str] = field(
        default_factory=dict,
        metadata=described(
            "namespaces by the names of environments",
            shape("a mapping", {"type": "object", "additionalProperties": {"type": "string"}}),
        ),
    )
    services: Mapping[tuple[str, str], ResourceRef] = field(
        default_factory=dict,
        metadata=described(
            "objects by what AWS calls them: `{service, environment, kind, namespace, name}`",
            shape("a list", _SERVICES),
        ),
    )
    client_errors_fail: bool = field(
        default=False,
        metadata=described(
            'what fails: `["5xx", "4xx"]` makes 4xx a failure, too',
            shape("`{http: [...]}`", _FAILURE),
            "failure",
            otherwise='`{http: ["5xx"]}`',
        ),
    )
    edges: tuple[MeshEdge, ...] = field(
        default=(),
        metadata=described(
            "edges that are asked about whether CloudWatch lists them or not: `{from, to, service, gateway, dimensions}`",
            shape("a list", _EDGES),
        ),
    )


def read_settings(node: Node, name: str) -> CloudWatchSettings | None:
    """Settings from an entry of ``backends``; mistakes go to the node's problems, and None says that there were too many."""
    source = source_of(node)
    if source not in SOURCES:
        return None
    entries = node.mapping((*COMMON_KEYS, *SOURCES[source]), required=REQUIRED.get(source, ()))
    _check(source, node, entries)
    told = read_keys(CloudWatchSettings, entries) | {"name": name, "source": source, "tls": read_tls(entries)}
    for composite, read in (("environments", _environments), ("services", _services)):
        if composite in entries:
            told[composite] = read(entries[composite])
    if "failure" in entries:
        told["client_errors_fail"] = _client_errors(entries["failure"])
    if "edges" in entries:
        told["edges"] = tuple(map(read_mesh_edge, entries["edges"].items()))
    return CloudWatchSettings(**told)


def source_of(node: Node) -> str:
    """Which source an entry is; "" for one there is not, which goes to the node's problems."""
    common = node.mapping()
    return common["source"].choice(SOURCES, "") if "source" in common else next(iter(SOURCES))


def _check(source: str, node: Node, entries: Mapping[str, Node]) -> None:
    """Report what a source cannot do without, where it depends on more than one key or on what is in it."""
    for key in REQUIRED.get(source, ()):
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
