"""Forms: one answer as objects, as a Table, as metadata alone; as JSON or YAML, indented, compressed; through kube-apiserver."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import yaml

from tests.controlplane.plane import ADMIN
from tests.controlplane.served.api import Api, Reply
from tests.controlplane.served.server import GV

pytestmark = pytest.mark.real

SHOP = f"{GV}/namespaces/shop/deployments"
WEB = f"{SHOP}/web"
CROWD = f"{GV}/namespaces/crowd/replicationcontrollers?includeIdle=true"
LARGE = 128 * 1024
"""Bytes above which Kubernetes compresses."""


def form(kind: str, version: str = "v1") -> dict[str, str]:
    """The wish for another kind, as clients of Kubernetes write it."""
    return {"Accept": f"application/json;as={kind};v={version};g=meta.k8s.io"}


async def asked(api: Api, path: str, headers: dict[str, str] | None = None) -> Any:
    reply = await api.proxied(path, headers=headers)
    assert (reply.status, reply.headers["Content-Type"]) == (200, "application/json")
    return reply.document


@pytest.mark.parametrize("version", ["v1", "v1beta1"])
async def test_a_table_has_the_same_columns_whatever_it_holds(api: Api, version: str):
    tables = [await asked(api, path, form("Table", version)) for path in (SHOP, WEB, f"{GV}/namespaces/nowhere/deployments")]
    assert [len(table["rows"]) for table in tables] == [2, 1, 0]
    columns = tables[0]["columnDefinitions"]
    for table in tables:
        assert (table["kind"], table["apiVersion"]) == ("Table", f"meta.k8s.io/{version}")
        assert table["columnDefinitions"] == columns
        assert table["metadata"]["resourceVersion"]
        assert all(len(row["cells"]) == len(columns) for row in table["rows"])
    assert all(column.keys() == {"name", "type", "format", "description", "priority"} for column in columns)
    assert [column["name"] for column in columns if column["format"] == "name"] == ["Name"]
    assert [column["name"] for column in columns if column["priority"] > 0] == ["Failures", "Window", "Side", "Source"]


@pytest.mark.parametrize("headers", [[], ["--no-headers"]], ids=["with headers", "without headers"])
async def test_kubectl_says_that_an_empty_table_is_empty(api: Api, headers: list[str]):
    run = await api.kubectl("get", "tm", "-n", "nowhere", *headers)
    assert (run.code, run.stdout, run.stderr) == (0, "", "No resources found in nowhere namespace.\n")


async def test_headers_can_be_left_out(api: Api):
    whole = (await api.prints("get", "tm", "-n", "data")).splitlines()
    bare = (await api.prints("get", "tm", "-n", "data", "--no-headers")).splitlines()
    assert whole[0].split()[:2] == ["NAME", "SUCCESS"]
    assert [line.split()[0] for line in whole[1:]] == [line.split()[0] for line in bare] == ["deployment.api", "statefulset.db"]


@pytest.mark.parametrize("path", [SHOP, WEB], ids=["a list", "an object"])
@pytest.mark.parametrize("wish", ["", "includeObject=Metadata"], ids=["not said", "metadata"])
async def test_rows_of_a_table_carry_their_metadata(api: Api, path: str, wish: str):
    table = await asked(api, f"{path}?{wish}", form("Table"))
    carried = table["rows"][-1]["object"]
    assert carried.keys() == {"kind", "apiVersion", "metadata"}
    assert (carried["kind"], carried["apiVersion"]) == ("PartialObjectMetadata", "meta.k8s.io/v1")
    assert (carried["metadata"]["namespace"], carried["metadata"]["name"]) == ("shop", "web")
    assert carried["metadata"]["labels"]["tier"] == "front"


async def test_rows_of_a_table_can_carry_their_objects(api: Api):
    table = await asked(api, f"{SHOP}?includeObject=Object", form("Table"))
    carried = table["rows"][-1]["object"]
    assert carried["kind"] == "TrafficMetrics"
    assert carried["resource"] == {"kind": "Deployment", "namespace": "shop", "name": "web"}
    assert len(carried["metrics"]) == 5


async def test_rows_of_a_table_can_carry_nothing(api: Api):
    table = await asked(api, f"{SHOP}?includeObject=None", form("Table"))
    assert [row.keys() for row in table["rows"]] == [{"cells"}, {"cells"}]


@pytest.mark.parametrize("version", ["v1", "v1beta1"])
async def test_metadata_of_a_list_can_be_had_alone(api: Api, version: str):
    document = await asked(api, SHOP, form("PartialObjectMetadataList", version))
    assert document.keys() == {"kind", "apiVersion", "metadata", "items"}
    assert (document["kind"], document["apiVersion"]) == ("PartialObjectMetadataList", f"meta.k8s.io/{version}")
    assert document["metadata"]["resourceVersion"]
    assert [item["metadata"]["name"] for item in document["items"]] == ["api", "web"]
    for item in document["items"]:
        assert item.keys() == {"kind", "apiVersion", "metadata"}
        assert (item["kind"], item["apiVersion"]) == ("PartialObjectMetadata", f"meta.k8s.io/{version}")


async def test_metadata_of_an_object_can_be_had_alone(api: Api):
    document = await asked(api, WEB, form("PartialObjectMetadata"))
    assert document.keys() == {"kind", "apiVersion", "metadata"}
    assert document["metadata"]["labels"] == {"app": "web", "tier": "front", "release": "3"}


@pytest.mark.parametrize(
    ("path", "kind"), [(SHOP, "PartialObjectMetadata"), (WEB, "PartialObjectMetadataList")], ids=["of a list", "of an object"]
)
async def test_the_metadata_of_one_is_not_that_of_many(api: Api, path: str, kind: str):
    reply = await api.proxied(path, headers=form(kind))
    assert (reply.status, reply.document["reason"]) == (406, "NotAcceptable")


async def test_yaml_says_what_json_says(api: Api):
    for path, kind in ((SHOP, "TrafficMetricsList"), (WEB, "TrafficMetrics"), (GV, "APIResourceList")):
        reply = await api.proxied(path, headers={"Accept": "application/yaml"})
        assert (reply.status, reply.headers["Content-Type"]) == (200, "application/yaml")
        with pytest.raises(ValueError, match="Expecting value"):
            _ = reply.document
        document = yaml.load(reply.body, Loader=yaml.CSafeLoader)
        assert document["kind"] == kind
        assert shape(document) == shape(await asked(api, path))


async def test_a_table_can_be_yaml(api: Api):
    reply = await api.proxied(SHOP, headers={"Accept": form("Table")["Accept"].replace("json", "yaml")})
    assert (reply.status, reply.headers["Content-Type"]) == (200, "application/yaml")
    document = yaml.safe_load(reply.body)
    assert (document["kind"], [row["cells"][0] for row in document["rows"]]) == ("Table", ["api", "web"])


def shape(document: Any) -> Any:
    """A document with the types of its values in place of these, which change from second to second."""
    if isinstance(document, dict):
        return {key: shape(value) for key, value in document.items()}
    if isinstance(document, list):
        return [shape(value) for value in document]
    return type(document)


@pytest.mark.parametrize("path", [SHOP, WEB, GV], ids=["a list", "an object", "discovery"])
async def test_json_is_indented_for_those_who_ask(api: Api, path: str):
    indented, curl, plain, refused = [
        (await api.proxied(path + query, headers={"User-Agent": agent})).body
        for query, agent in (("?pretty=true", "tests"), ("", "curl/8.5.0"), ("", "tests"), ("?pretty=0", "curl/8.5.0"))
    ]
    assert indented.startswith(b'{\n  "')
    assert curl.startswith(b'{\n  "')
    for body in (plain, refused):
        assert body.count(b"\n") == 1
        assert body.endswith(b"}\n")


@pytest.fixture(scope="module")
async def crowd(api: Api) -> int:
    """How many objects there are in namespace "crowd", whose labels are so long that a list of them is larger than ``LARGE``."""
    labels = {f"{'k' * 50}-{number}": "v" * 63 for number in range(30)}
    objects = [
        {
            "apiVersion": "v1",
            "kind": "ReplicationController",
            "metadata": {"name": f"rc-{number:02}", "namespace": "crowd", "labels": labels},
            "spec": {
                "selector": {"app": "crowd"},
                "template": {
                    "metadata": {"labels": {"app": "crowd"}},
                    "spec": {"containers": [{"name": "main", "image": "example.com/main"}]},
                },
            },
        }
        for number in range(40)
    ]
    await api.plane.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "crowd"}}, *objects)
    # The server may have listed them a moment ago, when they were not there, and remembers that for ten seconds.
    for _ in range(150):
        if len((await asked(api, CROWD))["items"]) == len(objects):
            return len(objects)
        await asyncio.sleep(0.1)
    pytest.fail("the new objects stay unknown for more than fifteen seconds")


@pytest.mark.parametrize("proxied", [True, False], ids=["proxied", "direct"])
async def test_an_answer_is_compressed_where_it_pays(api: Api, crowd: int, *, proxied: bool):
    async def listed(limit: int, coding: str) -> Reply:
        path, headers = f"{CROWD}&limit={limit}", {"Accept-Encoding": coding}
        return await (api.proxied(path, headers=headers) if proxied else api.direct(path, user=ADMIN, headers=headers))

    whole = await listed(0, "identity")
    assert (len(whole.document["items"]), len(whole.body) > LARGE) == (crowd, True)
    first_large = LARGE * crowd // len(whole.body) + 1
    seen = set()
    for limit in (1, *range(first_large - 2, first_large + 3), 0):
        plain, packed = await listed(limit, "identity"), await listed(limit, "gzip")
        large = len(plain.body) > LARGE
        seen.add((limit, large))
        assert "Content-Encoding" not in plain.headers
        assert packed.headers.get("Content-Encoding") == ("gzip" if large else None), len(plain.body)
        for reply in (plain, packed):
            assert ("Accept-Encoding" in reply.headers.get("Vary", "")) is large
        assert len(packed.document["items"]) == len(plain.document["items"]) == (limit or crowd)
    assert (first_large - 2, False) in seen
    assert (first_large + 2, True) in seen


async def test_every_answer_has_the_id_kube_apiserver_audits_it_under(api: Api):
    mark = api.plane.audit.mark()
    for path in (SHOP, f"{SHOP}/never", f"{SHOP}?window=soon"):
        reply = await api.proxied(path)
        # Of the two that are added, one is kube-apiserver's own, the other ours.
        (audit_id, ours) = reply.headers.getall("Audit-Id")
        assert audit_id == ours
        (event,) = await api.plane.audited(mark, audit_id=audit_id)
        assert (event["requestURI"], event["responseStatus"]["code"]) == (path, reply.status)


@pytest.mark.parametrize(
    "path", ["/livez", "/nope", "/metrics", "/openapi/v2", GV, SHOP, f"{SHOP}/never", f"{SHOP}?window=soon", f"{SHOP}?pretty=1"]
)
async def test_every_answer_says_who_may_keep_it(api: Api, path: str):
    for reply in (await api.direct(path, user=ADMIN), await api.direct(path)):
        assert reply.headers["Cache-Control"] == "no-cache, private"
        assert reply.headers["Audit-Id"]
        assert reply.headers["X-Content-Type-Options"] == "nosniff"
