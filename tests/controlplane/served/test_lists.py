"""Lists: sorted, never null, in pages of one answer, and held to the options Kubernetes has for lists."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tests.controlplane.plane import ADMIN
from tests.controlplane.served.api import Api
from tests.controlplane.served.server import GV

pytestmark = pytest.mark.real

ALL = f"{GV}/trafficmetrics"
SHOP = f"{GV}/namespaces/shop/deployments"
FORMS = {
    "objects": ("application/json", "items"),
    "table": ("application/json;as=Table;v=v1;g=meta.k8s.io", "rows"),
    "metadata": ("application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io", "items"),
}


def names(document: Any) -> list[tuple[str, str]]:
    return [(item["metadata"].get("namespace", ""), item["metadata"]["name"]) for item in document["items"]]


@pytest.mark.parametrize("path", ["/trafficmetrics", "/deployments", "/pods", "/services", "/namespaces", "/namespaces/shop/pods"])
async def test_a_list_is_sorted_by_namespace_and_name(api: Api, path: str):
    found = names(await api.raw(path))
    assert len(found) > 1
    assert found == sorted(set(found))


@pytest.mark.parametrize(("accept", "key"), FORMS.values(), ids=FORMS)
@pytest.mark.parametrize(
    "path",
    ["namespaces/nowhere/deployments", "namespaces/shop/deployments/idle/edges", "jobs", "trafficmetrics?labelSelector=app%3Dx"],
)
async def test_an_empty_list_is_not_null(api: Api, path: str, accept: str, key: str):
    reply = await api.proxied(f"{GV}/{path}", headers={"Accept": accept})
    assert (reply.status, reply.document[key]) == (200, [])
    assert reply.document["metadata"]["resourceVersion"]


async def test_every_page_is_of_the_first_ones_answer(api: Api):
    whole, found, versions, left, token = names(await api.raw("/trafficmetrics")), [], [], [], ""
    for _ in whole:
        page = await api.raw(f"/trafficmetrics?limit=1&continue={token}")
        found += names(page)
        versions.append(page["metadata"]["resourceVersion"])
        left.append(page["metadata"].get("remainingItemCount", 0))
        token = page["metadata"].get("continue", "")
        # An answer of its own would be of another instant by then.
        await asyncio.sleep(0.6)
    assert (found, token) == (whole, "")
    assert len(set(versions)) == 1
    assert left == [*range(len(whole) - 1, -1, -1)]


def changed(token: str, place: int) -> str:
    """The token with another letter at this place."""
    return token[:place] + ("B" if token[place] == "A" else "A") + token[place + 1 :]


@pytest.mark.parametrize(
    "forge",
    [
        pytest.param(lambda _: "forged", id="no token"),
        pytest.param(lambda token: changed(token, 20), id="a changed token"),
        pytest.param(lambda token: changed(token, len(token) - 2), id="a changed signature"),
        pytest.param(lambda token: f"{token}&labelSelector=app", id="the token of another list"),
    ],
)
async def test_a_token_nobody_gave_out_is_refused(api: Api, forge: Callable[[str], str]):
    token = (await api.raw("/trafficmetrics?limit=1"))["metadata"]["continue"]
    assert (await api.proxied(f"{ALL}?limit=1&continue={token}")).status == 200
    reply = await api.proxied(f"{ALL}?limit=1&continue={forge(token)}")
    assert (reply.status, reply.document["reason"]) == (400, "BadRequest")
    assert reply.document["message"] == "continue key is not valid"


async def test_a_token_signed_with_a_key_that_is_no_more_has_expired(api: Api):
    token = (await api.raw("/trafficmetrics?limit=1"))["metadata"]["continue"]
    reply = await api.proxied(f"{ALL}?limit=1&continue={changed(token, 0)}")
    assert (reply.status, reply.document["reason"]) == (410, "Expired")
    assert "list again" in reply.document["message"]


@pytest.mark.parametrize(
    ("query", "causes"),
    [
        pytest.param(
            "resourceVersionMatch=Exact",
            [("FieldValueForbidden", "Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided")],
            id="a match of nothing",
        ),
        pytest.param(
            "resourceVersionMatch=Exact&resourceVersion=0",
            [("FieldValueForbidden", 'Forbidden: resourceVersionMatch "exact" is forbidden for resourceVersion "0"')],
            id="exactly any",
        ),
        pytest.param(
            "resourceVersionMatch=About&resourceVersion=1",
            [("FieldValueNotSupported", 'Unsupported value: "About": supported values: "Exact", "NotOlderThan", ""')],
            id="an invented match",
        ),
        pytest.param(
            "resourceVersionMatch=NotOlderThan&continue=x",
            [
                ("FieldValueForbidden", "Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided"),
                ("FieldValueForbidden", "Forbidden: resourceVersionMatch is forbidden when continue is provided"),
            ],
            id="two faults at once",
        ),
    ],
)
async def test_options_that_contradict_each_other_are_invalid(api: Api, query: str, causes: list[tuple[str, str]]):
    for reply in (await api.proxied(f"{SHOP}?{query}"), await api.direct(f"{SHOP}?{query}", user=ADMIN)):
        document = reply.document
        assert (reply.status, document["reason"], document["code"]) == (422, "Invalid", 422)
        assert document["message"].startswith('ListOptions.meta.k8s.io "" is invalid: ')
        assert (document["details"]["group"], document["details"]["kind"]) == ("meta.k8s.io", "ListOptions")
        assert document["details"]["causes"] == [
            {"reason": reason, "message": message, "field": "resourceVersionMatch"} for reason, message in causes
        ]


@pytest.mark.parametrize("query", ["resourceVersion=0", "resourceVersion=0&resourceVersionMatch=NotOlderThan", "resourceVersion=1"])
async def test_any_version_that_is_not_too_old_will_do(api: Api, query: str):
    assert [name for _, name in names(await api.raw(f"/namespaces/shop/deployments?{query}"))] == ["api", "web"]


async def test_a_list_is_not_older_than_one_that_was_seen(api: Api):
    seen = (await api.raw("/namespaces/shop/deployments"))["metadata"]["resourceVersion"]
    again = await api.raw(f"/namespaces/shop/deployments?resourceVersion={seen}&resourceVersionMatch=NotOlderThan")
    assert int(again["metadata"]["resourceVersion"]) >= int(seen)


@pytest.mark.parametrize(
    "path",
    [GV, "/apis", "/openapi/v2", f"{SHOP}", f"{SHOP}/web", f"{SHOP}/web/edges", f"{GV}/namespaces", f"{GV}/namespaces/shop/edges"],
)
async def test_a_slash_at_the_end_leaves_the_body_as_it_is(api: Api, path: str):
    for _ in range(20):
        bare, slash = await asyncio.gather(api.direct(path, user=ADMIN), api.direct(f"{path}/", user=ADMIN))
        assert (bare.status, slash.status) == (200, 200)
        if bare.body == slash.body:
            return
        # They were answered in different seconds.
        assert bare.document["metadata"]["resourceVersion"] != slash.document["metadata"]["resourceVersion"]
    pytest.fail("the bodies are never the same")
