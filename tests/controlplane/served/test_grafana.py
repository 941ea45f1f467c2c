"""Grafana through kube-apiserver and to the server itself: a real store's history, the truth, and nobody else's namespaces."""

from __future__ import annotations

import json
import time
from itertools import pairwise
from typing import Any

import pytest

from tests.controlplane.plane import Person
from tests.controlplane.served.api import Api, Reply
from tests.controlplane.served.cluster import CLUSTER_READER, SHOP_READER, STRANGER
from tests.controlplane.served.mesh import exchanged, received
from tests.controlplane.served.server import GV

pytestmark = pytest.mark.real

SHOP = f"{GV}/namespaces/shop/grafana"
WAYS = pytest.mark.parametrize("way", ["proxied", "direct"])


async def asked(api: Api, way: str, path: str, user: Person, body: Any = None) -> Reply:
    send = api.proxied if way == "proxied" else api.direct
    return await send(path, method="GET" if body is None else "POST", user=user, body=body)


def panel(target: str, seconds: int = 6, **payload: str) -> dict[str, Any]:
    now = int(time.time())
    return {
        "range": {"from": (now - seconds) * 1_000, "to": now * 1_000, "raw": {"from": f"now-{seconds}s", "to": "now"}},
        "intervalMs": 1_000,
        "maxDataPoints": 100,
        "targets": [{"refId": "A", "target": target, "payload": payload}],
    }


@WAYS
async def test_a_reader_of_a_namespace_has_its_history(api: Api, way: str):
    truth = received("shop", "web")
    for target, expected in (
        ("requests_per_second", truth.success + truth.failure),
        ("failure_ratio", truth.failure / (truth.success + truth.failure)),
        ("p99_response_latency", truth.p99),
    ):
        reply = await asked(api, way, f"{SHOP}/query", SHOP_READER, panel(target, kind="deployments", name="web"))
        assert reply.status == 200, reply.body
        (frame,) = reply.document
        times, values = frame["fields"][0]["values"], frame["fields"][1]["values"]
        assert len(times) >= 5
        assert {later - earlier for earlier, later in pairwise(times)} == {1_000}
        # The store may be younger than the first windows are long.
        assert values[-1] == pytest.approx(expected, rel=0.02)


async def test_kubectl_asks_what_a_panel_asks(api: Api):
    body = json.dumps(panel("golden_metrics", kind="deployments", name="web"))
    run = await api.kubectl("create", "--raw", f"{SHOP}/query", "-f", "-", user=SHOP_READER, stdin=body)
    assert (run.code, run.stderr) == (0, "")
    (frame,) = json.loads(run.stdout)
    assert frame["fields"][2]["values"] == ["web"]


@WAYS
async def test_the_graph_of_a_namespace_is_the_truth(api: Api, way: str):
    reply = await asked(api, way, f"{SHOP}/graph?kind=deployments", SHOP_READER)
    assert reply.status == 200, reply.body
    nodes = {node["id"]: node for node in reply.document["nodes"]}
    edges = {edge["id"]: edge for edge in reply.document["edges"]}
    assert {end for edge in edges.values() for end in (edge["source"], edge["target"])} <= set(nodes)
    truth = exchanged("shop/web", "shop/api")
    edge = edges["shop/Deployment/web->shop/Deployment/api"]
    assert edge["detail__requests_per_second"] == pytest.approx(truth.success + truth.failure, rel=0.02)
    assert edge["detail__success_rate"] == pytest.approx(truth.success / (truth.success + truth.failure), rel=0.01)
    truth = received("shop", "web")
    total = nodes["shop/Deployment/web"]
    assert total["detail__requests_per_second"] == pytest.approx(truth.success + truth.failure, rel=0.02)
    assert sum(total[f"arc__{part}"] for part in ("success", "failure", "none")) == pytest.approx(1)


@WAYS
@pytest.mark.parametrize(
    ("user", "path", "status"),
    [
        pytest.param(SHOP_READER, f"{SHOP}/query", 200, id="a reader of the namespace"),
        pytest.param(SHOP_READER, f"{GV}/grafana/query", 403, id="a reader of the namespace, of all"),
        pytest.param(SHOP_READER, f"{GV}/namespaces/data/grafana/query", 403, id="a reader of the namespace, of another"),
        pytest.param(CLUSTER_READER, f"{GV}/grafana/query", 200, id="a reader of the cluster"),
        pytest.param(STRANGER, f"{SHOP}/query", 403, id="a stranger"),
    ],
)
async def test_who_may_read_may_ask(api: Api, way: str, user: Person, path: str, status: int):
    reply = await asked(api, way, path, user, panel("golden_metrics", kind="deployments"))
    assert reply.status == status, reply.body
    if status == 403:
        assert 'cannot create resource "grafana"' in reply.document["message"]
        return
    namespaces = reply.document[0]["fields"][0]["values"]
    assert set(namespaces) == ({"shop"} if user == SHOP_READER else {"shop", "data"})


@WAYS
@pytest.mark.parametrize("path", ["", "/api/health", "/api/graph/fields", "/api/graph/data?kind=deployments"])
async def test_what_is_got_is_in_the_roles_of_readers(api: Api, way: str, path: str):
    assert (await asked(api, way, f"{SHOP}{path}", SHOP_READER)).status == 200
    assert (await asked(api, way, f"{SHOP}{path}", STRANGER)).status == 403
