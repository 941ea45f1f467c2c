"""The bootstrap of one pod's Envoy, as a control plane would write it.

Three things in it are there for the metrics, and any Envoy whose numbers are to be read needs them (each tried with Envoy 1.40):

* Envoy takes the label ``envoy_cluster_name`` up to the first dot of a cluster's name, and puts the rest into the name of the metric.
  A name with dots, such as ``catalog.shop``, needs a rule in ``stats_tags``; and since the rules built in come first, they must be
  switched off and the wanted ones named.
* ``grpc_stats`` counts gRPC statuses. With ``stats_for_all_methods`` the package of a gRPC service would get into the name of the metric
  in the same way; without it, the counters are ``envoy_cluster_grpc_14`` and the like, one for each cluster.
* Histograms move only when stats are flushed, every 5 seconds unless told otherwise, while counters move at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from apiservice.demo.shop import LOCAL_APP, Route

__all__ = ["FLUSH_SECONDS", "HOST", "Cluster", "bootstrap", "stats_tags"]

HOST = "127.0.0.1"
"""Everything listens on loopback alone."""

FLUSH_SECONDS = 1.0

_TYPE = "type.googleapis.com/envoy.extensions"
_TAGS = ("envoy.response_code", "envoy.response_code_class", "envoy.http_conn_manager_prefix")


@dataclass(frozen=True, slots=True)
class Cluster:
    """Where requests of one name go: ``ports`` on loopback, one for each pod. Between proxies gRPC needs ``http2``."""

    name: str
    ports: tuple[int, ...]
    http2: bool = False


def bootstrap(
    *,
    clusters: Sequence[Cluster],
    inbound: int = 0,
    outbound: int = 0,
    routes: Sequence[Route] = (),
    timeout: float = 5.0,
    flush: float = FLUSH_SECONDS,
) -> dict[str, Any]:
    """The bootstrap document.

    ``inbound`` is the port callers come to: with ``routes`` that of a gateway, which sends them on by path; otherwise that of a sidecar,
    which sends everything to the cluster ``local_app``. ``outbound`` is the port the application calls others through, by the ``Host``
    of its request. 0 is no such listener. ``timeout`` is seconds for a whole request, ``flush`` seconds between two flushes of the stats.
    """
    listeners = []
    if inbound and routes:
        listeners.append(
            _listener("ingress", inbound, [_host("all", ["*"], [(each.prefix, each.peer) for each in routes], timeout)])
        )
    elif inbound:
        listeners.append(_listener("inbound", inbound, [_host(LOCAL_APP, ["*"], [("/", LOCAL_APP)], timeout)]))
    if outbound:
        hosts = [_host(each.name, [each.name], [("/", each.name)], timeout) for each in clusters if each.name != LOCAL_APP]
        listeners.append(_listener("outbound", outbound, hosts))
    return {
        # Nothing but reading is allowed; the port is Envoy's choice, which it writes to the file it was told to.
        "admin": {"address": _address(0), "allow_paths": [{"exact": "/ready"}, {"exact": "/server_info"}, {"prefix": "/stats"}]},
        "stats_flush_interval": f"{flush}s",
        "stats_config": {"use_all_default_tags": False, "stats_tags": stats_tags(each.name for each in clusters)},
        "static_resources": {"listeners": listeners, "clusters": [_cluster(each) for each in clusters]},
    }


def stats_tags(clusters: Iterable[str]) -> list[dict[str, str]]:
    """The rules by which stats get their labels: the first group is cut out of the name, the second is the value."""
    names = "|".join(re.escape(name) for name in sorted(clusters, key=len, reverse=True))
    return [{"tag_name": "envoy.cluster_name", "regex": rf"^cluster\.(({names})\.)"}, *({"tag_name": tag} for tag in _TAGS)]


def _listener(name: str, port: int, hosts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    manager = {
        "@type": f"{_TYPE}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": f"{name}_http",
        "codec_type": "AUTO",
        "generate_request_id": False,
        "route_config": {"name": name, "virtual_hosts": list(hosts)},
        "http_filters": [
            {"name": "grpc_stats", "typed_config": {"@type": f"{_TYPE}.filters.http.grpc_stats.v3.FilterConfig"}},
            {"name": "router", "typed_config": {"@type": f"{_TYPE}.filters.http.router.v3.Router"}},
        ],
    }
    return {
        "name": name,
        "address": _address(port),
        "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
    }


def _host(name: str, domains: Sequence[str], routes: Sequence[tuple[str, str]], timeout: float) -> dict[str, Any]:
    return {
        "name": name,
        "domains": list(domains),
        "routes": [{"match": {"prefix": prefix}, "route": {"cluster": peer, "timeout": f"{timeout}s"}} for prefix, peer in routes],
    }


def _cluster(cluster: Cluster) -> dict[str, Any]:
    protocol: dict[str, Any] = (
        {"http2_protocol_options": {}} if cluster.http2 else {"http_protocol_options": {"enable_trailers": True}}
    )
    endpoints = [{"endpoint": {"address": _address(port)}} for port in cluster.ports]
    return {
        "name": cluster.name,
        "type": "STATIC",
        "connect_timeout": "2s",
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": f"{_TYPE}.upstreams.http.v3.HttpProtocolOptions",
                "explicit_http_config": protocol,
            }
        },
        "load_assignment": {"cluster_name": cluster.name, "endpoints": [{"lb_endpoints": endpoints}]},
    }


def _address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": HOST, "port_value": port}}
