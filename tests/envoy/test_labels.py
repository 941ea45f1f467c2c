"""What the metrics of each mesh are called on the page that is scraped, found out from Envoy: the facts that its dialect rests on.

A failure here after an upgrade of Envoy means that a dialect has to change.
"""

from __future__ import annotations

import asyncio

import pytest

from backends.dialects import Dialect, builtin_dialects, load_dialect
from tests.demo.lab import Series
from tests.envoy.running import Run
from tests.envoy.setups import GATEWAY, SETUPS, TRUST

pytestmark = pytest.mark.real

RESPONSES = "envoy_cluster_upstream_rq_xx"
FIVE = {"envoy_response_code_class": "5"}


async def pages(run: Run) -> dict[str, Series]:
    """What every proxy exposes, by its workload."""
    scraped = await asyncio.gather(*(lab.scrape() for lab in run.proxies.values()))
    return dict(zip(run.proxies, scraped, strict=True))


def labels(page: Series, metric: str, **some: str) -> list[dict[str, str]]:
    """The labels of every series of a metric that has these among its own; one without a value is none."""
    series = ({label: value for label, value in found.items() if value} for name, found, _ in page.rows() if name == metric)
    return [found for found in series if some.items() <= found.items()]


async def test_consuls_rules_tell_both_ends_and_leave_the_service_as_the_name_of_the_cluster(runs: dict[str, Run]):
    web = (await pages(runs["consul"]))["web"]
    (found,) = labels(web, RESPONSES, consul_destination_service="api", **FIVE)
    assert found == {
        **FIVE,
        "envoy_cluster_name": "api",
        "local_cluster": "web",
        "consul_source_service": "web",
        "consul_source_namespace": "shop",
        "consul_source_partition": "default",
        "consul_source_datacenter": "dc1",
        "consul_destination_service": "api",
        "consul_destination_namespace": "shop",
        "consul_destination_datacenter": "dc1",
        "consul_destination_routing_type": "internal",
        "consul_destination_trust_domain": TRUST,
    }
    prefixes = {found["envoy_http_conn_manager_prefix"] for found in labels(web, "envoy_http_downstream_rq_xx")}
    assert prefixes == {"public_listener", "upstream", "admin"}


async def test_consuls_grpc_statuses_have_methods_in_their_names_unless_a_callees_service_is_in_no_package(runs: dict[str, Run]):
    exposed = await pages(runs["consul"])
    assert "envoy_cluster_grpc_Take13_13" in exposed["web"].metrics()
    assert "envoy_cluster_grpc_shop_Stock_Take13_13" in exposed["api"].metrics()
    assert not any("envoy_cluster_grpc_13" in page.metrics() for page in exposed.values())
    await runs["consul"].proxies["api"].call("web", "/Stock/Take13")
    exposed = await pages(runs["consul"])
    assert "envoy_cluster_grpc_13" in exposed["web"].metrics()
    assert "envoy_cluster_grpc_Stock_Take13_13" in exposed["api"].metrics()


async def test_app_mesh_listeners_with_port_and_protocol_are_called_ingress_as_those_without(runs: dict[str, Run]):
    exposed = await pages(runs["appmesh"])
    (gateway,) = labels(exposed[GATEWAY], "envoy_http_downstream_rq_xx", envoy_http_conn_manager_prefix="ingress", **FIVE)
    assert gateway == {
        **FIVE,
        "appmesh_mesh": "fleet",
        "appmesh_virtual_gateway": "gate_shop",
        "appmesh_listener_protocol": "http",
        "appmesh_listener_port": "8088",
        "envoy_http_conn_manager_prefix": "ingress",
    }
    (node,) = labels(exposed["web"], RESPONSES, envoy_cluster_name="cds_egress_fleet_api_shop_http_8080", **FIVE)
    assert node.keys() == {*FIVE, "envoy_cluster_name", "appmesh_mesh", "appmesh_virtual_node"}


async def test_the_metrics_extension_is_spelt_with_capitals_and_counts_milliseconds(runs: dict[str, Run]):
    web = (await pages(runs["appmesh"]))["web"]
    who = {"Mesh": "fleet", "VirtualNode": "web_shop", "TargetVirtualNode": "api_shop"}
    who["TargetVirtualService"] = "api.shop.svc.cluster.local"
    assert web.value("envoy_appmesh_HTTPCode_Target_5XX_Count", **who) == 3  # with the first one
    total = web.value("envoy_appmesh_TargetResponseTime_sum", **who)
    assert total is not None
    assert total > 4 * 600


@pytest.mark.parametrize(
    ("name", "workload", "cluster"),
    [
        ("kuma up to 2.x", "web", "api_shop_svc_8080"),
        ("kuma up to 2.x", "api", "localhost_8080"),
        ("kuma from 3.0", "web", "kri_msvc_default__shop_api_http"),
        ("kuma from 3.0", "api", "self_inbound_dp_http"),
        ("gloo", GATEWAY, "shop-api-8080_gloo-system"),
        ("gloo", GATEWAY, "kube-upstream_shop-web-8080_gloo-system_shop_web_8080"),
    ],
)
async def test_names_without_dots_are_whole_in_the_label(runs: dict[str, Run], name: str, workload: str, cluster: str):
    (found,) = labels((await pages(runs[name]))[workload], RESPONSES, envoy_cluster_name=cluster, **FIVE)
    assert found == {**FIVE, "envoy_cluster_name": cluster}


def shown(dialect: Dialect, page: Series, added: dict[str, str]) -> bool:
    """Whether any of the dialect's signs holds for what a proxy exposes, with the labels that scraping adds."""
    return any(
        all(matcher.accepts({**found, **added}) for matcher in sign.matchers)
        for sign in dialect.signs
        for found in labels(page, sign.metric)
    )


@pytest.mark.parametrize("name", SETUPS)
async def test_a_proxy_is_recognised_as_one_of_its_mesh_and_of_no_other(runs: dict[str, Run], name: str):
    setup = SETUPS[name]
    dialects = [load_dialect(dialect) for dialect in builtin_dialects()]
    for workload, page in (await pages(runs[name])).items():
        found = {dialect.name for dialect in dialects if shown(dialect, page, setup.labels(workload))}
        # Plain Envoy is what is left over when no other dialect is recognised.
        assert found - {"envoy"} == {setup.dialect} - {"envoy"}
        assert "envoy" in found or setup.dialect != "envoy"
