"""The other ways to read, through kube-apiserver and directly: none of them is a way around the roles of a cluster."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.controlplane.people import ADMIN, Person
from tests.controlplane.served.api import Api, Reply, measured
from tests.controlplane.served.cluster import CLUSTER_READER, SHOP_READER, STRANGER
from tests.controlplane.served.server import GV

pytestmark = pytest.mark.real

SHOP = f"{GV}/namespaces/shop"
OTHER = f"{GV}/namespaces/other"
PANEL_READER = Person("panels")
"""May ask all that Grafana and clients of Prometheus ask, and may read no traffic."""

WEB = 'trafficmetrics_requests_per_second{namespace="%s",kind="Deployment",name="web"}'
INSTANT = "prometheus/api/v1/query?query="
QUERY = {
    "range": {"from": "2026-11-21T22:00:00Z", "to": "2026-11-21T22:10:00Z"},
    "intervalMs": 60_000,
    "maxDataPoints": 10,
    "targets": [
        {"refId": "A", "target": "requests_per_second", "payload": {"namespace": "shop", "kind": "Deployment", "name": "web"}}
    ],
}


@pytest.fixture(scope="module", autouse=True)
async def panel_reader(api: Api) -> None:
    resources = ["grafana", "grafana/graph", "grafana/health", "prometheus", "prometheus/v1"]
    role: dict[str, Any] = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "panels"},
        "rules": [{"apiGroups": ["metrics.smi-spec.io"], "resources": resources, "verbs": ["get", "list", "create"]}],
    }
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "panels"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "panels"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": PANEL_READER.name}],
    }
    await api.plane.apply(role, binding)


async def ask(api: Api, way: str, path: str, user: Person, body: Any = None) -> Reply:
    send = api.proxied if way == "through kube-apiserver" else api.direct
    return await send(path, user=user, method="POST" if body is not None else "GET", body=body)


ASKED = [
    pytest.param("grafana", None, id="whether Grafana is served"),
    pytest.param("grafana/query", QUERY, id="time series"),
    pytest.param("grafana/graph?namespace=shop", None, id="graph"),
    pytest.param("grafana/api/graph/data?namespace=shop", None, id="node graph plugin"),
    pytest.param("prometheus/metrics", None, id="page to scrape"),
    pytest.param(INSTANT + WEB % "shop", None, id="instant query"),
    pytest.param(
        f"prometheus/api/v1/query_range?query={WEB % 'shop'}&start={int(time.time()) - 5}&end={int(time.time())}&step=5",
        None,
        id="range query",
    ),
]
WAYS = ["through kube-apiserver", "directly"]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("path", "body"), ASKED)
async def test_who_may_read_a_namespace_asks_in_it_and_nowhere_else(api: Api, way: str, path: str, body: Any):
    assert (await ask(api, way, f"{SHOP}/{path}", SHOP_READER, body)).status == 200
    assert (await ask(api, way, f"{OTHER}/{path}", SHOP_READER, body)).status == 403
    assert (await ask(api, way, f"{GV}/{path}", SHOP_READER, body)).status == 403
    assert (await ask(api, way, f"{SHOP}/{path}", STRANGER, body)).status == 403
    assert (await ask(api, way, f"{GV}/{path}", CLUSTER_READER, body)).status == 200


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("path", "body"), ASKED[1:])
async def test_who_may_ask_and_may_read_no_traffic_is_told_of_none(api: Api, way: str, path: str, body: Any):
    for start in (GV, SHOP):
        reply = await ask(api, way, f"{start}/{path}", PANEL_READER, body)
        assert reply.status == 403
        assert "panels" in reply.body.decode()


async def test_every_way_tells_the_same_numbers(api: Api):
    """Of one instant: asked around a change of instants, they would be of different ones."""
    for _ in range(20):
        item = (await api.direct(f"{SHOP}/deployments/web", user=ADMIN)).document
        numbers = (await api.direct(f"{SHOP}/deployments/web?format=numbers", user=ADMIN)).document
        vector = (await api.direct(f"{SHOP}/{INSTANT}{WEB % 'shop'}", user=ADMIN)).document
        if (
            item["timestamp"]
            == numbers["timestamp"]
            == (await api.direct(f"{SHOP}/deployments/web", user=ADMIN)).document["timestamp"]
        ):
            break
    told = measured(item)
    assert told["success_count"] and told["failure_count"] is not None  # noqa: PT018 there is traffic
    rate = (told["success_count"] + told["failure_count"]) / 10
    assert numbers["rps"] == pytest.approx(rate)
    assert numbers["successCount"] == pytest.approx(told["success_count"])
    assert numbers["p99Ms"] == pytest.approx((told["p99_response_latency"] or 0) * 1000)
    (found,) = vector["data"]["result"]
    assert float(found["value"][1]) == pytest.approx(rate)


async def test_a_name_of_another_namespace_is_no_way_into_it(api: Api):
    """In the URL of a namespace, a question about another one is not answered from that one."""
    reply = await api.direct(f"{SHOP}/{INSTANT}{WEB % 'other'}", user=SHOP_READER)
    assert reply.status == 200
    assert reply.document["data"]["result"] == []
    query = {**QUERY, "targets": [{"refId": "A", "target": "requests_per_second", "payload": {"namespace": "other"}}]}
    reply = await api.direct(f"{SHOP}/grafana/query", user=SHOP_READER, method="POST", body=query)
    assert reply.status in (200, 400)
    if reply.status == 200:
        assert not any(values for frame in reply.document for values in frame.get("datapoints", ()))


async def test_metrics_apis_are_not_served_unless_they_are_switched_on(api: Api):
    for group in ("custom.metrics.k8s.io/v1beta2", "external.metrics.k8s.io/v1beta1"):
        assert (await api.direct(f"/apis/{group}", user=ADMIN)).status == 404
        assert (await api.direct(f"/apis/{group}/namespaces/shop/pods/%2A/requests_per_second", user=ADMIN)).status == 404
