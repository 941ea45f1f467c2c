"""What the fleet of the doubles does not show: owners of rarer kinds, a gateway with other tags, gRPC statuses, connections alone."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.truth.written import Series, Written, counted, numbers, store

pytestmark = pytest.mark.real


def responses(rates: dict[str, float], **labels: str) -> Series:
    """Responses per second by class, of one cluster."""
    found: Series = {}
    for code, rate in rates.items():
        found |= counted("envoy_cluster_upstream_rq_xx", rate, **labels, envoy_response_code_class=code)
    return found


PAY = {"envoy_cluster_name": "cds_ingress_fleet_pay_shop_grpc_8080", "appmesh_virtual_node": "pay_shop"}
GATE = {"envoy_http_conn_manager_prefix": "ingress", "VirtualGateway": "gate_shop"}
APP_MESH = (
    # Two of the calls with status 14 were answered with class 5 by the proxy itself, the third with HTTP 200 by its application.
    responses({"2": 20, "5": 2}, **PAY),
    counted("envoy_cluster_grpc_13", 4, **PAY),
    counted("envoy_cluster_grpc_14", 3, **PAY),
    counted("envoy_cluster_grpc_5", 1, **PAY),
    # A gateway that the metrics extension tags.
    counted("envoy_http_downstream_rq_xx", 7, envoy_response_code_class="2", **GATE),
    counted("envoy_http_downstream_rq_xx", 1, envoy_response_code_class="5", **GATE),
    counted("envoy_http_downstream_rq_xx", 3, envoy_response_code_class="1", **GATE),
)
ENVOY = (
    responses({"2": 5}, envoy_cluster_name="local_app", namespace="shop", replicationcontroller="old"),
    responses({"2": 6}, envoy_cluster_name="local_app", namespace="shop", workload="any"),
)
EDGE = {"namespace": "edge", "daemonset": "gateway-proxy"}
GLOO = (
    counted("envoy_http_downstream_rq_xx", 9, envoy_http_conn_manager_prefix="http", envoy_response_code_class="2", **EDGE),
    counted("envoy_http_downstream_rq_xx", 2, envoy_http_conn_manager_prefix="http", envoy_response_code_class="5", **EDGE),
    responses({"2": 8, "5": 3}, envoy_cluster_name="shop-api-8080_gloo-system", **EDGE),
)
CALL = {"namespace": "shop", "deployment": "web", "dst_namespace": "shop"}
NGINX = (
    counted("nginxplus_stream_upstream_server_connections", 3, **CALL, dst_deployment="db"),
    counted("nginxplus_stream_upstream_server_connections", 0, **CALL, dst_deployment="quiet"),
    counted("nginxplus_stream_upstream_server_connections", 3, **CALL, dst_deployment="api", upstream="stream"),
    counted("nginxplus_upstream_server_responses", 8, **CALL, dst_deployment="api", code="2xx", upstream="http"),
)


@pytest.fixture(scope="module")
async def rare(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Written]:
    async with store(tmp_path_factory.mktemp("rarer"), *APP_MESH, *ENVOY, *GLOO, *NGINX) as written:
        yield written


async def test_app_mesh_counts_grpc_failures_once_where_its_proxies_count_statuses(rare: Written):
    assert numbers((await rare.ask("appmesh", "Deployment", name="pay")).samples) == {"pay": (60 * 15, 60 * 7, "server")}


async def test_a_gateway_of_app_mesh_is_known_by_the_tags_of_the_metrics_extension(rare: Written):
    assert numbers((await rare.ask("appmesh", "Deployment", name="gate")).samples) == {"gate": (60 * 7, 60 * 1, "server")}


@pytest.mark.parametrize("dialect", ["envoy", "consul"])
async def test_scraping_may_name_rarer_owners_and_workloads_without_a_kind(rare: Written, dialect: str):
    found = (await rare.ask(dialect, "ReplicationController", namespace="shop")).samples
    assert {(sample.resource.kind, sample.resource.name, sample.success) for sample in found} == {
        ("ReplicationController", "old", 60 * 5.0),
        ("Workload", "any", 60 * 6.0),
    }


async def test_a_gateway_of_gloo_may_be_a_daemonset(rare: Written):
    assert numbers((await rare.ask("gloo", "DaemonSet")).samples) == {"gateway-proxy": (60 * 9, 60 * 2, "server")}
    called = await rare.ask("gloo", "DaemonSet", direction="to")
    assert numbers(called.samples) == {"gateway-proxy to api": (60 * 8, 60 * 3, "client")}


async def test_callees_that_had_connections_alone_have_no_numbers_and_a_warning(rare: Written):
    found = await rare.ask("nginx", "Deployment", direction="to", name="web")
    assert numbers(found.samples) == {"web to api": (60 * 8, 0, "client"), "web to db": (None, None, "client")}
    (warning,) = found.warnings
    assert "connections" in warning
    assert "web to db" in warning
