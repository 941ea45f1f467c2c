"""What is shown of numbers that are a sample: X-Ray's graph, through the server."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.controlplane.served.server import GV
from tests.controlplane.served.standalone import Running, running
from tests.doubles.cloudwatch import edge, node, outcomes, run_aws

pytestmark = pytest.mark.real

SAMPLED = "metrics.smi-spec.io/sampled"


@pytest.fixture(scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    """A server that has a graph of two services: one of them calls the other, and was called itself."""
    async with run_aws() as aws:
        web = node(
            0,
            "web",
            outcomes(ok=18, errors=1, faults=1),
            {0.01: 10, 0.02: 8, 0.3: 2},
            [edge(1, outcomes(ok=9, faults=1), {0.05: 10})],
        )
        aws.graph.services = [web, node(1, "orders.shop", outcomes(ok=9, faults=1), {0.04: 10})]
        source = {"source": "xray", "namespace": "shop", "cluster": None}
        async with running(aws, tmp_path_factory.mktemp("server"), aws.environment(), source) as started:
            yield started


@pytest.mark.parametrize(
    "path", ["deployments", "namespaces/shop/deployments/web", "namespaces/shop/deployments/web/edges", "namespaces"]
)
async def test_every_object_is_marked_as_a_sample_and_a_warning_says_so(server: Running, path: str):
    reply = await server.get(f"{GV}/{path}")
    assert reply.status == 200, reply.document
    items = reply.document.get("items", [reply.document])
    assert items
    assert {item["metadata"]["annotations"][SAMPLED] for item in items} == {"true"}
    assert any("counts the requests that were traced, which are a sample" in text for text in reply.headers.getall("Warning"))


async def test_percentiles_are_of_its_histograms_and_4xx_is_no_failure(server: Running):
    reply = await server.get(f"{GV}/namespaces/shop/deployments/web")
    values = {metric["name"]: metric["value"] for metric in reply.document["metrics"]}
    assert values == {
        "p99_response_latency": "300m",
        "p90_response_latency": "20m",
        "p50_response_latency": "10m",
        "success_count": "19",
        "failure_count": "1",
    }


async def test_it_costs_no_requested_metrics(server: Running):
    await server.get(f"{GV}/deployments")
    page = (await server.get("/metrics")).body.decode()
    assert 'trafficmetrics_source_api_calls_total{operation="GetServiceGraph",source="signals"}' in page
    assert server.aws.billed == 0
