"""Several clusters behind one server, asked over real sockets and by a real kubectl: names, pages, watches, and whom edges name."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
import yaml
from aiohttp import web
from aiohttp.test_utils import TestClient

from apiservice.answers import Answers
from apiservice.app import AppOptions
from apiservice.authorization import Decision
from apiservice.identity import User
from apiservice.objects import StandaloneObjects
from apiservice.paging import Pager
from apiservice.requestinfo import RequestInfo
from apiservice.visibility import AuthorizedPeers
from metrics_api import BackendUnavailable, ResourceRef
from metrics_api.resources import host
from tests.apiservice.asking import SHOP, client, status_of
from tests.apiservice.changing import watching
from tests.apiservice.fleets import API, CART, NOW, WEB, Mesh, clusters, named, serving
from tests.apiservice.memory import serving as server_of
from tests.apiservice.test_kubectl_standalone import Kubectl, kubectl_for
from tests.unit.apiservice.test_traffic import edge

TRAFFIC = f"{SHOP}/trafficmetrics"


def fleet() -> dict[str, Mesh]:
    return {"east": named("prom-east", {WEB: 1, API: 2}), "west": named("prom-west", {WEB: 4, CART: 8})}


@asynccontextmanager
async def opened(meshes: Mapping[str, Mesh]) -> AsyncIterator[TestClient[Any, Any]]:
    async with client(serving(clusters("east", meshes))) as session:
        yield session


async def items(session: TestClient[Any, Any], path: str, user: str = "ann") -> dict[str, Any]:
    """The document of a list."""
    async with session.get(path, headers={"Accept-Encoding": "identity", "X-User": user}) as response:
        assert response.status == 200, await response.text()
        document: dict[str, Any] = await response.json()
        return document


kubectl_exists = pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not on the PATH")


@pytest.fixture(scope="module")
async def kubectl(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Kubectl]:
    """A kubectl against a server of two clusters."""
    async with server_of(serving(clusters("east", fleet()))) as server:
        assert server.port is not None
        yield kubectl_for(server.port, tmp_path_factory.mktemp("clusters") / "home")


@pytest.mark.real
@kubectl_exists
async def test_kubectl_lists_the_workloads_of_all_clusters(kubectl: Kubectl) -> None:
    got = await kubectl("get", "trafficmetrics", "-n", "shop", "--no-headers")
    assert (got.code, got.err) == (0, "")
    assert [line[0] for line in got.table] == [
        "deployment.api",
        "deployment.cart@west",
        "deployment.web",
        "deployment.web@west",
    ]


@pytest.mark.real
@kubectl_exists
async def test_kubectl_gets_an_object_of_another_cluster_by_its_name(kubectl: Kubectl) -> None:
    for resource, name in (("tm", "deployment.web@west"), ("deployments.metrics.smi-spec.io", "web@west")):
        got = await kubectl("get", resource, "-n", "shop", name, "-o", "yaml")
        document = yaml.safe_load(got.out)
        assert document["metadata"]["name"] == name
        assert document["metadata"]["annotations"]["metrics.smi-spec.io/cluster"] == "west"
        assert document["resource"] == {"kind": "Deployment", "namespace": "shop", "name": "web"}
        assert document["metrics"][3]["value"] == "4"


@pytest.mark.real
@kubectl_exists
async def test_kubectl_chooses_a_cluster_by_field_selector(kubectl: Kubectl) -> None:
    resource = "deployments.metrics.smi-spec.io"
    west = await kubectl("get", resource, "-n", "shop", "--field-selector=cluster=west", "-o", "name")
    assert [line.rpartition("/")[2] for line in west.out.split()] == ["cart@west", "web@west"]
    home = await kubectl("get", resource, "-n", "shop", "--field-selector=cluster!=west", "-o", "name")
    assert [line.rpartition("/")[2] for line in home.out.split()] == ["api", "web"]
    mistyped = await kubectl("get", resource, "-n", "shop", "--field-selector=cluster=wets")
    assert (mistyped.code, 'known are "east", "west"' in mistyped.err) == (1, True)


@pytest.mark.real
@kubectl_exists
async def test_kubectl_says_in_which_cluster_there_is_what_is_not_in_this_one(kubectl: Kubectl) -> None:
    got = await kubectl("get", "deployments.metrics.smi-spec.io", "-n", "shop", "cart")
    assert got.code == 1
    told = 'deployments.metrics.smi-spec.io "cart" not found; another cluster has one: ask for "cart@west"'
    assert got.err == f"Error from server (NotFound): {told}\n"


@dataclass
class Gate:
    """Believes everybody, and knows who may what: ``(user, namespace, name)``, an empty namespace for all, an empty name for a list."""

    rights: set[tuple[str, str, str]]

    async def authenticate(self, request: web.Request) -> User:
        return User(request.headers["X-User"])

    async def authorize(self, user: User, info: RequestInfo, query: Mapping[str, str]) -> Decision:
        del query
        return Decision(allowed=bool({(user.name, space, info.name) for space in ("", info.namespace)} & self.rights))


@pytest.mark.parametrize(
    ("path", "status"),
    [
        pytest.param("deployments/web", 200, id="the name that is granted"),
        pytest.param("deployments/web@west", 403, id="the same of another cluster"),
        pytest.param("deployments/web%40west", 403, id="written in another way"),
        pytest.param("deployments?fieldSelector=metadata.name%3Dweb@west", 403, id="as a list of one"),
        pytest.param("deployments?fieldSelector=metadata.name%3Dweb", 200, id="a list of the one that is granted"),
        pytest.param("deployments/web?fieldSelector=cluster%3Dwest", 404, id="through a selector"),
    ],
)
async def test_a_name_is_authorised_as_it_is(path: str, status: int) -> None:
    async with (
        client(serving(clusters("east", fleet())), Gate({("ann", "shop", "web")})) as session,  # type: ignore[arg-type]
        session.get(f"{SHOP}/{path}", headers={"X-User": "ann"}) as response,
    ):
        assert response.status == status
        assert b'"4"' not in await response.read()


async def test_pages_go_through_all_clusters_and_each_row_comes_once() -> None:
    async with opened(fleet()) as session:
        path, seen, remaining = f"{TRAFFIC}?limit=1", [], []
        for _ in range(4):
            async with session.get(path, headers={"Accept-Encoding": "identity"}) as response:
                page = await response.json()
            seen += [item["metadata"]["name"] for item in page["items"]]
            remaining.append(page["metadata"].get("remainingItemCount"))
            path = f"{TRAFFIC}?limit=1&continue={page['metadata'].get('continue', '')}"
    assert seen == ["deployment.api", "deployment.cart@west", "deployment.web", "deployment.web@west"]
    assert remaining == [3, 2, 1, None]
    assert "continue" not in page["metadata"]


async def test_a_page_is_continued_by_a_server_that_did_not_begin_it() -> None:
    """Replicas know the same clusters, put their rows into one order, and give the answer one version, however late one of them is."""
    meshes = fleet()
    meshes["west"].late = 5
    replicas = [serving(clusters("east", meshes)) for _ in range(2)]
    async with (
        client(replicas[0], pager=Pager(secret=lambda: b"shared")) as one,
        client(replicas[1], pager=Pager(secret=lambda: b"shared", now=lambda: NOW)) as other,
    ):
        first = await items(one, f"{TRAFFIC}?limit=3")
        rest = await items(other, f"{TRAFFIC}?continue={first['metadata']['continue']}")
    names = [item["metadata"]["name"] for page in (first, rest) for item in page["items"]]
    assert names == ["deployment.api", "deployment.cart@west", "deployment.web", "deployment.web@west"]


async def test_the_version_of_every_row_is_that_of_the_list_whatever_it_is_of() -> None:
    meshes = fleet()
    meshes["west"].late = 60
    async with opened(meshes) as session, session.get(f"{SHOP}/deployments", headers={"Accept-Encoding": "identity"}) as response:
        listed = await response.json()
    assert {item["metadata"]["resourceVersion"] for item in listed["items"]} == {listed["metadata"]["resourceVersion"]}
    assert len({item["timestamp"] for item in listed["items"]}) == 2


async def test_a_cluster_that_fails_is_told_beside_the_rows_of_the_others_and_all_together_are_an_error() -> None:
    meshes = fleet()
    meshes["west"].error = BackendUnavailable("prom-west", "is down")
    async with opened(meshes) as session:
        async with session.get(f"{SHOP}/deployments", headers={"Accept-Encoding": "identity"}) as response:
            document = await response.json()
            assert (response.status, [item["metadata"]["name"] for item in document["items"]]) == (200, ["api", "web"])
            (warning,) = response.headers.getall("Warning")
        assert 'cluster \\"west\\" did not answer: source \\"prom-west\\": is down' in warning
        assert {item["metadata"]["annotations"]["metrics.smi-spec.io/incomplete"] for item in document["items"]} == {"true"}
        async with session.get(f"{SHOP}/deployments/web@west", headers={"Accept-Encoding": "identity"}) as response:
            assert (await status_of(response))["code"] == 503


async def test_a_watch_tells_the_same_name_of_two_clusters_apart() -> None:
    meshes = fleet()
    ticks = itertools.count(int(NOW))
    answers = Answers(clusters("east", meshes), refresh=1, clock=lambda: next(ticks))
    async with (
        client(answers, options=AppOptions("0.1.0", refresh=0.05)) as session,
        watching(session, f"{SHOP}/deployments?watch=true") as stream,
    ):
        assert await stream.told(4) == [("ADDED", "api"), ("ADDED", "cart@west"), ("ADDED", "web"), ("ADDED", "web@west")]
        meshes["west"].samples = named("prom-west", {WEB: 16, CART: 8}).samples
        assert await stream.told(1) == [("MODIFIED", "web@west")]
        meshes["west"].samples = named("prom-west", {CART: 8}).samples
        assert await stream.told(1) == [("DELETED", "web@west")]
        # Whether what a cluster had is gone nobody knows when it does not answer.
        meshes["west"].error = BackendUnavailable("prom-west", "is down")
        assert await stream.told(2) == [("MODIFIED", "api"), ("MODIFIED", "web")]
        assert await stream.quiet()


async def test_a_watch_of_one_cluster_is_told_of_no_other() -> None:
    meshes = fleet()
    ticks = itertools.count(int(NOW))
    answers = Answers(clusters("east", meshes), refresh=1, clock=lambda: next(ticks))
    async with (
        client(answers, options=AppOptions("0.1.0", refresh=0.05)) as session,
        watching(session, f"{SHOP}/deployments?watch=true&fieldSelector=cluster%3Dwest") as stream,
    ):
        assert await stream.told(2) == [("ADDED", "cart@west"), ("ADDED", "web@west")]
    assert meshes["east"].asked == []


class Namespaces(StandaloneObjects):
    """The cluster of the server: it has the namespaces "shop" and "data", and no "vault", which another one has."""

    async def view(self, kinds: Collection[str], namespace: str, name: str) -> Namespaces:
        del kinds, namespace, name
        return self

    def exists(self, resource: ResourceRef) -> bool | None:
        return resource.name in ("shop", "data") if resource.kind == "Namespace" else None


DB, SPY = ResourceRef("Deployment", "data", "db"), ResourceRef("Deployment", "vault", "spy")
OUTSIDE, INSIDE = host("payments.example.com"), host("spy.vault.svc.cluster.local")
PEERS = (API, DB, SPY, OUTSIDE, INSIDE)


@asynccontextmanager
async def discreet(rights: set[tuple[str, str, str]]) -> AsyncIterator[tuple[TestClient[Any, Any], Gate]]:
    """A server that names peers to who may read them; both clusters have seen the same."""
    meshes = {name: Mesh(tuple(edge(WEB, peer) for peer in PEERS)) for name in ("east", "west")}
    objects, gate = Namespaces("Deployment"), Gate(rights)
    peers = AuthorizedPeers(serving(clusters("east", meshes, objects)), gate, objects)
    async with client(peers, gate, peers=peers) as session:  # type: ignore[arg-type]
        yield session, gate


async def told(session: TestClient[Any, Any], user: str) -> dict[str, set[str]]:
    """The names of peers, by the cluster."""
    document = await items(session, f"{TRAFFIC}?fieldSelector=edge.direction%3Dto", user)
    found: dict[str, set[str]] = {"east": set(), "west": set()}
    for item in document["items"]:
        found[item["metadata"]["annotations"]["metrics.smi-spec.io/cluster"]].add(item["edge"]["resource"]["name"])
    return found


async def test_peers_of_any_cluster_are_named_to_who_may_read_their_namespace_and_hosts_by_what_is_known_of_theirs() -> None:
    ann, dan, sue = ("ann", "shop", ""), ("dan", "shop", ""), ("sue", "", "")
    async with discreet({ann, dan, ("dan", "data", ""), sue}) as (session, _):
        assert await told(session, "ann") == {"east": {"api", "unknown", OUTSIDE.name}, "west": {"api", "unknown"}}
        assert await told(session, "dan") == {"east": {"api", "db", "unknown", OUTSIDE.name}, "west": {"api", "db", "unknown"}}
        everything = {peer.name for peer in PEERS}
        assert await told(session, "sue") == {"east": everything, "west": everything}


async def test_pages_with_hosts_of_another_cluster_are_not_continued_by_who_may_not_read_all_any_more() -> None:
    everywhere, shop = ("sue", "", ""), ("sue", "shop", "")
    async with discreet({everywhere, shop}) as (session, gate):
        path = f"{TRAFFIC}?fieldSelector=edge.direction%3Dto,edge.resource.name%3D{OUTSIDE.name}&limit=1"
        token = (await items(session, path, "sue"))["metadata"]["continue"]
        gate.rights.discard(everywhere)
        async with session.get(f"{path}&continue={token}", headers={"X-User": "sue"}) as response:
            assert response.status == 410
