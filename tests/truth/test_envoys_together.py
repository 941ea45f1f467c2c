"""Meshes and gateways that are all built of Envoy in one store: each request is told by one dialect, and by no other under another name.

Their series have the same names and differ in labels and in the names of clusters and listeners alone.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from backends.prometheus import PrometheusBackend
from metrics_api import Direction
from tests.truth.written import Series, Written, counted, numbers, question, store

pytestmark = pytest.mark.real


def proxy(name: str, namespace: str, rate: float, clusters: str = "", listeners: str = "", **tags: str) -> Series:
    """What one proxy sent to a cluster and what its listener received; Envoy counts both in several ways."""
    own = {"namespace": namespace, "deployment": name, "pod": f"{name}-0", **tags}
    found: Series = {}
    if clusters:
        found |= counted("envoy_cluster_upstream_rq_xx", rate, envoy_cluster_name=clusters, envoy_response_code_class="2", **own)
        found |= counted("envoy_cluster_upstream_rq_total", rate, envoy_cluster_name=clusters, **own)
    if listeners:
        labels = {"envoy_http_conn_manager_prefix": listeners, "envoy_response_code_class": "2"}
        found |= counted("envoy_http_downstream_rq_xx", rate, **labels, **own)
    return found


CALLED_OF_CONSUL = {"consul_destination_service": "api", "consul_destination_namespace": "bank"}

KEPT = (
    proxy("api", "bank", 1, "local_app", "public_listener", consul_source_service="api"),
    proxy("web", "bank", 1, "api.default.dc1.internal.trust.consul", "upstream", consul_source_service="web", **CALLED_OF_CONSUL),
    proxy("api", "farm", 2, "localhost_8080", "localhost_8080"),
    proxy("web", "farm", 2, "api_farm_svc_8080", "api_farm_svc_8080"),
    proxy("web", "farm", 3, "payments_example_com", "payments_example_com", kuma_workload="web"),
    proxy("gateway-proxy", "edge", 4, "edge-api-8080_gloo-system", "http"),
    proxy("gateway-proxy", "edge", 5, "by-hand_gloo-system"),
    proxy("api", "mine", 6, "cds_ingress_east_api_mine_http_8080", "ingress"),
    proxy("web", "mine", 6, "cds_egress_east_api_mine_http_8080", "egress", appmesh_virtual_node="web_mine"),
    proxy("api", "yard", 7, "local_service", "ingress_http"),
    proxy("web", "yard", 7, "api.yard", "egress_http"),
)


@pytest.fixture(scope="module")
async def together(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Written]:
    async with store(tmp_path_factory.mktemp("envoys"), *KEPT) as written:
        yield written


@pytest.fixture(scope="module")
async def auto(together: Written) -> PrometheusBackend:
    return await together.source("")


async def test_each_mesh_is_recognised(auto: PrometheusBackend):
    await auto.answer(question("Deployment"))
    assert [dialect.name for dialect in auto.dialects] == ["appmesh", "consul", "gloo", "kuma", "envoy"]


@pytest.mark.parametrize(
    ("namespace", "totals"),
    [
        ("bank", {"api": 60}),
        ("farm", {"api": 120}),
        ("edge", {"gateway-proxy": 240}),
        ("mine", {"api": 360}),
        ("yard", {"api": 420}),
    ],
)
async def test_what_was_received_is_told_of_callees_alone(auto: PrometheusBackend, namespace: str, totals: dict[str, int]):
    """The listener for what a sidecar sends is no gateway's."""
    found = numbers((await auto.answer(question("Deployment", namespace=namespace))).samples)
    assert {name: row[0] for name, row in found.items()} == totals


@pytest.mark.parametrize(
    ("namespace", "callees"),
    [
        ("bank", {("web", "Service", "api"): 60}),
        ("farm", {("web", "Service", "api"): 120, ("web", "", "payments_example_com"): 180}),
        ("edge", {("gateway-proxy", "Service", "api"): 240, ("gateway-proxy", "", "by-hand_gloo-system"): 300}),
        ("mine", {("web", "Workload", "api"): 360}),
        ("yard", {("web", "Workload", "api"): 420}),
    ],
)
async def test_a_call_has_one_callee_by_the_name_its_mesh_gives_it(
    auto: PrometheusBackend, namespace: str, callees: dict[tuple[str, str, str], int]
):
    answer = await auto.answer(question("Deployment", namespace=namespace, direction=Direction.TO))
    assert {(one.resource.name, one.peer.kind, one.peer.name): round(one.success or 0) for one in answer.samples} == callees


@pytest.mark.parametrize(
    ("dialect", "namespaces"), [("gloo", {"edge"}), ("kuma", {"farm"}), ("consul", {"bank"}), ("appmesh", {"mine"})]
)
async def test_a_dialect_that_is_asked_alone_tells_of_its_own_proxies(together: Written, dialect: str, namespaces: set[str]):
    answer = await together.ask(dialect, "Deployment", direction="to")
    assert {sample.resource.namespace for sample in answer.samples} == namespaces
