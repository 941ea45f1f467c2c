"""How the tests ask a server: as a client that follows the rules, and as one that does not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient

from tests.apiservice.memory import serving

BASE = "/apis/metrics.smi-spec.io/v1alpha1"
SHOP = f"{BASE}/namespaces/shop"


@asynccontextmanager
async def client(*args: Any, **kwargs: Any) -> AsyncIterator[TestClient[Any, Any]]:
    """A client of a server of its own; bodies are left as they came."""
    async with serving(*args, **kwargs) as server, TestClient(server, auto_decompress=False) as session:
        yield session


async def status_of(response: ClientResponse) -> dict[str, Any]:
    """The Status a response must be."""
    assert response.headers["Content-Type"] == "application/json"
    document: dict[str, Any] = await response.json()
    assert (document["kind"], document["apiVersion"], document["status"]) == ("Status", "v1", "Failure")
    assert document["code"] == response.status
    return document


async def raw(session: TestClient[Any, Any], request: bytes) -> tuple[int, dict[str, str], bytes]:
    """What the server answers to bytes no client library would send."""
    reader, writer = await asyncio.open_connection("127.0.0.1", session.port)
    try:
        writer.write(request)
        await writer.drain()
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    finally:
        writer.close()
        await writer.wait_closed()
    first, *rest = head.decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in rest)}
    return int(first.split()[1]), headers, body
