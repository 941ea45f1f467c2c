"""The shop holds together: what is called exists, names are those of a cluster, and every case worth showing is there."""

from __future__ import annotations

import re
import shlex
import sys
from collections import Counter
from pathlib import Path

import pytest

from apiservice.demo import SHOP, ShopObjects, kubectl_lines, plugin_lines
from apiservice.demo.shop import Visit
from kubectl_traffic.commands import COMMANDS
from metrics_api import ANY_WORKLOAD, WORKLOAD_KINDS, ResourceRef

CALLS = [
    (workload.host, call.peer, call.path)
    for workload in SHOP.workloads
    for operation in workload.operations
    for call in operation.calls
]
EDGES = {(caller, peer) for caller, peer, _ in CALLS}


@pytest.mark.parametrize("call", CALLS, ids="-".join)
def test_every_call_leads_to_an_operation(call: tuple[str, str, str]):
    _, peer, path = call
    assert path in {operation.path for operation in SHOP.operations[peer]}


@pytest.mark.parametrize("visit", SHOP.visits, ids=lambda visit: visit.path)
def test_every_visit_finds_its_way(visit: Visit):
    gateway = next(workload for workload in SHOP.workloads if workload.host == visit.gateway)
    peer = next(route.peer for route in gateway.routes if visit.path.startswith(route.prefix))
    assert visit.path in {operation.path for operation in SHOP.operations[peer]}


def test_names_are_those_kubernetes_allows_and_unique():
    pods = [pod.name for pod in SHOP.pods]
    assert all(re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", name) for name in pods)
    assert len(set(pods)) == len(pods) == 13
    hosts = list(SHOP.operations)
    assert len(set(hosts)) == len(hosts)


def test_the_shop_holds_every_case():
    by_host = {workload.host: workload for workload in SHOP.workloads}
    called = {peer for _, peer in EDGES} | {route.peer for workload in SHOP.workloads for route in workload.routes}
    assert any(caller == peer for caller, peer in EDGES), "a workload that calls itself"
    assert any((peer, caller) in EDGES for caller, peer in EDGES if caller != peer), "two that call each other"
    assert {workload.kind for workload in SHOP.workloads} == {"Deployment", "StatefulSet"}
    assert len({workload.namespace for workload in SHOP.workloads}) == 3
    assert any(workload.replicas > 1 for workload in SHOP.workloads)
    assert any(peer not in by_host for _, peer in EDGES), "a host outside the mesh"
    assert any(not workload.routes and host not in called for host, workload in by_host.items()), "one that nobody calls"
    failing = {host for host, operations in SHOP.operations.items() if any(operation.failing for operation in operations)}
    assert {by_host[host].grpc for host in failing} == {True, False}, "failures over HTTP and over gRPC"


def test_the_labels_of_a_pod_name_its_owners():
    web = next(pod for pod in SHOP.pods if pod.workload.host == "web.shop").labels()
    assert web["namespace"] == "shop"
    assert web["deployment"] == "web"
    assert web["pod"].startswith(web["replicaset"] + "-")
    assert web["replicaset"].startswith("web-")
    assert web["node"].startswith("node-")
    db = next(pod for pod in SHOP.pods if pod.workload.host == "db.data").labels()
    assert {key: db[key] for key in ("namespace", "pod", "statefulset")} == {
        "namespace": "data",
        "pod": "db-0",
        "statefulset": "db",
    }
    assert "deployment" not in db
    assert "replicaset" not in db


async def test_the_objects_are_those_of_the_shop():
    view = await ShopObjects(SHOP).view(WORKLOAD_KINDS, "", "")
    workloads = Counter({ResourceRef(each.kind, each.namespace, each.name): 1 for each in SHOP.workloads})
    assert Counter(view.refs()) == workloads, "without the ReplicaSets, which belong to Deployments"
    assert view.exists(ResourceRef("Deployment", "shop", "wishlist")) is True
    assert view.exists(ResourceRef("Deployment", "shop", "closed")) is False
    assert view.exists(ResourceRef("Service", "shop", "web")) is None
    assert view.labels(ResourceRef("Deployment", "shop", "web")) == {"app": "web"}
    assert view.labels(ResourceRef("Deployment", "shop", "closed")) == {}
    assert view.labels(ResourceRef("Service", "shop", "web")) is None
    assert not view.warnings


@pytest.mark.parametrize(
    ("kind", "count"),
    [
        pytest.param("Pod", 13, id="pods"),
        pytest.param("ReplicaSet", 9, id="replica sets, asked for alone"),
        pytest.param("Namespace", 3, id="namespaces"),
        pytest.param("Node", 2, id="nodes"),
        pytest.param("Job", 0, id="there are no jobs"),
    ],
)
async def test_every_kind_is_listed(kind: str, count: int):
    refs = (await ShopObjects(SHOP).view([kind], "", "")).refs()
    assert {ref.kind for ref in refs} <= {kind}
    assert len(refs) == count


async def test_a_workload_known_by_name_gets_its_kind():
    bare = ResourceRef(ANY_WORKLOAD, "data", "db")
    view = await ShopObjects(SHOP).view_of([bare])
    assert view.named(bare) == ResourceRef("StatefulSet", "data", "db")
    assert view.named(ResourceRef(ANY_WORKLOAD, "shop", "db")) == ResourceRef("", "shop", "db")
    assert view.named(ResourceRef("", "", "bank.example.com")) == ResourceRef("", "", "bank.example.com")


def test_the_commands_name_what_exists():
    lines = kubectl_lines("http://127.0.0.1:8001")
    assert all(shlex.split(line)[:2] == ["kubectl", "--server=http://127.0.0.1:8001"] for line in lines)
    text = "\n".join(lines)
    names = {(workload.kind, workload.namespace, workload.name) for workload in SHOP.workloads}
    assert ("Deployment", *re.findall(r"deployments\.\S+ -n (\S+) (\S+)", text)[0]) in names
    assert ("Deployment", *re.findall(r"/namespaces/(\S+)/deployments/(\S+)/edges", text)[0]) in names
    assert {name for _, _, name in names} >= set(re.findall(r"-l app=(\S+)", text))
    assert {space for _, space, _ in names} >= set(re.findall(r"-n (\S+)", text))


def test_the_plugin_is_named_by_its_path_where_kubectl_would_not_find_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    program = Path(sys.executable).parent / "kubectl-traffic"
    assert plugin_lines("http://127.0.0.1:1")[0] == f"{program} top -A -w --server=http://127.0.0.1:1"
    (tmp_path / "kubectl-traffic").touch(0o755)
    lines = plugin_lines("http://127.0.0.1:1")
    assert lines[0] == "kubectl traffic top -A -w --server=http://127.0.0.1:1"
    assert {shlex.split(line)[2] for line in lines} <= set(COMMANDS)
