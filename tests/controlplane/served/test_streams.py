"""Watches on the wire: what a stream begins with, how it ends, and which are refused; through kube-apiserver and directly."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any, NamedTuple

import aiohttp
import pytest
from multidict import CIMultiDictProxy

from tests.controlplane.plane import ADMIN, Person
from tests.controlplane.served.api import Api, Reply
from tests.controlplane.served.cluster import POD_READER, SHOP_READER, STRANGER
from tests.controlplane.served.server import GV

pytestmark = pytest.mark.real

SHOP = f"{GV}/namespaces/shop/deployments"
STREAMING = "watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan"
SPLITS = ("trafficsplits", "httproutes", "grpcroutes")
ADDED = [("ADDED", "api"), ("ADDED", "web")]
TABLE = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}
PROXIED = pytest.mark.parametrize("proxied", [True, False], ids=["proxied", "direct"])


class Stream(NamedTuple):
    """A watch that has ended by itself: ``begun`` and ``over`` are the seconds until its headers and its end came."""

    status: int
    headers: CIMultiDictProxy[str]
    begun: float
    over: float
    events: list[Any]


async def watched(api: Api, path: str, headers: dict[str, str] | None = None) -> list[Stream]:
    """The stream kube-apiserver passes on, and the one that comes directly."""
    return await asyncio.gather(*(_watched(api, path, headers or {}, proxied=proxied) for proxied in (True, False)))


async def _watched(api: Api, path: str, headers: dict[str, str], *, proxied: bool) -> Stream:
    url, tls = (api.plane.url, api.plane.tls()) if proxied else (api.server.url, api.server.tls(ADMIN))
    start = time.monotonic()
    async with aiohttp.ClientSession() as session, session.get(url + path, ssl=tls, headers=headers) as response:
        begun = time.monotonic() - start
        lines = (await response.read()).splitlines()
    return Stream(response.status, response.headers, begun, time.monotonic() - start, [json.loads(line) for line in lines])


async def asked(api: Api, path: str, *, proxied: bool, user: Person = ADMIN) -> Reply:
    return await (api.proxied(path, user=user) if proxied else api.direct(path, user=user))


async def test_a_watch_begins_at_once_and_ends_when_its_time_is_up(api: Api):
    for stream in await watched(api, f"{GV}/namespaces/nowhere/deployments?watch=1&timeoutSeconds=3"):
        assert (stream.status, stream.headers["Content-Type"]) == (200, "application/json")
        assert stream.headers["Transfer-Encoding"] == "chunked"
        assert stream.events == []
        assert stream.begun < 2 < stream.over < 10


@pytest.mark.parametrize("version", ["", "&resourceVersion=0"], ids=["no version", "any version"])
async def test_a_watch_of_no_version_begins_with_what_there_is(api: Api, version: str):
    for stream in await watched(api, f"{SHOP}?watch=true&timeoutSeconds=1{version}"):
        assert [event.keys() for event in stream.events] == [{"type", "object"}] * 2
        assert [(event["type"], event["object"]["metadata"]["name"]) for event in stream.events] == ADDED
        for event in stream.events:
            assert event["object"]["kind"] == "TrafficMetrics"
            assert event["object"]["metadata"]["resourceVersion"]


async def test_a_watch_goes_on_from_a_list_and_says_how_far_it_has_come(api: Api):
    version = (await api.proxied(SHOP)).document["metadata"]["resourceVersion"]
    path = f"{SHOP}?watch=true&timeoutSeconds=3&resourceVersion={version}"
    told, untold = await asyncio.gather(watched(api, f"{path}&allowWatchBookmarks=true"), watched(api, path))
    # The traffic is steady, so nothing else is to tell.
    for stream in told:
        (bookmark,) = stream.events
        assert (bookmark["type"], bookmark["object"]["kind"]) == ("BOOKMARK", "TrafficMetrics")
        assert int(bookmark["object"]["metadata"]["resourceVersion"]) > int(version)
    assert [stream.events for stream in untold] == [[], []]


async def test_a_version_nobody_remembers_has_expired(api: Api):
    expired = {"kind": "Status", "status": "Failure", "reason": "Expired", "code": 410}
    for stream in await watched(api, f"{SHOP}?watch=true&timeoutSeconds=20&resourceVersion=1"):
        assert stream.status == 200
        (error,) = stream.events
        assert error["type"] == "ERROR"
        assert error["object"].items() >= expired.items()
        assert stream.over < 10


async def test_a_list_can_be_had_as_a_stream(api: Api):
    for stream in await watched(api, f"{SHOP}?{STREAMING}&allowWatchBookmarks=true&timeoutSeconds=1"):
        *added, bookmark = stream.events[:3]
        assert [(event["type"], event["object"]["metadata"]["name"]) for event in added] == ADDED
        assert (bookmark["type"], bookmark["object"]["kind"]) == ("BOOKMARK", "TrafficMetrics")
        assert bookmark["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
        assert bookmark["object"]["metadata"]["resourceVersion"]


async def test_tables_are_watched_and_the_first_has_the_columns(api: Api):
    for stream in await watched(api, f"{SHOP}?watch=true&timeoutSeconds=1", TABLE):
        first, second = [event["object"] for event in stream.events]
        assert (first["kind"], second["kind"]) == ("Table", "Table")
        assert [column["name"] for column in first["columnDefinitions"]][:2] == ["Name", "Success"]
        assert not second.get("columnDefinitions")
        assert [row["cells"][0] for row in (*first["rows"], *second["rows"])] == ["api", "web"]
        assert second["rows"][0]["object"]["kind"] == "PartialObjectMetadata"


@PROXIED
@pytest.mark.parametrize(
    ("query", "cause"),
    [
        pytest.param("watch=true&sendInitialEvents=true", "resourceVersionMatch", id="without a match"),
        pytest.param(
            "watch=true&sendInitialEvents=true&resourceVersionMatch=Exact&resourceVersion=1", "resourceVersionMatch", id="exactly"
        ),
        pytest.param("watch=true&resourceVersionMatch=NotOlderThan", "resourceVersionMatch", id="a match alone"),
        pytest.param("sendInitialEvents=true&resourceVersionMatch=NotOlderThan", "sendInitialEvents", id="a list"),
    ],
)
async def test_a_stream_of_contradictions_is_invalid(api: Api, query: str, cause: str, *, proxied: bool):
    reply = await asked(api, f"{SHOP}?{query}&timeoutSeconds=1", proxied=proxied)
    assert (reply.status, reply.document["reason"]) == (422, "Invalid")
    assert cause in {each["field"] for each in reply.document["details"]["causes"]}


@PROXIED
async def test_what_cannot_be_watched_does_not_say_that_it_can(api: Api, *, proxied: bool):
    verbs = {row["name"]: row["verbs"] for row in (await api.raw(""))["resources"]}
    assert [name for name in verbs if "/" not in name and "watch" not in verbs[name]] == [*SPLITS, "edges"]
    for plural in (*SPLITS, "edges"):
        reply = await asked(api, f"{GV}/namespaces/shop/{plural}?watch=true", proxied=proxied)
        assert (reply.status, reply.document["reason"]) == (405, "MethodNotAllowed")
        assert f'watch is not supported on resources of kind "{plural}.metrics.smi-spec.io"' in reply.document["message"]
        assert reply.headers["Allow"]


@PROXIED
async def test_to_watch_is_a_right_of_its_own(api: Api, *, proxied: bool):
    for user in (STRANGER, POD_READER):
        path = f"{GV}/namespaces/shop/pods?watch=true&timeoutSeconds=1"
        reply = await asked(api, path, proxied=proxied, user=user)
        assert reply.status == 403
        assert f'User "{user.name}" cannot watch resource "pods"' in reply.document["message"]
    assert (await asked(api, f"{SHOP}?watch=true&timeoutSeconds=1", proxied=proxied, user=SHOP_READER)).status == 200
