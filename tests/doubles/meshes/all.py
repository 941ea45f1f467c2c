"""Every mesh double there is, by the name of its dialect. A new one is imported and listed here."""

from __future__ import annotations

from tests.doubles.meshes import Mesh
from tests.doubles.meshes.appmesh import AppMesh
from tests.doubles.meshes.cilium import Cilium
from tests.doubles.meshes.consul import Consul
from tests.doubles.meshes.envoy import Envoy
from tests.doubles.meshes.gloo import Gloo
from tests.doubles.meshes.istio import Istio
from tests.doubles.meshes.kuma import Kuma
from tests.doubles.meshes.linkerd import Linkerd
from tests.doubles.meshes.linkerd_policy import LinkerdPolicy
from tests.doubles.meshes.nginx import NginxServiceMesh
from tests.doubles.meshes.osm import OpenServiceMesh
from tests.doubles.meshes.otel_servicegraph import OtelServicegraph
from tests.doubles.meshes.otel_spanmetrics import OtelSpanmetrics
from tests.doubles.meshes.traefik_mesh import TraefikMesh

__all__ = ["MESHES"]

MESHES: dict[str, Mesh] = {
    mesh.name: mesh
    for mesh in (
        Linkerd(),
        Istio(),
        Envoy(),
        Consul(),
        AppMesh(),
        Kuma(),
        Gloo(),
        LinkerdPolicy(),
        OtelServicegraph(),
        OtelSpanmetrics(),
        OpenServiceMesh(),
        NginxServiceMesh(),
        TraefikMesh(),
        Cilium(),
    )
}
