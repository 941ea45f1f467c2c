"""Edges: who talks to whom, for every kind of resource, through the subresource, the paths and the names of rows."""

from __future__ import annotations

from typing import Any

import pytest

from tests.controlplane.served.api import Api
from tests.controlplane.served.mesh import API_1, OTHER_WEB, WEB

pytestmark = pytest.mark.real


def peers(items: list[dict[str, Any]]) -> list[tuple[str, ...]]:
    edges = [(item["edge"]["direction"], item["edge"]["resource"]) for item in items]
    return [(direction, peer.get("kind", ""), peer.get("namespace", ""), peer["name"]) for direction, peer in edges]


async def test_kubectl_prints_edges_as_a_subresource(api: Api):
    text = await api.prints("get", "deployments.metrics.smi-spec.io", "-n", "shop", "web", "--subresource=edges")
    header, *rows = [line.split() for line in text.splitlines()]
    assert header == ["NAME", "DIRECTION", "PEER", "SUCCESS", "RPS", "P50", "P90", "P99"]
    assert [tuple(row[:5]) for row in rows] == [
        ("web", "from", "unknown", "97.50%", "20.0rps"),
        ("web", "from", "deployment/api", "100.00%", "3.0rps"),
        ("web", "to", "deployment/api", "90.91%", "22.0rps"),
        ("web", "to", "deployment/gone", "100.00%", "7.0rps"),
    ]


async def test_edges_can_be_printed_as_json(api: Api):
    document = await api.document("deployments.metrics.smi-spec.io", "-n", "shop", "web", "--subresource=edges")
    assert len(document["items"]) == 4


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        pytest.param(
            "/namespaces/shop/deployments/api/edges",
            [
                ("from", "Deployment", "other", "web"),
                ("from", "Deployment", "shop", "web"),
                ("to", "Deployment", "shop", "web"),
                ("to", "StatefulSet", "data", "db"),
            ],
            id="a deployment",
        ),
        pytest.param("/namespaces/data/statefulsets/db/edges", [("from", "Deployment", "shop", "api")], id="a statefulset"),
        pytest.param(
            f"/namespaces/shop/pods/{API_1.name}/edges",
            [("from", "Pod", "other", OTHER_WEB.name), ("from", "Pod", "shop", WEB.name), ("to", "Pod", "shop", WEB.name)],
            id="a pod",
        ),
        pytest.param(
            f"/namespaces/shop/pods/{API_1.name}/edges?edgeKind=deployments",
            [("from", "Deployment", "other", "web"), ("from", "Deployment", "shop", "web"), ("to", "Deployment", "shop", "web")],
            id="a pod, and whose pods its peers are",
        ),
        pytest.param(
            "/namespaces/data/edges",
            [("from", "Namespace", "", "other"), ("from", "Namespace", "", "shop")],
            id="a namespace",
        ),
        pytest.param("/namespaces/shop/deployments/idle/edges", [], id="nobody"),
        pytest.param(
            "/namespaces/data/statefulsets/db/edges?edgeKind=namespaces",
            [("from", "Namespace", "", "shop")],
            id="peers at another level",
        ),
    ],
)
async def test_edges_name_every_peer(api: Api, path: str, expected: list[tuple[str, ...]]):
    assert peers((await api.raw(path))["items"]) == expected


async def test_an_edge_has_a_name_of_its_own(api: Api):
    (row,) = await api.table("tm", "-n", "shop", "deployment.web.to.deployment.api")
    assert row[:3] == ["deployment.web.to.deployment.api", "to", "deployment/api"]


async def test_an_edge_that_is_not_there_is_not_found(api: Api):
    run = await api.kubectl("get", "tm", "-n", "shop", "deployment.web.to.deployment.idle")
    assert run.stderr == (
        'Error from server (NotFound): trafficmetrics.metrics.smi-spec.io "deployment.web.to.deployment.idle" not found\n'
    )
