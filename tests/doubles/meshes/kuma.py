"""What Envoys expose for the fleet under Kuma, and what that tells: in all generations of Kuma's names, each in a part of the fleet.

The proxies of the namespace ``shop`` have the names of Kuma up to 2.x; among them ``cart`` calls MeshServices, and ``logs`` splits its
requests among versions. Those of ``ledger`` have the names of 3.x, and their metrics came through an OpenTelemetry collector; its builtin
gateway is still one of 2.x.

Source: kumahq/kuma, pkg/mads/util.go and pkg/xds/envoy/names/resource_names.go (2.9), dashboards/grafana/*.json,
pkg/plugins/policies/meshmetric/plugin/v1alpha1/plugin.go,
docs/madr/decisions/084-finalized-schemes-for-unified-envoy-resources-and-stats-naming-formats.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import ClassVar

from metrics_api import ResourceRef
from tests.doubles.mesh_envoy import EnvoyMesh, called, listener, own_traffic, served
from tests.doubles.mesh_facts import FLOWS, External, Orphan, Outside, Pod, Workload
from tests.doubles.mesh_series import Row, counter
from tests.doubles.meshes import CALLERS, FROM, NOBODY, TO, TOTAL, WORKLOAD_KINDS, Seen

__all__ = ["Kuma"]

_NOT_AS_CALLEES = frozenset({"Pod", "Node", *WORKLOAD_KINDS})
_SYSTEM_CLUSTERS = (
    *(
        "ads_cluster",
        "access_log_sink",
        "kuma_envoy_admin",
        "kuma_metrics_hijacker",
        "kuma_readiness",
        "_kuma_metrics_opentelemetry_main",
    ),
    *(
        "tracing_zipkin",
        "meshtrace_zipkin",
        "meshaccesslog_opentelemetry_0",
        "inbound_passthrough_ipv4",
        "outbound_passthrough_ipv6",
    ),
    *(
        "system_envoy_admin",
        "system_ads",
        "system_kri_mgrl___kong-mesh-system_limit_",
        "self_transparentproxy_passthrough_outbound_ipv4",
    ),
)
_OWNERLESS = "prometheus"
"""The workload whose scrape job knows no owners."""


class Kuma(EnvoyMesh):
    """Callees are known as services; the reporting proxy by the labels of scraping, and with the older names by its service."""

    name = "kuma"
    never: ClassVar = {TOTAL: frozenset(), TO: frozenset(), FROM: _NOT_AS_CALLEES, CALLERS: _NOT_AS_CALLEES}

    def rows(self, workload: Workload, pod: Pod) -> Iterator[Row]:
        """Envoy under kuma-dp, which adds its labels to every series; counters that pass a collector get a suffix."""
        rows = _tagged(_rows(workload, pod), _tags(workload, pod))
        return rows if _old(workload) else map(_collected, rows)

    def scrape_labels(self, workload: Workload, pod: Pod) -> dict[str, str]:
        """The owners of all pods but one."""
        labels = super().scrape_labels(workload, pod)
        if workload.name == _OWNERLESS:
            del labels["deployment"]
        return labels

    def named(self, seen: Seen, which: str, kind: str, *, only: bool) -> ResourceRef | None:  # noqa: ARG002
        """The reporting proxy by the labels of scraping and of kuma-dp, a callee by its service."""
        thing, pod = seen.end(which)
        own = seen.side == which
        if (not own and which == "client") or not isinstance(thing, Workload | Orphan):
            return None
        if own and isinstance(thing, Workload):
            if kind == "Service":
                return ResourceRef(kind, thing.namespace, thing.name) if _old(thing) and not thing.gateway else None
            if thing.name == _OWNERLESS and kind in WORKLOAD_KINDS:
                return ResourceRef("Workload", thing.namespace, thing.name)
            return self.own(thing, pod, kind)
        if kind == "Namespace":
            return ResourceRef(kind, "", thing.namespace)
        return ResourceRef(kind, thing.namespace, thing.name) if kind == "Service" else None

    def unnamed(self, seen: Seen, other: str) -> ResourceRef:
        """An external service has the name it has in the mesh."""
        thing, _ = seen.end(other)
        return ResourceRef("", "", _external(thing)) if isinstance(thing, External) else NOBODY


def _rows(workload: Workload, pod: Pod) -> Iterator[Row]:
    inbound = "localhost_8080" if _old(workload) else "self_inbound_dp_http"
    for flow in FLOWS:
        if flow.server == workload and workload.gateway:
            yield from listener(f"{workload.name}_{workload.namespace}_svc", flow, pod)
        elif flow.server == workload:
            yield from served({"envoy_cluster_name": inbound}, flow, pod)
            yield from listener(inbound, flow, pod)
        if flow.client == workload:
            yield from called({"envoy_cluster_name": _cluster(workload, flow.server)}, flow, pod)
    for name in _SYSTEM_CLUSTERS:
        yield from own_traffic({"envoy_cluster_name": name})
    if workload.gateway:
        labels = {"envoy_http_conn_manager_prefix": "kuma_envoy_admin", "envoy_response_code_class": "2"}
        yield counter("envoy_http_downstream_rq_xx", labels, 700)


def _cluster(caller: Workload, callee: Workload | External | Orphan | Outside) -> str:
    assert not isinstance(callee, Outside)
    if isinstance(callee, External):
        return _external(callee)
    if not _old(caller):
        return f"kri_msvc_default_zone-1_{callee.namespace}_{callee.name}_http"
    if caller.name == "cart":
        return f"default_{callee.name}_{callee.namespace}_zone-1_msvc_8080"
    split = "-5fb50345cfb50345" if caller.name == "logs" else ""
    return f"{callee.name}_{callee.namespace}_svc_8080{split}"


def _external(callee: External) -> str:
    return callee.host.partition(".")[0]


def _old(workload: Workload) -> bool:
    return workload.namespace == "shop" or workload.gateway


def _tags(workload: Workload, pod: Pod) -> dict[str, str]:
    if not _old(workload):
        account = workload.name if workload.name == _OWNERLESS else "default"
        return {"mesh": "default", "zone": "zone-1", "kuma_workload": account, "kuma_proxy_role": "sidecar"}
    service = f"{workload.name}_{workload.namespace}_svc"
    kind = {"kuma_io_mesh_gateway": workload.name} if workload.gateway else {}
    service = service if workload.gateway else f"{service}_8080"
    return {
        "mesh": "default",
        "dataplane": f"{pod.name}.{workload.namespace}",
        "kuma_io_service": service,
        "kuma_io_services": f",{service},",
        "k8s_kuma_io_name": pod.name,
        "k8s_kuma_io_namespace": workload.namespace,
        **kind,
    }


def _tagged(rows: Iterable[Row], tags: Mapping[str, str]) -> Iterator[Row]:
    """The rows, each with the labels that kuma-dp gives all series of its proxy."""
    added = ",".join(f'{tag}="{value}"' for tag, value in tags.items())
    for row in rows:
        name, _, rest = row.text.partition("{")
        yield row._replace(text=f"{name}{{{added},{rest}")


def _collected(row: Row) -> Row:
    """A row as a collector writes it for a Prometheus: counters end in ``_total``."""
    name, _, rest = row.text.partition("{")
    if name.endswith("_total") or row.family.endswith("_rq_time"):
        return row
    return row._replace(family=f"{row.family}_total", text=f"{name}_total{{{rest}")
