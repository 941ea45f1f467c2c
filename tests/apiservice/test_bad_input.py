"""What clients send wrong, over real sockets: each time a Status that says so, and a server that goes on."""

from __future__ import annotations

import io
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp.test_utils import TestClient

from apiservice.app import LARGEST_BODY
from tests.apiservice.asking import BASE, SHOP, client, raw, status_of
from tests.apiservice.memory import Memory


@pytest.fixture(scope="module")
async def shop() -> AsyncIterator[TestClient[Any, Any]]:
    """A server nothing is wrong with."""
    async with client() as session:
        yield session


@pytest.mark.parametrize(
    ("path", "code", "reason"),
    [
        pytest.param(f"{BASE}/foos", 404, "NotFound", id="unknown resource"),
        pytest.param(f"{SHOP}/foos/x", 404, "NotFound", id="unknown namespaced resource"),
        pytest.param("/apis/other.group/v1/deployments", 404, "NotFound", id="another group"),
        pytest.param("/apis/metrics.smi-spec.io/v2/deployments", 404, "NotFound", id="another version"),
        pytest.param("/nope", 404, "NotFound", id="unknown path"),
        pytest.param("/line%0Abreak", 404, "NotFound", id="a line break"),
        pytest.param("/%00", 404, "NotFound", id="a zero byte"),
        pytest.param("/%ff%fe", 404, "NotFound", id="not UTF-8"),
        pytest.param(f"{SHOP}/deployments/nobody", 404, "NotFound", id="absent object"),
        pytest.param(f"{SHOP}/trafficmetrics/nobody", 404, "NotFound", id="absent row"),
        pytest.param(f"{BASE}/deployments/web", 404, "NotFound", id="an object without its namespace"),
        pytest.param(f"{SHOP}/nodes", 404, "NotFound", id="nodes in a namespace"),
        pytest.param(f"{SHOP}/deployments/web/scale", 404, "NotFound", id="unknown subresource"),
        pytest.param(f"{SHOP}/deployments/web/edges/more", 404, "NotFound", id="below the edges"),
        pytest.param(f"{SHOP}/edges/web", 404, "NotFound", id="one edge"),
        pytest.param(f"{SHOP}/status", 404, "NotFound", id="the status of a namespace"),
        pytest.param(f"{BASE}/watch", 404, "NotFound", id="a verb and no resource"),
        pytest.param("/openapi/v4", 404, "NotFound", id="OpenAPI of the future"),
        pytest.param("/readyz/unknown", 404, "NotFound", id="unknown health check"),
        pytest.param(f"{SHOP}/deployments?window=soon", 400, "BadRequest", id="bad window"),
        pytest.param(f"{SHOP}/deployments?window={'9' * 5000}s", 400, "BadRequest", id="endless window"),
        pytest.param(f"{SHOP}/deployments?labelSelector=a%20in", 400, "BadRequest", id="bad label selector"),
        pytest.param(f"{SHOP}/deployments?fieldSelector=spec.x%3D1", 400, "BadRequest", id="unknown field"),
        pytest.param(f"{SHOP}/deployments?limit=few", 400, "BadRequest", id="bad limit"),
        pytest.param(f"{SHOP}/deployments?continue=forged", 400, "BadRequest", id="forged token"),
        pytest.param(f"{SHOP}/deployments?resourceVersion=new", 400, "BadRequest", id="bad version"),
        pytest.param(f"{SHOP}/deployments?timeout=soon", 400, "BadRequest", id="bad timeout"),
        pytest.param("/livez?timeout=soon", 400, "BadRequest", id="bad timeout of a path"),
        pytest.param(f"{SHOP}/deployments?includeObject=All", 400, "BadRequest", id="bad includeObject"),
        pytest.param(f"{SHOP}/deployments?resourceVersion=99999999999", 504, "Timeout", id="a version of the future"),
        pytest.param(
            f"{SHOP}/deployments?resourceVersionMatch=Exact&resourceVersion=1", 410, "Expired", id="a version of the past"
        ),
        pytest.param(f"{SHOP}/deployments?resourceVersionMatch=Exact", 422, "Invalid", id="contradicting options"),
        pytest.param(f"{SHOP}/deployments?sendInitialEvents=true", 422, "Invalid", id="initial events without a watch"),
        pytest.param(f"{SHOP}/edges?watch=true", 405, "MethodNotAllowed", id="watch of edges, whose names are all one"),
        pytest.param(f"{SHOP}/deployments?watch=1&sendInitialEvents=true", 422, "Invalid", id="initial events of any age"),
        pytest.param(f"{SHOP}/deployments?watch=1&resourceVersionMatch=NotOlderThan", 422, "Invalid", id="a match of nothing"),
        pytest.param(
            f"{SHOP}/deployments?watch=1&sendInitialEvents=1&resourceVersionMatch=Exact", 422, "Invalid", id="exact events"
        ),
        pytest.param(f"{SHOP}/deployments?watch=1&resourceVersion=new", 400, "BadRequest", id="watch from a bad version"),
        pytest.param(f"{SHOP}/deployments?watch=1&timeoutSeconds=long", 400, "BadRequest", id="watch for a bad time"),
        pytest.param(f"{SHOP}/deployments?watch=1&resourceVersion=99999999999", 504, "Timeout", id="watch from the future"),
        pytest.param(f"{SHOP}/deployments?watch=1&window=soon", 400, "BadRequest", id="watch of a bad window"),
        pytest.param(f"{BASE}/watch/namespaces/shop/deployments", 405, "MethodNotAllowed", id="the watch path of old"),
        pytest.param(f"{BASE}/proxy/namespaces/shop/deployments/web", 405, "MethodNotAllowed", id="the proxy path of old"),
    ],
)
async def test_a_wrong_request_gets_a_status(shop: TestClient[Any, Any], path: str, code: int, reason: str) -> None:
    response = await shop.get(path, allow_redirects=False)
    document = await status_of(response)
    assert (document["code"], document["reason"]) == (code, reason)
    assert document["message"]
    assert ("Allow" in response.headers) is (code == 405)


async def test_the_core_api_is_elsewhere_and_that_is_not_the_same_as_not_found(shop: TestClient[Any, Any]) -> None:
    document = await status_of(await shop.get("/api/v1/namespaces/shop"))
    assert (document["code"], "reason" in document) == (421, False)


async def test_an_absent_object_is_named_in_the_details(shop: TestClient[Any, Any]) -> None:
    document = await status_of(await shop.get(f"{SHOP}/deployments/nobody"))
    assert document["message"] == 'deployments.metrics.smi-spec.io "nobody" not found'
    assert document["details"] == {"name": "nobody", "group": "metrics.smi-spec.io", "kind": "deployments"}


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
@pytest.mark.parametrize("path", [f"{SHOP}/deployments", f"{SHOP}/deployments/web", "/livez", "/metrics", "/apis", "/openapi/v2"])
async def test_nothing_can_be_written(shop: TestClient[Any, Any], method: str, path: str) -> None:
    response = await shop.request(method, path)
    document = await status_of(response)
    assert (document["reason"], response.headers["Allow"]) == ("MethodNotAllowed", "GET, HEAD")


@pytest.mark.parametrize(
    ("path", "accept"),
    [
        pytest.param(f"{SHOP}/deployments", "text/csv", id="another type"),
        pytest.param(f"{SHOP}/deployments", "application/vnd.kubernetes.protobuf", id="protobuf"),
        pytest.param(f"{SHOP}/deployments", "application/json;as=Table;v=v9;g=meta.k8s.io", id="a table of the future"),
        pytest.param(
            f"{SHOP}/deployments", "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io", id="one metadata of many"
        ),
        pytest.param("/apis", "image/png", id="discovery"),
        pytest.param("/openapi/v3", "application/yaml", id="OpenAPI as YAML"),
        pytest.param(f"{SHOP}/deployments", ";;q==,//", id="broken"),
    ],
)
async def test_an_accept_that_cannot_be_met_is_told_what_can(shop: TestClient[Any, Any], path: str, accept: str) -> None:
    document = await status_of(await shop.get(path, headers={"Accept": accept}))
    assert document["reason"] == "NotAcceptable"
    assert "application/json" in document["message"]


async def test_what_cannot_be_represented_is_not_asked_of_the_sources() -> None:
    service = Memory()
    async with client(service) as session:
        await session.get(f"{SHOP}/deployments", headers={"Accept": "text/csv"})
        await session.get(f"{SHOP}/deployments?includeObject=All")
    assert service.asked == 0


@pytest.mark.parametrize("chunked", [False, True], ids=["declared", "chunked"])
async def test_a_body_over_three_mebibytes_is_refused(shop: TestClient[Any, Any], chunked: bool) -> None:  # noqa: FBT001
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(LARGEST_BODY // 65536 + 1):
            yield bytes(65536)

    response = await shop.post(f"{SHOP}/deployments", data=pieces() if chunked else io.BytesIO(bytes(LARGEST_BODY + 1)))
    assert (await status_of(response))["reason"] == "RequestEntityTooLarge"


@pytest.mark.parametrize(
    ("request_bytes", "code"),
    [
        pytest.param(
            b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: " + b"s3cr3t" * 20_000 + b"\r\n\r\n", 431, id="a header too long"
        ),
        pytest.param(b"GET /" + b"s3cr3t" * 20_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", 431, id="a path too long"),
        pytest.param(
            b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"".join(b"X-%d: s3cr3t\r\n" % n for n in range(5000)) + b"\r\n",
            431,
            id="too many headers",
        ),
        pytest.param(b"s3cr3t\r\n\r\n", 400, id="not HTTP"),
        pytest.param(b"S3CR3T / HTTP/1.1\r\nHost: s3cr3t\r\n\r\n", 400, id="an invented method"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03s3cr3t\r\n\r\n", 400, id="TLS on a plain port"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: s3cr3t\r\n\r\n", 400, id="a length that is none"),
    ],
)
async def test_what_is_not_http_gets_a_status_that_repeats_nothing(
    shop: TestClient[Any, Any], caplog: pytest.LogCaptureFixture, request_bytes: bytes, code: int
) -> None:
    status, headers, body = await raw(shop, request_bytes)
    document = json.loads(body)
    assert (status, document["code"], document["kind"]) == (code, code, "Status")
    assert headers["content-type"] == "application/json"
    assert headers["audit-id"]
    assert "s3cr3t" not in body.decode() + caplog.text
    assert (await shop.get("/livez")).status == 200


async def test_dots_in_a_path_lead_nowhere(shop: TestClient[Any, Any]) -> None:
    status, _, body = await raw(shop, b"GET //livez/../metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    assert (status, json.loads(body)["reason"]) == (404, "NotFound")


async def test_a_chunked_body_that_breaks_gets_a_status(shop: TestClient[Any, Any]) -> None:
    head = f"POST {SHOP}/deployments HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    status, _, body = await raw(shop, head.encode() + b"zz\r\n")
    assert (status, json.loads(body)["kind"]) == (400, "Status")


async def test_a_message_does_not_repeat_all_that_was_sent(shop: TestClient[Any, Any]) -> None:
    selector = "a" * 30_000
    document = await status_of(await shop.get(f"{SHOP}/deployments?fieldSelector={selector}%3D1"))
    assert 4_000 < len(document["message"]) < 5_000
    assert document["message"].endswith("characters)")
