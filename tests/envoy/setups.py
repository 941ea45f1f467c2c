r"""How each mesh of the Envoy family sets its proxies up, as far as that decides the names and labels of metrics.

A shop of two workloads: ``web`` calls ``api`` over HTTP, ``api`` calls ``web`` with gRPC, and both call ``dead``, which nobody serves.
Sources: hashicorp/consul, command/connect/envoy/bootstrap_config.go and agent/xds/listeners.go; aws/aws-app-mesh-agent,
agent/envoy_bootstrap; kumahq/kuma, pkg/xds/bootstrap/template_v3.go; solo-io/gloo, projects/gloo/pkg/translator. A rule of ``stats_tags``
cuts its first group out of the name of a metric, and gives its second group as the label.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from apiservice.demo.bootstrap import stats_tags
from apiservice.demo.shop import LOCAL_APP

__all__ = ["GATEWAY", "NAMESPACE", "SETUPS", "Setup", "extension"]

NAMESPACE = "shop"
GATEWAY = "gate"
TRUST = "e5b08d03-bfc3-c870-1833-baddb116e648"
WORKLOADS = ("web", "api")

Tags = list[dict[str, str]]


@dataclass(frozen=True, slots=True)
class Setup:
    """One mesh's way to set a proxy up.

    ``inbound`` is a proxy's cluster for its own application, ``outbound`` that for another workload, ``prefixes`` the names that the
    listeners for both count under: all by the name of a workload. ``tags`` are the rules of a proxy, ``default_tags`` says whether Envoy's
    own apply as well, ``grpc_stats`` is the configuration of that filter, None for none; ``tells_grpc`` says whether its counters have the
    names that the dialect reads. ``labels`` are what scraping adds, or an agent between Envoy and whoever scrapes.

    ``sidecars`` says whether the workloads have a proxy; with ``gateway`` there is GATEWAY, which sends requests on to ``behind``.

    ``extended`` are the workloads whose proxies count requests by service as well, as App Mesh's metrics extension does.

    ``own`` tells by what kind the reporting proxy is known when one asks for a kind, ``callee`` the same of whom it calls.
    """

    name: str
    dialect: str
    inbound: Callable[[str], str]
    outbound: Callable[[str], str]
    prefixes: Mapping[str, Callable[[str], str]]
    labels: Callable[[str], dict[str, str]]
    own: Mapping[str, str]
    callee: Mapping[str, str]
    tags: Callable[[str], Tags] = field(default=lambda _: [])
    default_tags: bool = True
    grpc_stats: Mapping[str, Any] | None = None
    tells_grpc: bool = False
    sidecars: bool = True
    gateway: bool = False
    behind: Sequence[str] = ("api",)
    extended: Sequence[str] = ()

    @property
    def proxies(self) -> Sequence[str]:
        """The workloads that have one."""
        return (*(WORKLOADS if self.sidecars else ()), *([GATEWAY] if self.gateway else []))


def place(workload: str) -> dict[str, str]:
    """What any scrape job can tell of a pod."""
    return {"namespace": NAMESPACE, "pod": f"{workload}-0", "node": f"node-of-{workload}"}


def owned(workload: str) -> dict[str, str]:
    """What a scrape job tells that knows the owners of pods."""
    return {**place(workload), "deployment": workload}


PLACES = {"Pod": "Pod", "Node": "Node", "Namespace": "Namespace"}


def _envoy(_: str) -> Tags:
    return [dict(rule) for rule in stats_tags((LOCAL_APP, *(f"{name}.{NAMESPACE}" for name in (*WORKLOADS, "dead"))))]


ENVOY = Setup(
    name="envoy",
    dialect="envoy",
    inbound=lambda _: LOCAL_APP,
    outbound=lambda name: f"{name}.{NAMESPACE}",
    prefixes={"inbound": lambda _: "inbound_http", "outbound": lambda _: "outbound_http", "gateway": lambda _: "ingress_http"},
    labels=owned,
    own={**PLACES, "Deployment": "Deployment"},
    callee={"Deployment": "Workload", "Namespace": "Namespace"},
    tags=_envoy,
    default_tags=False,
    grpc_stats={},
    tells_grpc=True,
    gateway=True,
)


def _consul(workload: str) -> Tags:
    """A target is ``hash~subset.service.namespace.partition.datacenter.internal.trust.consul``, where some parts may be missing."""
    word = "[^.]+"
    parts = [("custom_hash", "~?"), ("service_subset", r"\.?"), ("service", r"\."), ("namespace", r"\."), ("partition", r"\.?")]
    parts += [("datacenter", r"\."), ("routing_type", r"\."), ("trust_domain", "")]

    def rule(wanted: str) -> str:
        pieces = [(f"({word})" if name == wanted else word) + end.rstrip("?") for name, end in parts]
        optional = [f"(?:{piece})?" if end.endswith("?") else piece for piece, (_, end) in zip(pieces, parts, strict=True)]
        return rf"^cluster\.(?:passthrough~)?({''.join(optional)}\.consul\.)"

    fixed = {"local_cluster": workload, "consul.source.service": workload, "consul.source.namespace": NAMESPACE}
    fixed |= {"consul.source.partition": "default", "consul.source.datacenter": "dc1"}
    upstream = {
        "consul.upstream.service": rf"^(?:tcp|http)\.upstream\.(({word})(?:\.{word})?\.{word}\.)",
        "consul.upstream.datacenter": rf"^(?:tcp|http)\.upstream\.({word}(?:\.{word})?\.({word})\.)",
        "consul.upstream.namespace": rf"^(?:tcp|http)\.upstream\.({word}(?:\.({word}))?\.{word}\.)",
    }
    patterns = {f"consul.destination.{name}": rule(name) for name, _ in parts} | upstream
    return [
        *({"tag_name": tag, "regex": pattern} for tag, pattern in patterns.items()),
        *({"tag_name": tag, "fixed_value": value} for tag, value in fixed.items()),
    ]


CONSUL = Setup(
    name="consul",
    dialect="consul",
    inbound=lambda _: "local_app",
    outbound=lambda name: f"{name}.{NAMESPACE}.dc1.internal.{TRUST}.consul",
    prefixes={"inbound": lambda _: "public_listener", "outbound": lambda name: f"upstream.{name}.{NAMESPACE}.dc1"},
    labels=owned,
    own={**PLACES, "Deployment": "Deployment", "Service": "Service"},
    callee={"Service": "Service", "Namespace": "Namespace"},
    tags=_consul,
    grpc_stats={"stats_for_all_methods": True},
)


def _appmesh(workload: str) -> Tags:
    kind = "virtual_gateway" if workload == GATEWAY else "virtual_node"
    return [
        {"tag_name": "appmesh.mesh", "fixed_value": "fleet"},
        {"tag_name": f"appmesh.{kind}", "fixed_value": f"{workload}_{NAMESPACE}"},
        {"tag_name": "appmesh.listener_protocol", "regex": r".*?\.ingress\.((\w+?)\.)[0-9]+?\.(.+?)$"},
        {"tag_name": "appmesh.listener_port", "regex": r".*?\.ingress\.\w+?\.(([0-9]+?)\.)(.+?)$"},
        {"tag_name": "envoy_rds_route_config", "regex": r".*?\.ingress\.\w+?\.[0-9]+?\.rds\.((.*?)\.)(.+?)$"},
    ]


def extension(workload: str) -> list[dict[str, Any]]:
    """The metrics extension of App Mesh, which is in its own Envoy alone, as this Envoy can write the same metrics.

    What it proves is the spelling of names and labels as Envoy exposes them, and that a second view of the same requests adds nothing.
    """
    config = "type.googleapis.com/envoy.extensions.access_loggers.stats.v3.Config"
    labels = {
        "Mesh": "fleet",
        "VirtualNode": f"{workload}_{NAMESPACE}",
        "TargetVirtualNode": f"%REQ(:AUTHORITY)%_{NAMESPACE}",
        "TargetVirtualService": f"%REQ(:AUTHORITY)%.{NAMESPACE}.svc.cluster.local",
    }
    tags = [{"name": name, "value_format": value} for name, value in labels.items()]
    duration = {"stat": {"name": "TargetResponseTime", "tags": tags}, "unit": "Milliseconds", "value_format": "%DURATION%"}
    logs: list[dict[str, Any]] = [{"typed_config": {"@type": config, "stat_prefix": "appmesh", "histograms": [duration]}}]
    for first in (2, 3, 4, 5):
        counter = {"stat": {"name": f"HTTPCode_Target_{first}XX_Count", "tags": tags}, "value_fixed": 1}
        bounds = (("GE", 100 * first), ("LE", 100 * first + 99))
        compared = [
            {"status_code_filter": {"comparison": {"op": op, "value": {"default_value": value, "runtime_key": "none"}}}}
            for op, value in bounds
        ]
        logs.append(
            {
                "filter": {"and_filter": {"filters": compared}},
                "typed_config": {"@type": config, "stat_prefix": "appmesh", "counters": [counter]},
            }
        )
    return [{"name": f"stats {at}", **log} for at, log in enumerate(logs)]


APPMESH = Setup(
    name="appmesh",
    dialect="appmesh",
    inbound=lambda name: f"cds_ingress_fleet_{name}_{NAMESPACE}_http_8080",
    outbound=lambda name: f"cds_egress_fleet_{name}_{NAMESPACE}_http_8080",
    prefixes={"inbound": lambda _: "ingress", "outbound": lambda _: "egress", "gateway": lambda _: "ingress.http.8088"},
    labels=lambda name: {"kubernetes_namespace": NAMESPACE, "kubernetes_pod_name": f"{name}-0", "node": f"node-of-{name}"},
    own={**PLACES, "Deployment": "Workload"},
    callee={"Deployment": "Workload", "Namespace": "Namespace", "Service": "Service"},
    tags=_appmesh,
    gateway=True,
    extended=("web",),
)


def _kuma(_: str) -> Tags:
    return [
        {"tag_name": "name", "regex": r"^grpc\.((.+)\.)"},
        {"tag_name": "status", "regex": r"^grpc.*streams_closed(_([0-9]+))"},
        {"tag_name": "worker", "regex": r"(worker_([0-9]+)\.)"},
        {"tag_name": "listener", "regex": r"((.+?)\.)rbac\."},
    ]


def _old_kuma(workload: str) -> dict[str, str]:
    service = f"{workload}_{NAMESPACE}_svc_8080"
    return {**owned(workload), "mesh": "default", "kuma_io_service": service, "kuma_io_services": f",{service},"}


KUMA_OLD = Setup(
    name="kuma up to 2.x",
    dialect="kuma",
    inbound=lambda _: "localhost_8080",
    outbound=lambda name: f"{name}_{NAMESPACE}_svc_8080",
    prefixes={"inbound": lambda _: "localhost_8080", "outbound": lambda name: f"{name}_{NAMESPACE}_svc_8080"},
    labels=_old_kuma,
    own={**PLACES, "Deployment": "Deployment", "Service": "Service"},
    callee={"Service": "Service", "Namespace": "Namespace"},
    tags=_kuma,
    grpc_stats={"emit_filter_state": True},
    tells_grpc=True,
)

KUMA_NEW = Setup(
    name="kuma from 3.0",
    dialect="kuma",
    inbound=lambda _: "self_inbound_dp_http",
    outbound=lambda name: f"kri_msvc_default__{NAMESPACE}_{name}_http",
    prefixes={"inbound": lambda _: "self_inbound_dp_http", "outbound": lambda name: f"kri_msvc_default__{NAMESPACE}_{name}_http"},
    labels=lambda name: {**place(name), "mesh": "default", "kuma_workload": name},
    own={**PLACES, "Deployment": "Workload"},
    callee={"Service": "Service", "Namespace": "Namespace"},
    tags=_kuma,
    grpc_stats={"emit_filter_state": True},
    tells_grpc=True,
)

_GLOO = {
    "api": "shop-api-8080_gloo-system",
    "web": "kube-upstream_shop-web-8080_gloo-system_shop_web_8080",
    "dead": "kube_shop_dead_8080",
}
"""A cluster of the Edge API, one of Gloo's Kubernetes Gateway API, and one of kgateway."""

GLOO = Setup(
    name="gloo",
    dialect="gloo",
    inbound=lambda name: name,
    outbound=_GLOO.__getitem__,
    prefixes={"gateway": lambda _: "http"},
    labels=owned,
    own={**PLACES, "Deployment": "Deployment"},
    callee={"Service": "Service"},
    sidecars=False,
    gateway=True,
    behind=tuple(_GLOO),
)

SETUPS = {setup.name: setup for setup in (ENVOY, CONSUL, APPMESH, KUMA_OLD, KUMA_NEW, GLOO)}
