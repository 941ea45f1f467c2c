"""Plain kubectl, pointed at the server with ``--server`` and nothing else: no cluster, no kubeconfig."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from apiservice.app import AppOptions
from tests.apiservice.memory import Memory, serving

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not on the PATH"),
]

BASE = "/apis/metrics.smi-spec.io/v1alpha1"


class Outcome(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def table(self) -> list[list[str]]:
        """The words of each line printed."""
        return [line.split() for line in self.out.splitlines()]


Kubectl = Callable[..., Awaitable[Outcome]]


def kubectl_for(port: int, home: Path) -> Kubectl:
    """A kubectl with an empty home, an empty configuration and a discovery cache of its own."""
    home.mkdir()
    empty = home / "kubeconfig"
    empty.touch()
    flags = (f"--server=http://127.0.0.1:{port}", f"--kubeconfig={empty}", f"--cache-dir={home / 'cache'}")
    environment = {"PATH": os.environ["PATH"], "HOME": str(home)}

    async def run(*arguments: str) -> Outcome:
        process = await asyncio.create_subprocess_exec(
            "kubectl",
            *arguments,
            *flags,
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            out, err = await asyncio.wait_for(process.communicate(), 60)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        assert process.returncode is not None
        return Outcome(process.returncode, out.decode(), err.decode())

    return run


@pytest.fixture(scope="module")
async def service() -> Memory:
    """What the server knows; its ``asked`` counts questions."""
    return Memory()


@pytest.fixture(scope="module")
async def kubectl(service: Memory, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Kubectl]:
    """A kubectl against a server in standalone mode."""
    async with serving(service) as server:
        assert server.port is not None
        yield kubectl_for(server.port, tmp_path_factory.mktemp("kubectl") / "home")


async def test_get_everywhere(kubectl: Kubectl) -> None:
    got = await kubectl("get", "trafficmetrics", "-A")
    assert (got.code, got.err) == (0, "")
    assert got.table == [
        ["NAMESPACE", "NAME", "SUCCESS", "RPS", "P50", "P90", "P99"],
        ["data", "statefulset.db", "100.00%", "1.3rps", "3ms", "6ms", "12ms"],
        ["shop", "deployment.api", "90.00%", "3.3rps", "8ms", "16ms", "32ms"],
        ["shop", "deployment.cart", "100.00%", "0.7rps", "3ms", "6ms", "12ms"],
        ["shop", "deployment.web", "90.00%", "2.0rps", "3ms", "6ms", "12ms"],
    ]


async def test_get_wide(kubectl: Kubectl) -> None:
    got = await kubectl("get", "tm", "-n", "shop", "-o", "wide")
    assert got.table[0][-4:] == ["FAILURES", "WINDOW", "SIDE", "SOURCE"]
    assert got.table[1][-4:] == ["10", "30s", "server", "memory"]


async def test_get_by_category(kubectl: Kubectl) -> None:
    assert len((await kubectl("get", "traffic", "-n", "shop", "--no-headers")).table) == 3


@pytest.mark.parametrize("resource", ["deployments.metrics.smi-spec.io", "deployments", "deployment"])
async def test_one_deployment_as_yaml(kubectl: Kubectl, resource: str) -> None:
    got = await kubectl("get", resource, "-n", "shop", "web", "-o", "yaml")
    document = yaml.safe_load(got.out)
    assert (document["kind"], document["resource"]) == (
        "TrafficMetrics",
        {"kind": "Deployment", "namespace": "shop", "name": "web"},
    )
    assert [metric["value"] for metric in document["metrics"]] == ["12m", "6m", "3m", "54", "6"]


async def test_names(kubectl: Kubectl) -> None:
    got = await kubectl("get", "tm", "-n", "shop", "-o", "name")
    assert got.out.split() == [f"trafficmetrics.metrics.smi-spec.io/deployment.{name}" for name in ("api", "cart", "web")]


async def test_names_of_another_resource(kubectl: Kubectl) -> None:
    got = await kubectl("get", "deployments.metrics.smi-spec.io", "-n", "shop", "-o", "name")
    assert (got.code, len(got.out.split())) == (0, 3)


async def test_jsonpath(kubectl: Kubectl) -> None:
    got = await kubectl("get", "tm", "-A", "-o", "jsonpath={.items[*].metadata.name}")
    assert got.out == "statefulset.db deployment.api deployment.cart deployment.web"


async def test_custom_columns(kubectl: Kubectl) -> None:
    got = await kubectl("get", "tm", "-n", "shop", "-o", "custom-columns=N:.metadata.name,OK:.metrics[3].value", "--no-headers")
    assert got.table == [["deployment.api", "90"], ["deployment.cart", "20"], ["deployment.web", "54"]]


async def test_sorted_by_a_field(kubectl: Kubectl) -> None:
    got = await kubectl("get", "tm", "-A", "--sort-by=.metrics[2].value", "--no-headers")
    assert got.table[-1][1] == "deployment.api"


async def test_pages_of_one(kubectl: Kubectl, service: Memory) -> None:
    service.asked = 0
    got = await kubectl("get", "tm", "-A", "--chunk-size=1", "--no-headers")
    assert [line[1] for line in got.table] == ["statefulset.db", "deployment.api", "deployment.cart", "deployment.web"]
    assert service.asked == 1


async def test_labels_select(kubectl: Kubectl) -> None:
    got = await kubectl("get", "tm", "-n", "shop", "-l", "app in (web, api),!tier", "--no-headers")
    assert [line[0] for line in got.table] == ["deployment.api"]


async def test_fields_select(kubectl: Kubectl) -> None:
    everywhere = await kubectl("get", "deployments.metrics.smi-spec.io", "-A", "--field-selector=metadata.name=web", "--no-headers")
    assert [line[:2] for line in everywhere.table] == [["shop", "web"]]
    edges = await kubectl("get", "tm", "-n", "shop", "--field-selector=edge.direction=to", "--no-headers")
    assert [line[0] for line in edges.table] == ["deployment.api.to.statefulset.db.data", "deployment.web.to.deployment.api"]


async def test_an_empty_namespace(kubectl: Kubectl) -> None:
    got = await kubectl("get", "tm", "-n", "nowhere")
    assert (got.code, got.err) == (0, "No resources found in nowhere namespace.\n")


async def test_an_absent_object(kubectl: Kubectl) -> None:
    got = await kubectl("get", "deployments.metrics.smi-spec.io", "-n", "shop", "nobody")
    assert got.code == 1
    assert got.err == 'Error from server (NotFound): deployments.metrics.smi-spec.io "nobody" not found\n'


@pytest.mark.parametrize("resource", ["deployments.metrics.smi-spec.io", "trafficmetrics", "namespaces", "edges"])
async def test_explain(kubectl: Kubectl, resource: str) -> None:
    got = await kubectl("explain", resource)
    assert (got.code, got.err) == (0, "")
    assert "KIND:       TrafficMetrics" in got.out
    assert "<[]Metric>" in got.out
    assert "p99_response_latency" in got.out


async def test_explain_recursively(kubectl: Kubectl) -> None:
    got = await kubectl("explain", "trafficmetrics", "--recursive")
    fields = [line[0] for line in got.table if len(line) > 1]
    assert {"edge", "direction", "side", "metrics", "value", "unit", "window", "labels"} <= set(fields)


async def test_explain_one_field(kubectl: Kubectl) -> None:
    got = await kubectl("explain", "trafficmetrics.metrics.value")
    assert "FIELD: value <string>" in got.out
    assert "null is unknown" in " ".join(got.out.split())


async def test_api_resources(kubectl: Kubectl) -> None:
    got = await kubectl("api-resources", "--api-group=metrics.smi-spec.io", "-o", "wide", "--no-headers")
    assert got.err == ""
    found = {line[0]: line[1:] for line in got.table}
    assert found["trafficmetrics"] == [
        *("tm", "metrics.smi-spec.io/v1alpha1", "true", "TrafficMetrics", "get,list,watch", "traffic")
    ]
    assert found["deployments"] == ["metrics.smi-spec.io/v1alpha1", "true", "DeploymentTrafficMetrics", "get,list,watch"]
    assert found["namespaces"][1] == "false"
    assert len(found) == 16


async def test_describe(kubectl: Kubectl) -> None:
    got = await kubectl("describe", "tm", "-n", "shop", "deployment.web")
    assert (got.code, got.err) == (0, "")
    assert "p99_response_latency" in got.out


@pytest.mark.parametrize("slash", ["", "/"], ids=["as it is", "with a slash"])
async def test_edges_raw(kubectl: Kubectl, slash: str) -> None:
    got = await kubectl("get", "--raw", f"{BASE}/namespaces/shop/deployments/api/edges{slash}")
    document = json.loads(got.out)
    assert document["kind"] == "TrafficMetricsList"
    assert [item["edge"]["resource"]["name"] for item in document["items"]] == ["web", "db"]


async def test_edges_as_a_subresource(kubectl: Kubectl) -> None:
    got = await kubectl("get", "deployments.metrics.smi-spec.io", "-n", "shop", "api", "--subresource=edges")
    assert got.table == [
        ["NAME", "DIRECTION", "PEER", "SUCCESS", "RPS", "P50", "P90", "P99"],
        ["api", "from", "deployment/web", "100.00%", "3.0rps", "3ms", "6ms", "12ms"],
        ["api", "to", "statefulset/db.data", "100.00%", "1.3rps", "3ms", "6ms", "12ms"],
    ]


async def test_edges_of_a_namespace(kubectl: Kubectl) -> None:
    listed = await kubectl("get", "edges", "-n", "shop")
    below = await kubectl("get", "namespaces.metrics.smi-spec.io", "shop", "--subresource=edges")
    assert listed.table == below.table
    assert listed.table[1][:3] == ["shop", "to", "namespace/data"]
    everywhere = await kubectl("get", "edges", "-A", "--no-headers")
    assert [line[:3] for line in everywhere.table] == [["shop", "to", "namespace/data"]]


async def test_nothing_can_be_deleted(kubectl: Kubectl) -> None:
    got = await kubectl("delete", "tm", "-n", "shop", "deployment.web")
    assert got.code == 1
    assert "MethodNotAllowed" in got.err


async def test_the_server_tells_its_version(kubectl: Kubectl) -> None:
    assert "Server Version: v0.1.0" in (await kubectl("version")).out


async def test_warnings_are_printed_and_the_rows_shown(tmp_path: Path) -> None:
    async with serving(Memory(warnings=('source "far" did not answer',), incomplete=True)) as server:
        assert server.port is not None
        got = await kubectl_for(server.port, tmp_path / "home")("get", "tm", "-n", "shop", "--no-headers")
    assert (got.code, got.err, len(got.table)) == (0, 'Warning: source "far" did not answer\n', 3)


async def test_the_literal_form_of_discovery_is_explained_too(tmp_path: Path) -> None:
    async with serving(options=AppOptions("0.1.0", literal=True)) as server:
        assert server.port is not None
        kubectl = kubectl_for(server.port, tmp_path / "home")
        kinds = {line[-1] for line in (await kubectl("api-resources", "--no-headers")).table}
        explained = await kubectl("explain", "trafficmetrics")
    assert kinds == {"TrafficMetrics"}
    assert (explained.code, "KIND:       TrafficMetrics" in explained.out) == (0, True)
