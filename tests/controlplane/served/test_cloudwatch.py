"""kubectl, kube-apiserver and the server with CloudWatch behind it: the same rows as with a Prometheus, and what CloudWatch cannot tell."""

from __future__ import annotations

import json
import re
import time
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Any

import pytest

from tests.controlplane.plane import Run
from tests.controlplane.served.api import Api, measured
from tests.controlplane.served.mesh import API_1, API_2, DB, WEB, Pod, exchanged, received
from tests.controlplane.served.server import GV
from tests.controlplane.served.signals import BANK, Signals, open_signals

pytestmark = pytest.mark.real

GROUP = "metrics.smi-spec.io"
WHOLE_MINUTES = re.compile(
    r'Warning: source "signals" has whole minutes, some time after they are over: '
    r"the numbers cover 1m0s until \d{4}-\d\d-\d\dT\d\d:\d\d:00Z "
)
FRONT = "front"
"""A Service whose pods are those of two workloads."""


@pytest.fixture(scope="module")
async def tables(api: Api) -> dict[str, list[list[str]]]:
    """What kubectl printed while the traffic came from a Prometheus."""
    return {question: _cells(await api.kubectl("get", *question.split(), "--no-headers")) for question in AGREED}


@pytest.fixture(scope="module")
async def signals(
    api: Api,
    tables: dict[str, list[list[str]]],  # noqa: ARG001 before the server changes
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Signals]:
    """The API registered from CloudWatch; the usual one is there again afterwards."""
    await api.plane.apply(*_services())
    try:
        async with open_signals(api.plane, tmp_path_factory.mktemp("signals")) as opened:
            yield opened
    finally:
        await api.register()
        for namespace in ("shop", "data"):
            await api.prints("delete", "endpointslices", "-n", namespace, "--all")
        await api.prints("delete", "service", "-n", "shop", FRONT)


AGREED = {
    "trafficmetrics -A -o wide": 4,
    "deployments.metrics.smi-spec.io -n shop -o wide": 2,
    "statefulsets.metrics.smi-spec.io -n data db -o wide": 1,
    "tm -A -o wide --field-selector=edge.direction=to,edge.side=client": 5,
    "tm -A -o wide --field-selector=edge.direction=from,edge.side=client": 5,
    "tm -n data -o wide --field-selector=edge.direction=from,edge.side=client": 2,
    "tm -n shop -o wide --field-selector=edge.direction=to,edge.resource.name=db": 1,
}
"""What is asked of both, and how many rows of the mesh it is."""


@pytest.mark.parametrize("question", AGREED)
async def test_kubectl_prints_the_rows_it_prints_with_a_prometheus(
    signals: Signals, tables: dict[str, list[list[str]]], question: str
):
    rows = {_name(cells): cells for cells in _cells(await signals.api.kubectl("get", *question.split(), "--no-headers"))}
    before = {_name(cells): cells for cells in tables[question]}
    # What this store alone has: a call of its own, and what was there an hour ago. Linkerd tells what kind of thing was deleted.
    rows = {name: cells for name, cells in rows.items() if not any(word in name for word in (BANK, "idle", "gone"))}
    before = {name: cells for name, cells in before.items() if "gone" not in name}
    assert rows.keys() == before.keys()
    assert len(rows) == AGREED[question]
    assert [
        f"{name}: {rows[name]}, with a Prometheus {before[name]}" for name in rows if not _alike(rows[name], before[name])
    ] == []
    assert {cells[-1] for cells in rows.values()} == {"signals"}


async def test_an_object_tells_the_minute_that_its_numbers_cover(signals: Signals):
    asked = time.time()
    item = await _document(signals, "deployments.metrics.smi-spec.io", "-n", "shop", "web")
    end = datetime.fromisoformat(item["timestamp"]).timestamp()
    assert item["window"] == "1m0s"
    assert end % 60 == 0
    assert asked - 182 <= end <= asked - 118
    truth = received("shop", "web")
    assert measured(item) == pytest.approx(
        {
            "success_count": truth.success * 60,
            "failure_count": truth.failure * 60,
            "p50_response_latency": truth.p50,
            "p90_response_latency": truth.p90,
            "p99_response_latency": truth.p99,
        },
        rel=0.02,
    )
    assert (measured(item)["success_count"], measured(item)["failure_count"]) == (truth.success * 60, truth.failure * 60)


@pytest.mark.parametrize(("asked", "covered"), [("1m", "1m0s"), ("30s", "1m0s"), ("90s", "2m0s"), ("5m", "5m0s")])
async def test_a_warning_tells_the_effective_window(signals: Signals, asked: str, covered: str):
    run = await signals.api.kubectl("get", "tm", "-n", "shop", "--field-selector", f"window={asked}", "-o", "json")
    assert {item["window"] for item in json.loads(run.stdout)["items"]} == {covered}
    (warning,) = run.stderr.splitlines()
    assert f"the numbers cover {covered} until " in warning
    assert ("not 30s" in warning) == (asked == "30s")


async def test_a_past_minute_needs_no_warning(signals: Signals):
    minute = int(time.time()) // 60 * 60 - 600
    when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(minute))
    selector = f"time={when},window=1m,metadata.name=web"
    run = await signals.api.kubectl("get", f"deployments.{GROUP}", "-n", "shop", "-o", "json", "--field-selector", selector)
    (item,) = json.loads(run.stdout)["items"]
    assert (run.stderr, item["timestamp"]) == ("", when)


async def test_what_was_silent_is_idle_and_what_was_never_there_is_unknown(signals: Signals):
    reply = await signals.api.proxied(f"{GV}/namespaces/shop/deployments?includeIdle=true")
    rows = {item["metadata"]["name"]: measured(item) for item in reply.document["items"]}
    assert rows["idle"] == {
        "p99_response_latency": None,
        "p90_response_latency": None,
        "p50_response_latency": None,
        "success_count": 0,
        "failure_count": 0,
    }
    assert rows["web"]["success_count"]


async def test_namespaces_have_counts_and_no_percentiles_and_a_warning_says_why(signals: Signals):
    run = await signals.api.kubectl("get", "namespaces.metrics.smi-spec.io", "shop", "-o", "json")
    values = measured(json.loads(run.stdout))
    truth = received("shop")
    assert (values["success_count"], values["failure_count"]) == (truth.success * 60, truth.failure * 60)
    assert [values[f"p{rank}_response_latency"] for rank in (50, 90, 99)] == [None] * 3
    assert (
        'Warning: source "signals" has no percentiles of shop: CloudWatch gives those of single metrics, and they cannot be added up'
        in run.stderr
    )


async def test_a_service_has_the_numbers_of_the_workload_behind_it(signals: Signals):
    item = await _document(signals, "services.metrics.smi-spec.io", "-n", "shop", "web")
    truth = received("shop", "web")
    assert measured(item)["success_count"] == truth.success * 60
    assert measured(item)["p50_response_latency"] == pytest.approx(truth.p50, rel=0.02)


async def test_a_service_of_two_workloads_has_counts_and_no_percentiles(signals: Signals):
    run = await signals.api.kubectl("get", "services.metrics.smi-spec.io", "-n", "shop", FRONT, "-o", "json")
    values = measured(json.loads(run.stdout))
    both = [received("shop", name) for name in ("web", "api")]
    assert values["success_count"] == sum(truth.success for truth in both) * 60
    assert values["failure_count"] == sum(truth.failure for truth in both) * 60
    assert values["p99_response_latency"] is None
    assert "percentiles" in run.stderr
    assert FRONT in run.stderr


@pytest.mark.parametrize("resource", ["pods", "nodes"])
async def test_pods_and_nodes_are_refused_with_the_reason(signals: Signals, resource: str):
    run = await signals.api.kubectl("get", f"{resource}.{GROUP}", *(["-A"] if resource == "pods" else []))
    assert run.code == 1
    assert "Error from server (NotFound)" in run.stderr
    assert f"its metrics are of workloads: the dimensions they have name no {resource}" in run.stderr


async def test_a_host_name_that_callers_use_is_the_workload_behind_it(signals: Signals):
    items = (await _document(signals, "statefulsets.metrics.smi-spec.io", "-n", "data", "db", "--subresource=edges"))["items"]
    (edge,) = [item["edge"] for item in items]
    assert (edge["direction"], edge["side"], edge["resource"]) == (
        "from",
        "client",
        {"kind": "Deployment", "namespace": "shop", "name": "api"},
    )
    truth = exchanged("shop/api", "data/db")
    assert measured(items[0])["success_count"] == truth.success * 60


async def test_hosts_outside_the_cluster_are_listed(signals: Signals):
    items = (await _document(signals, "deployments.metrics.smi-spec.io", "-n", "shop", "web", "--subresource=edges"))["items"]
    (bank,) = [item for item in items if item["edge"]["resource"].get("name") == BANK]
    assert bank["edge"]["resource"] == {"name": BANK}
    assert measured(bank)["success_count"] == 60


async def test_edges_seen_by_servers_are_refused_with_the_reason(signals: Signals):
    run = await signals.api.kubectl("get", "tm", "-n", "shop", "--field-selector", "edge.direction=from,edge.side=server")
    assert run.code == 1
    assert "its edges are observed on the side of the client, and not of the server" in run.stderr


async def test_numbers_are_read_once_for_all_who_ask_in_a_minute(signals: Signals):
    for _ in range(3):
        await signals.api.kubectl("get", "tm", "-A")
        minute, billed = time.time() // 60, signals.aws.billed
        for _ in range(2):
            await signals.api.kubectl("get", "tm", "-A")
            await signals.api.kubectl("get", f"deployments.{GROUP}", "-n", "shop", "web")
        if time.time() // 60 == minute:
            break
    assert signals.aws.billed == billed > 0


def _cells(run: Run) -> list[list[str]]:
    assert run.code == 0, run
    assert run.stderr == "" or WHOLE_MINUTES.match(run.stderr), run.stderr
    return [re.split(r" {2,}", line.strip()) for line in run.stdout.splitlines()]


def _name(cells: list[str]) -> str:
    """Namespace and name, or the name alone where the namespace was given: all before the numbers."""
    return "/".join(cells[: next((at for at, cell in enumerate(cells) if cell.endswith("%")), 2)])


def _alike(mine: list[str], other: list[str]) -> bool:
    """Whether two rows have the same rates and percentiles, and the same failures in a second: the windows and the sources differ."""
    first = next(at for at, cell in enumerate(mine) if cell.endswith("%"))
    (*shown, failures, window, side, _), (*theirs, their_failures, their_window, their_side, _) = mine[first:], other[first:]
    same = all(abs(_number(one) - _number(two)) <= max(0.02 * _number(two), 0.1) for one, two in zip(shown, theirs, strict=True))
    assert (window, their_window) == ("1m0s", "10s")
    return same and side == their_side and abs(_number(failures) / 60 - _number(their_failures) / 10) <= 0.02


def _number(cell: str) -> float:
    """The number of a cell, in the unit of the smallest."""
    (digits, unit) = re.fullmatch(r"([\d.]+)(\D*)", cell).groups()  # type: ignore[union-attr]
    return float(digits) * (1000 if unit == "s" else 1)


async def _document(signals: Signals, *args: str) -> Any:
    run = await signals.api.kubectl("get", *args, "-o", "json")
    assert run.code == 0, run
    return json.loads(run.stdout)


def _services() -> list[dict[str, Any]]:
    """The slices that a controller would make for Services, and a Service whose pods are those of two workloads."""
    behind = {("shop", "web"): (WEB,), ("shop", "api"): (API_1, API_2), ("data", "db"): (DB,), ("shop", FRONT): (WEB, API_1, API_2)}
    metadata = {"name": FRONT, "namespace": "shop"}
    front = {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"ports": [{"port": 80}]}}
    return [front, *(_slice(namespace, name, pods) for (namespace, name), pods in behind.items())]


def _slice(namespace: str, service: str, pods: Sequence[Pod]) -> dict[str, Any]:
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": f"{service}-x7k2p", "namespace": namespace, "labels": {"kubernetes.io/service-name": service}},
        "addressType": "IPv4",
        "endpoints": [
            {
                "addresses": [f"10.9.0.{at}"],
                "conditions": {"ready": True},
                "targetRef": {"kind": "Pod", "namespace": namespace, "name": pod.name},
            }
            for at, pod in enumerate(pods, 1)
        ],
    }
