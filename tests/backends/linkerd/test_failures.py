"""Whatever goes wrong is an error that says what to do: by the status of a call, in the body of an answer, or with no answer at all."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
import pytest

from backends.linkerd.client import VizClient
from backends.linkerd.requests import totals
from backends.linkerd.settings import LinkerdSettings
from backends.transport import TlsSettings
from metrics_api import (
    BackendError,
    BackendProtocolError,
    BackendRefused,
    BackendTimeout,
    BackendUnavailable,
    Window,
)
from tests.backends.linkerd.stub import Fault, Row, Stub, serve

Code = grpc.StatusCode
PROMQL = 'sum(increase(response_total{direction="inbound", namespace="shop"}[90s])) by (namespace, deployment)'
QUOTED = PROMQL.replace('"', '\\"')


async def failure(stub: Stub, name: str = "") -> BackendError:
    async with serve(stub), VizClient(LinkerdSettings("viz", stub.address)) as client:
        with pytest.raises(BackendError) as caught:
            await client.stat_summary(totals("Deployment", Window(90), "shop", name))
    return caught.value


def failing(code: grpc.StatusCode, details: str) -> Stub:
    def fail(_: object) -> list[Row]:
        raise Fault(code, details)

    return Stub(fail)


def of_prometheus(why: str) -> str:
    """What viz says when its Prometheus fails (viz/metrics-api/prometheus.go, queryProm)."""
    return f'Query failed: "{QUOTED}": {why}'


STATUSES = [
    pytest.param(Code.PERMISSION_DENIED, "", BackendRefused, "MeshTLSAuthentication", id="policy of the mesh"),
    pytest.param(Code.UNAUTHENTICATED, "", BackendRefused, "deploy/linkerd", id="unauthenticated"),
    pytest.param(
        Code.PERMISSION_DENIED, 'pods is forbidden: User "x" cannot list', BackendRefused, "check the RBAC", id="RBAC of viz"
    ),
    pytest.param(
        Code.UNIMPLEMENTED, "unimplemented resource type: deployment", BackendRefused, 'the kind "deployment"', id="unknown kind"
    ),
    pytest.param(Code.UNIMPLEMENTED, "Method not found!", BackendProtocolError, "is it the metrics-api", id="another server"),
    pytest.param(Code.NOT_FOUND, "no such thing", BackendUnavailable, "NOT_FOUND", id="nothing was named, and not found"),
    pytest.param(Code.UNAVAILABLE, "connection reset", BackendUnavailable, "cannot be reached at 127.0.0.1", id="unavailable"),
    pytest.param(Code.RESOURCE_EXHAUSTED, "busy", BackendUnavailable, "too many requests", id="busy"),
    pytest.param(Code.DEADLINE_EXCEEDED, "", BackendTimeout, "within 10s", id="its own deadline"),
    pytest.param(Code.INVALID_ARGUMENT, "no", BackendRefused, "refused StatSummary", id="invalid"),
    pytest.param(Code.INTERNAL, "a secret", BackendUnavailable, "(INTERNAL); what it says is in the log", id="internal"),
    pytest.param(Code.CANCELLED, "", BackendUnavailable, "(CANCELLED)", id="cancelled over there"),
    pytest.param(Code.UNKNOWN, "No prometheus instance to connect", BackendRefused, "has no Prometheus", id="no Prometheus"),
    pytest.param(
        Code.UNKNOWN, of_prometheus("bad_data: 1:1: parse error"), BackendRefused, "refused its query", id="a query it cannot read"
    ),
    pytest.param(
        Code.UNKNOWN, of_prometheus("execution: too many samples"), BackendRefused, "refused its query", id="too many samples"
    ),
    pytest.param(
        Code.UNKNOWN, of_prometheus("client_error: client error: 401"), BackendRefused, "does not let it ask", id="its credentials"
    ),
    pytest.param(Code.UNKNOWN, of_prometheus("timeout: query timed out"), BackendTimeout, "in time", id="a slow query"),
    pytest.param(
        Code.UNKNOWN, of_prometheus('Post "http://p:9090": context deadline exceeded'), BackendTimeout, "in time", id="hanging"
    ),
    pytest.param(
        Code.UNKNOWN, of_prometheus('Post "http://p:9090": dial tcp: refused'), BackendUnavailable, "did not answer it", id="down"
    ),
    pytest.param(
        Code.UNKNOWN, of_prometheus("server_error: server error: 503"), BackendUnavailable, "did not answer it", id="failing"
    ),
]


@pytest.mark.parametrize(("code", "details", "error", "words"), STATUSES)
async def test_the_status_of_a_call_becomes_an_error_that_says_what_to_do(
    code: grpc.StatusCode, details: str, error: type[BackendError], words: str
):
    found = await failure(failing(code, details))
    assert type(found) is error
    assert words in found.message
    assert found.message.startswith('source "viz": ')
    for unwanted in ("response_total", "a secret", "http://p:9090"):
        assert unwanted not in found.message


BODIES = [
    pytest.param(
        "invalid time window: time window (90s) must be at least as long as the Prometheus scrape interval (2m0s)",
        BackendRefused,
        "the window of 90s is too short for it: its Prometheus has a sample every 2m0s",
        id="too short a window",
    ),
    pytest.param('invalid time window: time: unknown unit "x"', BackendRefused, "does not accept the window", id="no window"),
    pytest.param("resource type 'all' is not supported as a filter", BackendRefused, "refused StatSummary", id="a filter"),
    pytest.param(of_prometheus("timeout: query timed out"), BackendTimeout, "in time", id="its Prometheus is slow"),
]


@pytest.mark.parametrize(("body", "error", "words"), BODIES)
async def test_an_error_in_the_body_of_an_answer_is_an_error_too(body: str, error: type[BackendError], words: str):
    found = await failure(Stub(body=body))
    assert type(found) is error
    assert words in found.message
    assert "response_total" not in found.message


async def test_what_viz_says_itself_is_in_the_log(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO, "backends.linkerd")
    await failure(failing(Code.UNKNOWN, of_prometheus("bad_data: 1:1: parse error")))
    assert "response_total" in caplog.text
    assert "parse error" in caplog.text


async def test_an_object_that_does_not_exist_has_no_rows():
    stub = failing(Code.NOT_FOUND, 'deployment.apps "web" not found')
    async with serve(stub), VizClient(LinkerdSettings("viz", stub.address)) as client:
        assert list(await client.stat_summary(totals("Deployment", Window(90), "shop", "web"))) == []


@pytest.mark.parametrize("raw", [b"\xff\xff\xff", b"", b"<html>"], ids=["garbage", "nothing", "a page"])
async def test_an_answer_that_is_none_is_not_taken_for_one_without_rows(raw: bytes):
    found = await failure(Stub(raw=raw))
    assert type(found) is BackendProtocolError
    assert "not its protocol" in found.message


async def test_an_error_of_edges_is_one_as_well():
    async with (
        serve(Stub(edges_body=of_prometheus("timeout: slow"))) as stub,
        VizClient(LinkerdSettings("viz", stub.address)) as client,
    ):
        with pytest.raises(BackendTimeout, match="in time"):
            await client.edges("deployment")


async def unreached(address: str, tls: TlsSettings | None = None) -> BackendError:
    async with VizClient(LinkerdSettings("viz", address, tls=tls)) as client:
        with pytest.raises(BackendError) as caught:
            await client.self_check()
    return caught.value


@asynccontextmanager
async def answering(text: bytes) -> AsyncIterator[str]:
    """A server of something else: it sends ``text`` to whoever says anything."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(text)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(handle, "127.0.0.1", 0) as other:
        yield f"127.0.0.1:{other.sockets[0].getsockname()[1]}"


async def test_where_nobody_listens_it_is_unavailable_at_once():
    async with asyncio.timeout(2):
        found = await unreached("127.0.0.1:1")
    assert type(found) is BackendUnavailable
    assert "cannot be reached at 127.0.0.1:1; check the address" in found.message


async def test_a_host_without_an_address_is_told():
    found = await unreached("no.such.host.invalid:8085")
    assert type(found) is BackendUnavailable
    assert "has no address" in found.message


async def test_a_web_server_is_not_taken_for_viz():
    async with answering(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n") as address:
        found = await unreached(address)
    assert type(found) is BackendProtocolError
    assert "does not speak gRPC" in found.message


async def test_tls_with_a_server_that_has_none_is_told():
    async with serve(Stub()) as stub:
        found = await unreached(stub.address, TlsSettings())
    assert type(found) is BackendUnavailable
    assert 'leave "tls" out' in found.message
