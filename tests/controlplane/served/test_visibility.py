"""Whom edges name where the cluster says who may know: through kubectl and beside it, and while rights change."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Mapping
from typing import Any

import aiohttp
import pytest
from yarl import URL

from tests.controlplane.plane import Person
from tests.controlplane.served.api import Api, measured, truthful
from tests.controlplane.served.cluster import CLUSTER_READER, SHOP_READER, bind, user
from tests.controlplane.served.mesh import exchanged, sent
from tests.controlplane.served.prometheus import Prometheus
from tests.controlplane.served.server import GV, configured, run_server

pytestmark = pytest.mark.real

DEPLOYMENTS = "deployments.metrics.smi-spec.io"
EDGES = f"{GV}/namespaces/shop/deployments/api/edges"
TRAFFIC = f"{GV}/namespaces/shop/trafficmetrics"
ELSEWHERE = re.compile(rb"\bother\b|\bdata\b|\bdb\b|\bdb-0\b|web-84b7|statefulset", re.IGNORECASE)
"""Everything outside "shop" that has traffic with it."""
BOTH_READER, OTHER_READER, LEAVER = Person("oda"), Person("otto"), Person("lea")
"""Read "shop" and "data"; "other"; and "shop" and for some time "other"."""


@pytest.fixture(scope="module")
async def told(api: Api, prometheus: Prometheus, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Api]:
    """A server that names peers to who may read them, registered instead of the usual one."""
    reader = "trafficmetrics-reader"
    spaces = {BOTH_READER: ("shop", "data"), OTHER_READER: ("other",), LEAVER: ("shop", "other")}
    await api.plane.apply(*[bind("RoleBinding", space, reader, user(who)) for who, found in spaces.items() for space in found])
    configuration = configured(api.plane, prometheus.url) | {"server": {"peerVisibility": "authorized"}}
    async with run_server(api.plane, tmp_path_factory.mktemp("told"), configuration) as server:
        authorized = Api(api.plane, server)
        await authorized.register()
        try:
            yield authorized
        finally:
            await api.register()


async def edges(api: Api, path: str, who: Person) -> dict[tuple[str, str], Mapping[str, Any]]:
    """The items by direction and the peer as it is named."""
    reply = await api.direct(path, user=who)
    assert reply.status == 200, reply.body
    return {(item["edge"]["direction"], "/".join(item["edge"]["resource"].values())): item for item in reply.document["items"]}


async def test_kubectl_shows_the_reader_of_a_namespace_its_own_peers_and_one_unknown(told: Api):
    asked = ["get", DEPLOYMENTS, "-n", "shop", "api", "--subresource=edges", "--no-headers"]
    rows = [line.split()[:5] for line in (await told.prints(*asked, user=SHOP_READER)).splitlines()]
    assert rows == [
        ["api", "from", "unknown", "80.00%", "5.0rps"],
        ["api", "from", "deployment/web", "90.91%", "22.0rps"],
        ["api", "to", "unknown", "100.00%", "30.0rps"],
        ["api", "to", "deployment/web", "100.00%", "3.0rps"],
    ]
    everything = (await told.prints(*asked, user=CLUSTER_READER)).splitlines()
    named = ["deployment/web.other", "deployment/web", "deployment/web", "statefulset/db.data"]
    assert [line.split()[2] for line in everything] == named


async def test_two_people_at_one_time_are_told_what_each_may_know(told: Api):
    people = (SHOP_READER, CLUSTER_READER, BOTH_READER)
    ann, sue, oda = await asyncio.gather(*(edges(told, f"{EDGES}?window=10s", who) for who in people))
    web = {("from", "Deployment/shop/web"), ("to", "Deployment/shop/web")}
    assert set(ann) == web | {("from", "unknown"), ("to", "unknown")}
    assert set(sue) == web | {("from", "Deployment/other/web"), ("to", "StatefulSet/data/db")}
    assert set(oda) == web | {("from", "unknown"), ("to", "StatefulSet/data/db")}
    truthful(ann["from", "unknown"], exchanged("other/web", "shop/api"))
    truthful(ann["to", "unknown"], exchanged("shop/api", "data/db"))


async def test_hidden_peers_in_two_namespaces_are_one_row_that_is_true(told: Api):
    found = await edges(told, f"{GV}/namespaces/other/deployments/web/edges", OTHER_READER)
    assert set(found) == {("to", "unknown")}
    truthful(found["to", "unknown"], sent("other/web"))


@pytest.mark.parametrize(
    "args",
    [
        pytest.param([DEPLOYMENTS, "api", "--subresource=edges", "-o", "wide"], id="edges"),
        pytest.param([DEPLOYMENTS, "api", "--subresource=edges", "-o", "json"], id="edges as JSON"),
        pytest.param(["tm", "--field-selector", "edge.direction=from", "-o", "wide"], id="callers"),
        pytest.param(["tm", "--field-selector", "edge.direction=to", "-o", "yaml"], id="callees"),
        pytest.param(["tm", "--field-selector", "edge.resource.kind=Pod", "-o", "json"], id="pods"),
        pytest.param(["tm", "--field-selector", "edge.resource.namespace!=", "-o", "name"], id="names"),
    ],
)
async def test_kubectl_prints_no_name_of_another_namespace(told: Api, args: list[str]):
    run = await told.kubectl("get", *args, "-n", "shop", user=SHOP_READER)
    assert run.code == 0
    assert "api" in run.stdout
    assert not ELSEWHERE.search((run.stdout + run.stderr).encode())
    assert ELSEWHERE.search((await told.prints("get", *args, "-n", "shop", user=CLUSTER_READER)).encode())


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(f"{GV}/namespaces/shop/edges", id="of a namespace"),
        pytest.param(f"{GV}/namespaces/shop/edges?edgeKind=workloads", id="of a namespace with workloads"),
        pytest.param(f"{GV}/namespaces/shop/services/api/edges", id="of a service"),
        pytest.param(f"{EDGES}?edgeKind=namespaces", id="with namespaces"),
        pytest.param(f"{EDGES}?limit=2", id="of a page"),
        pytest.param(f"{TRAFFIC}?fieldSelector=edge.direction=to&watch=1&timeoutSeconds=1", id="of a watch"),
    ],
)
async def test_no_answer_tells_of_another_namespace(told: Api, path: str):
    reply = await told.direct(path, user=SHOP_READER)
    assert (reply.status, b"unknown" in reply.body) == (200, True)
    assert not ELSEWHERE.search(reply.body + repr(reply.headers).encode())


async def test_what_is_hidden_cannot_be_selected(told: Api):
    for selector in ("edge.resource.namespace=other", "edge.resource.namespace=data,edge.direction=to", "edge.resource.name=db"):
        run = await told.kubectl("get", "tm", "-n", "shop", "--field-selector", selector, user=SHOP_READER)
        assert (run.code, run.stdout, run.stderr) == (0, "", "No resources found in shop namespace.\n")
        assert await told.table("tm", "-n", "shop", "--field-selector", selector, user=CLUSTER_READER)
    run = await told.kubectl("get", "tm", "-n", "shop", "deployment.api.from.deployment.web.other", user=SHOP_READER)
    assert run.stderr.startswith("Error from server (NotFound)")


async def test_a_watch_hides_a_peer_whose_right_is_taken_away(told: Api):
    path = f"{TRAFFIC}?watch=1&fieldSelector=edge.direction=from,resource.name=api&timeoutSeconds=30"
    url, tls = URL(told.server.url + path, encoded=True), told.server.tls(LEAVER)
    shown, unknown = "deployment.api.from.deployment.web.other", "deployment.api.from.unknown"
    told_of: list[tuple[str, str]] = []
    async with aiohttp.ClientSession() as session, session.get(url, ssl=tls) as response:
        async for line in response.content:
            event = json.loads(line)
            told_of.append((event["type"], event["object"]["metadata"]["name"]))
            if len(told_of) == 2:
                assert {name for _, name in told_of} == {shown, "deployment.api.from.deployment.web"}
                await told.prints("delete", "rolebinding", f"trafficmetrics-reader-{LEAVER.name}", "-n", "other")
            if told_of[-1] == ("ADDED", unknown):
                assert measured(event["object"])["success_count"] == pytest.approx(40, rel=0.05)
            if told_of[-1] == ("DELETED", shown):
                break
    assert ("DELETED", shown) in told_of
    assert ("ADDED", unknown) in told_of


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(TRAFFIC, id="workloads"),
        pytest.param(f"{TRAFFIC}?includeIdle=true&fieldSelector=resource.kind=Pod", id="pods"),
        pytest.param(f"{TRAFFIC}?fieldSelector=metadata.namespace=data", id="those of another namespace"),
        pytest.param(f"{TRAFFIC}?watch=1&timeoutSeconds=1", id="a watch"),
        pytest.param(f"{GV}/namespaces/shop/services?includeIdle=true&labelSelector=app", id="services"),
        pytest.param(f"{GV}/namespaces/shop", id="the namespace"),
        pytest.param(f"{GV}/namespaces/shop/deployments/api?time=2026-01-01T00:00:00Z", id="the past"),
        pytest.param(f"{TRAFFIC}?fieldSelector=resource.kind=StatefulSet,window=10s", id="a kind that only others have"),
    ],
)
async def test_totals_tell_of_no_other_namespace_whatever_the_policy(api: Api, told: Api, path: str):
    for each in (api, told):
        reply = await each.direct(path, user=SHOP_READER)
        assert reply.status == 200, reply.body
        assert not ELSEWHERE.search(reply.body + repr(reply.headers).encode())


@pytest.mark.parametrize(
    ("there", "absent"),
    [
        ("namespaces/data/statefulsets/db", "namespaces/nowhere/statefulsets/db"),
        ("namespaces/data/statefulsets/db/edges", "namespaces/data/statefulsets/nobody/edges"),
        ("namespaces/data/trafficmetrics/statefulset.db", "namespaces/data/trafficmetrics/statefulset.nobody"),
        ("namespaces/other", "namespaces/nowhere"),
    ],
)
async def test_who_may_not_ask_is_not_told_what_there_is(api: Api, there: str, absent: str):
    replies = [await api.direct(f"{GV}/{path}", user=SHOP_READER) for path in (there, absent)]
    assert [reply.status for reply in replies] == [403, 403]
    words = zip(there.split("/"), absent.split("/"), strict=True)
    text = replies[0].body.decode()
    for have, other in words:
        text = re.sub(rf"\b{re.escape(have)}\b", other, text)
    assert text == replies[1].body.decode()
