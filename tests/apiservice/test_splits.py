"""TrafficSplits and routes over a real socket: what a mesh tells of Services, pods or routes, and what the cluster says is split."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import aiohttp
import pytest
from aiohttp.test_utils import TestClient

from apiservice.answers import Answers
from apiservice.federation.fanout import Fanout
from apiservice.inventory import ClusterObjects, Store
from apiservice.inventory.routes import split_of
from apiservice.objects import Objects, StandaloneObjects
from apiservice.traffic import TrafficService
from metrics_api import EVERYTHING, Answer, Direction, ResourceRef, Sample, Side, TrafficQuery
from tests.apiservice.asking import SHOP, client, status_of
from tests.doubles.inventory import obj, pod, ref, route, slice_of, synced

CANARY = split_of(
    "TrafficSplit",
    "shop",
    "canary",
    json.dumps(
        {"service": "web", "backends": [{"service": "web-v1", "weight": "900m"}, {"service": "web-v2", "weight": "100m"}]}
    ).encode(),
)
RULES = split_of(
    "HTTPRoute",
    "shop",
    "rules",
    json.dumps(
        {
            "parentRefs": [{"name": "web", "kind": "Service", "group": ""}],
            "rules": [{"backendRefs": [{"name": "web-v1", "weight": 90}, {"name": "web-v2", "weight": 10}]}],
        }
    ).encode(),
)
V1, V2 = obj("Deployment", "v1"), obj("Deployment", "v2")
RECORDS = (
    *(route("TrafficSplit", "canary", CANARY), route("HTTPRoute", "rules", RULES)),
    *(obj("Service", name) for name in ("web", "web-v1", "web-v2")),
    *(V1, V2, pod("v1-1", V1), pod("v1-2", V1), pod("v2-1", V2), pod("front-1")),
    *(slice_of("web-v1", "v1-1", "v1-2"), slice_of("web-v2", "v2-1"), slice_of("web", "v1-1", "v1-2", "v2-1")),
)


@dataclass
class Mesh:
    """A source that names objects of some ``kinds``, and says what it saw of them from one side."""

    kinds: frozenset[str]
    samples: tuple[Sample, ...] = ()
    side: Side = Side.CLIENT
    name: str = "mesh"
    asked: list[TrafficQuery] = field(default_factory=list)

    def refusal(self, query: TrafficQuery) -> str | None:
        named = self.kinds & {*query.kinds, *query.members}
        return None if named and query.side in (None, self.side) else f"no series tell of {query.kinds[0]}"

    async def answer(self, query: TrafficQuery) -> Answer:
        self.asked.append(query)
        kind = next(kind for kind in (*query.kinds, *query.members) if kind in self.kinds)
        found = [each for each in self.samples if each.resource.kind == kind and (each.peer != EVERYTHING) is query.edges]
        return Answer(tuple(found), query.instant, query.window)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        pass


def seen(
    resource: ResourceRef, success: float, peer: ResourceRef = EVERYTHING, way: Direction = Direction.FROM, side: Side = Side.CLIENT
) -> Sample:
    return Sample(resource, peer, way, side, success, 0, None, source="mesh")


@asynccontextmanager
async def served(mesh: Mesh, objects: Objects) -> AsyncIterator[TestClient[Any, Any]]:
    service = Answers(TrafficService(Fanout.of((mesh,)), objects), refresh=5, clock=lambda: 1_795_300_003.0)
    async with client(service) as session:
        yield session


async def rows(mesh: Mesh, path: str, store: Store | None = None) -> tuple[list[dict[str, Any]], list[str]]:
    """The items of a list, and the warnings beside it."""
    async with (
        served(mesh, ClusterObjects(store or synced(*RECORDS))) as session,
        session.get(f"{SHOP}/{path}", headers={"Accept-Encoding": "identity"}) as reply,
    ):
        document = await reply.json()
        assert reply.status == 200, document
        assert document["kind"] == "TrafficMetricsList"
        return document["items"], reply.headers.getall("Warning", [])


def told(items: list[dict[str, Any]]) -> dict[str, str | None]:
    """Successes by the name of the backend."""
    return {item["backend"]["name"]: item["metrics"][3]["value"] for item in items}


SERVICES = Mesh(frozenset({"Service"}), (seen(ref("Service", "web-v1"), 90), seen(ref("Service", "web-v2"), 10)))


async def test_a_split_is_a_list_of_what_was_sent_to_each_of_its_backends():
    items, warnings = await rows(SERVICES, "trafficsplits/canary")
    assert told(items) == {"web-v1": "90", "web-v2": "10"}
    assert [item["backend"]["weight"] for item in items] == [900, 100]
    for item in items:
        assert item["resource"] == {"kind": "TrafficSplit", "namespace": "shop", "name": "canary"}
        assert (item["metadata"]["name"], item["backend"]["apex"]) == ("canary", "web")
        assert item["edge"] == {"direction": "from", "side": "client", "resource": {}}
    assert warnings == []


async def test_where_a_mesh_names_pods_alone_they_are_added_up_to_their_services():
    counts = {"v1-1": 50, "v1-2": 40, "v2-1": 10}
    mesh = Mesh(frozenset({"Pod"}), tuple(seen(ref("Pod", name), count) for name, count in counts.items()))
    items, _ = await rows(mesh, "trafficsplits/canary")
    assert told(items) == {"web-v1": "90", "web-v2": "10"}


async def test_only_pods_that_may_matter_are_asked_for_unless_it_is_about_the_past():
    one = split_of("TrafficSplit", "shop", "one", b'{"service": "web", "backends": [{"service": "web-v2", "weight": 1}]}')
    mesh = Mesh(frozenset({"Pod"}), (seen(ref("Pod", "v2-1"), 10),))
    store = synced(*RECORDS, route("TrafficSplit", "one", one))
    for path in ("trafficsplits/one", "trafficsplits/one?time=2026-11-21T22:25:55Z"):
        items, _ = await rows(mesh, path, store)
        assert told(items) == {"web-v2": "10"}
    now, then = mesh.asked
    assert "v2-" in now.narrowing
    assert then.narrowing == ()


async def test_what_is_not_known_of_services_is_told():
    store = synced(*RECORDS)
    store.fail("EndpointSlice", "endpointslices cannot be listed: 403")
    items, warnings = await rows(SERVICES, "trafficsplits/canary", store)
    assert told(items) == {"web-v1": "90", "web-v2": "10"}
    assert any("endpointslices cannot be listed: 403" in warning for warning in warnings)


async def test_a_mesh_that_tells_of_servers_alone_says_which_side_it_is():
    samples = tuple(seen(each.resource, each.success or 0, side=Side.SERVER) for each in SERVICES.samples)
    items, _ = await rows(Mesh(frozenset({"Service"}), samples, Side.SERVER), "trafficsplits")
    assert told(items) == {"web-v1": "90", "web-v2": "10"}
    assert {item["edge"]["side"] for item in items} == {"server"}


async def test_a_mesh_that_tells_routes_apart_tells_what_came_by_this_one():
    rules = ref("HTTPRoute", "rules")
    sent = (seen(rules, 8, ref("Service", "web-v1"), Direction.TO), seen(rules, 1, ref("Service", "web-v2"), Direction.TO))
    mesh = Mesh(frozenset({"HTTPRoute", "Service"}), (*sent, *SERVICES.samples))
    items, warnings = await rows(mesh, "httproutes/rules")
    assert (told(items), warnings) == ({"web-v1": "8", "web-v2": "1"}, [])
    assert {item["edge"]["direction"] for item in items} == {"from"}


async def test_another_mesh_tells_of_the_services_and_the_reader_is_warned():
    items, (warning,) = await rows(SERVICES, "httproutes/rules")
    assert told(items) == {"web-v1": "90", "web-v2": "10"}
    assert "no source tells HTTPRoutes apart here" in warning


async def test_callers_are_told_backend_by_backend_as_workloads():
    front = ref("Pod", "front-1")
    mesh = Mesh(frozenset({"Service"}), (seen(ref("Service", "web-v2"), 3, front), seen(ref("Service", "web"), 9, front)))
    (item,), _ = await rows(mesh, "trafficsplits/canary/edges")
    assert (item["backend"]["name"], item["metrics"][3]["value"]) == ("web-v2", "3")
    assert item["edge"] == {
        "direction": "from",
        "side": "client",
        "resource": {"kind": "Pod", "namespace": "shop", "name": "front-1"},
    }


async def test_a_backend_is_selected_by_its_name():
    items, _ = await rows(SERVICES, "trafficsplits?fieldSelector=backend.name=web-v2")
    assert told(items) == {"web-v2": "10"}


async def test_pages_may_end_between_the_backends_of_a_split():
    async with served(SERVICES, ClusterObjects(synced(*RECORDS))) as session:
        found, token = [], ""
        for _ in range(2):
            async with session.get(
                f"{SHOP}/trafficsplits", params={"limit": "1", "continue": token}, headers={"Accept-Encoding": "identity"}
            ) as reply:
                document = await reply.json()
                found += document["items"]
                token = document["metadata"].get("continue", "")
        assert (list(told(found)), token) == (["web-v1", "web-v2"], "")


async def test_a_table_has_a_row_for_each_backend_of_the_one_that_was_asked_for():
    accept = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io", "Accept-Encoding": "identity"}
    async with (
        served(SERVICES, ClusterObjects(synced(*RECORDS))) as session,
        session.get(f"{SHOP}/trafficsplits/canary", headers=accept) as reply,
    ):
        table = await reply.json()
    names = [column["name"] for column in table["columnDefinitions"] if not column["priority"]]
    assert names == ["Name", "Backend", "Weight", "Success", "RPS", "P50", "P90", "P99"]
    assert [row["cells"][:4] for row in table["rows"]] == [
        ["canary", "web-v1", "900", "100.00%"],
        ["canary", "web-v2", "100", "100.00%"],
    ]


async def problem(objects: Objects, path: str, mesh: Mesh = SERVICES) -> tuple[int, str, str]:
    async with served(mesh, objects) as session, session.get(f"{SHOP}/{path}", headers={"Accept-Encoding": "identity"}) as reply:
        assert isinstance(reply, aiohttp.ClientResponse)
        status = await status_of(reply)
        return status["code"], status["reason"], status["message"]


@pytest.mark.parametrize("path", ["trafficsplits", "trafficsplits/canary", "trafficsplits/canary/edges"])
async def test_where_the_cluster_has_no_splits_that_is_the_reason(path: str):
    store = synced(*RECORDS)
    store.absent("TrafficSplit", "trafficsplits.split.smi-spec.io are not installed in this cluster")
    code, reason, message = await problem(ClusterObjects(store), path)
    assert (code, reason) == (404, "NotFound")
    assert "trafficsplits.split.smi-spec.io are not installed in this cluster" in message


async def test_without_a_cluster_that_is_the_reason():
    code, _, message = await problem(StandaloneObjects("Deployment"), "grpcroutes/any")
    assert code == 404
    assert "grpcroutes are read from Kubernetes, and this server runs without it" in message


async def test_where_the_server_may_not_read_them_nobody_knows():
    store = synced(*RECORDS)
    store.fail("TrafficSplit", "trafficsplits.split.smi-spec.io cannot be listed: 403")
    code, reason, message = await problem(ClusterObjects(store), "trafficsplits")
    assert (code, reason) == (503, "ServiceUnavailable")
    assert "cannot be listed: 403" in message


async def test_a_split_that_does_not_exist_is_not_found():
    code, reason, message = await problem(ClusterObjects(synced(*RECORDS)), "trafficsplits/none")
    assert (code, reason, message) == (404, "NotFound", 'trafficsplits.metrics.smi-spec.io "none" not found')


async def test_a_mesh_that_knows_neither_services_nor_pods_gives_its_reason():
    code, _, message = await problem(ClusterObjects(synced(*RECORDS)), "trafficsplits", Mesh(frozenset({"Node"})))
    assert (code, "no series tell of Service" in message) == (404, True)


async def test_they_cannot_be_watched():
    for plural in ("trafficsplits", "httproutes", "grpcroutes"):
        code, reason, message = await problem(ClusterObjects(synced(*RECORDS)), f"{plural}?watch=true")
        assert (code, reason) == (405, "MethodNotAllowed")
        assert "watch is not supported" in message
