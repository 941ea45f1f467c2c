"""Open Service Mesh, NGINX Service Mesh and Traefik Mesh: what their labels leave open, and what must not be counted twice."""

from __future__ import annotations

from dataclasses import replace

import pytest

from backends.dialects import load_dialect, refusal
from metrics_api import JOINED_SERVICE, RESOURCE_TYPES, UNKNOWN, Direction, ResourceRef, Side, TrafficQuery, Window
from tests.unit.dialects.holding import Held, Series, consult

OSM, NGINX, TRAEFIK = load_dialect("osm"), load_dialect("nginx"), load_dialect("traefik-mesh")
TOTAL = TrafficQuery(("Deployment",), Window(30), 0)
SERVICES = replace(TOTAL, kinds=("Service",))
FROM = replace(TOTAL, edges=True, direction=Direction.FROM)
WEB, GATE = ResourceRef("Deployment", "shop", "web"), ResourceRef("Deployment", "edge", "nginx-ingress")

SENT = {"namespace": "shop", "deployment": "api", "upstream": "172.20.0.57_80", "code": "2xx", "dst_namespace": "shop"}
INTO = {"namespace": "shop", "deployment": "web", "upstream": "incoming_web_80", "code": "2xx"}
INGRESS = {"namespace": "edge", "deployment": "nginx-ingress", "upstream": "shop-web-web.example.com-web-80", "code": "2xx"}
RAW = {**INGRESS, "resource_namespace": "shop", "service": "web", "pod_name": "web-0", "pod_owner": "deployment/web"}
RENAMED = {**INGRESS, "dst_namespace": "shop", "dst_service": "web", "dst_pod": "web-0", "dst_deployment": "web"}
BY_API = {**SENT, "dst_service": "web", "dst_pod": "web-0", "dst_deployment": "web"}


def nginx(*sidecars: Series, ingress: tuple[Series, ...] = ()) -> Held:
    """A store with what sidecars count, and what an ingress controller does under names of its own."""
    return {"nginxplus_upstream_server_responses": sidecars, "nginx_ingress_nginxplus_upstream_server_responses": ingress}


INGRESSES = {
    "renamed by the scrape job": nginx((RENAMED, 30.0), (BY_API, 7.0)),
    "raw": nginx((BY_API, 7.0), ingress=((RAW, 30.0),)),
}
"""The ingress controller's requests beside those of a sidecar, in both ways to keep them."""


@pytest.mark.parametrize("held", INGRESSES.values(), ids=INGRESSES.keys())
def test_the_ingress_controller_is_a_caller_beside_the_sidecars(held: Held):
    found = {sample.peer: sample.success for sample in consult(NGINX, FROM, held).samples if sample.resource == WEB}
    assert found == {GATE: 30.0, ResourceRef("Deployment", "shop", "api"): 7.0}


@pytest.mark.parametrize("held", INGRESSES.values(), ids=INGRESSES.keys())
def test_what_the_ingress_controller_and_sidecars_sent_to_a_service_is_added(held: Held):
    (sample,) = consult(NGINX, SERVICES, held).samples
    assert (sample.resource, sample.success, sample.side) == (ResourceRef("Service", "shop", "web"), 37.0, Side.CLIENT)


@pytest.mark.parametrize("held", INGRESSES.values(), ids=INGRESSES.keys())
def test_what_a_sidecar_got_from_them_is_not_added_to_what_they_sent(held: Held):
    both = {**held, "nginxplus_upstream_server_responses": [*held["nginxplus_upstream_server_responses"], (INTO, 37.0)]}
    (sample,) = consult(NGINX, TOTAL, both).samples
    assert (sample.resource, sample.success, sample.side) == (WEB, 37.0, Side.SERVER)


@pytest.mark.parametrize(("code", "counts"), [("2xx", (9.0, 0.0)), ("3xx", (9.0, 0.0)), ("4xx", (9.0, 0.0)), ("5xx", (0.0, 9.0))])
def test_classes_of_nginx(code: str, counts: tuple[float, float]):
    (sample,) = consult(NGINX, TOTAL, nginx(({**INTO, "code": code}, 9.0))).samples
    assert (sample.success, sample.failure) == counts


def test_connections_through_nginx_have_no_numbers_and_say_so():
    answer = consult(NGINX, FROM, {"nginxplus_stream_upstream_server_connections": [({**BY_API, "deployment": "db-client"}, 4.0)]})
    (sample,) = answer.samples
    assert (sample.resource, sample.peer.name, sample.success, sample.failure, sample.latency) == (
        WEB,
        "db-client",
        None,
        None,
        None,
    )
    assert "connections" in answer.warnings[0]


def test_the_pods_of_a_job_are_not_named_after_their_scrape_job():
    found = consult(NGINX, FROM, nginx(({**BY_API, "deployment": "", "job": "nginx-mesh-sidecars"}, 3.0))).samples
    assert [sample.peer for sample in found] == [UNKNOWN]


@pytest.mark.parametrize(
    ("key", "service"),
    [
        ("shop-api-8080@http", ResourceRef("Service", "shop", "api")),
        ("shop-api-2-8080@http", ResourceRef(JOINED_SERVICE, "", "shop-api-2")),
        ("shop-admin-portal-8080@http", ResourceRef(JOINED_SERVICE, "", "shop-admin-portal")),
        # Two names and more than a port: a TrafficTarget, the backend of a TrafficSplit, the split itself.
        ("shop-api-by-web-8080-traffic-target@http", None),
        ("shop-api-split-8080-api-v2-traffic-split-backend@http", None),
        ("shop-api-split-8080-traffic-split@http", None),
        # The proxy's own, and those of an ordinary Traefik.
        ("readiness@http", None),
        ("block-all-service@http", None),
        ("shop-api-8080@kubernetes", None),
        ("shop-api-8080@kubernetescrd", None),
        ("prometheus@internal", None),
    ],
)
def test_keys_of_traefik_mesh(key: str, service: ResourceRef | None):
    held = {"traefik_service_requests_total": [({"service": key, "code": "200"}, 5.0)]}
    assert [sample.resource for sample in consult(TRAEFIK, SERVICES, held).samples] == ([service] if service is not None else [])


@pytest.mark.parametrize("kind", [row.kind for row in RESOURCE_TYPES])
def test_traefik_mesh_says_that_edges_are_impossible(kind: str):
    for direction in (Direction.TO, Direction.FROM, None):
        reason = refusal(TRAEFIK, replace(TOTAL, kinds=(kind,), edges=True, direction=direction))
        assert reason is not None
        assert "do not say who sent a request: edges are impossible" in reason


@pytest.mark.parametrize(
    ("name", "written", "found"),
    [
        ("admin-portal", "admin_portal", ["admin-portal"]),
        ("admin_portal", "admin_portal", []),
        ("portal", "admin_portal", []),
        ("", "admin_portal", ["admin-portal"]),
    ],
)
def test_a_name_of_osm_is_that_of_kubernetes_with_another_letter(name: str, written: str, found: list[str]):
    labels = {
        "destination_namespace": "my_shop",
        "destination_kind": "Deployment",
        "destination_name": written,
        "response_code": "200",
    }
    query = replace(TOTAL, namespace="my-shop" if name else "", name=name)
    samples = consult(OSM, query, {"osm_request_total": [(labels, 5.0)]}).samples
    assert [(sample.resource.namespace, sample.resource.name) for sample in samples] == [("my-shop", name) for name in found]


@pytest.mark.parametrize("kind", ["Node", "unknown", "DeploymentConfig", "Service"])
def test_an_owner_of_another_kind_is_no_workload_of_osm(kind: str):
    labels = {"destination_namespace": "shop", "destination_kind": kind, "destination_name": "web", "destination_pod": "web_0"}
    held = {"osm_request_total": [({**labels, "response_code": "200"}, 5.0)]}
    assert consult(OSM, TOTAL, held).samples == ()
    assert [sample.resource.name for sample in consult(OSM, replace(TOTAL, kinds=("Pod",)), held).samples] == ["web-0"]
