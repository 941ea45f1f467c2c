"""The API as its clients reach it: kubectl and plain HTTP through kube-apiserver, and HTTP to the server itself."""

from __future__ import annotations

import json
import ssl
from collections.abc import Mapping
from typing import Any, NamedTuple

import aiohttp
import pytest
from kubernetes.utils.quantity import parse_quantity
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from tests.controlplane.plane import ADMIN, ControlPlane, Person, Run
from tests.controlplane.served.mesh import Truth
from tests.controlplane.served.server import GV, Server

__all__ = ["Api", "Reply", "measured", "truthful"]


class Reply(NamedTuple):
    """An HTTP response."""

    status: int
    headers: CIMultiDictProxy[str]
    body: bytes

    @property
    def document(self) -> Any:
        """The body, which has to be JSON."""
        return json.loads(self.body)


class Api:
    """The API group, served by ``server`` and registered with ``plane``."""

    def __init__(self, plane: ControlPlane, server: Server) -> None:
        self.plane = plane
        self.server = server

    async def register(self) -> None:
        """Makes kube-apiserver serve the group from this server."""
        await self.plane.register(self.server.port, self.server.ca_bundle)

    async def kubectl(self, *args: str, user: Person = ADMIN, stdin: str = "") -> Run:
        return await self.plane.kubectl(*args, user=user, stdin=stdin)

    async def prints(self, *args: str, user: Person = ADMIN) -> str:
        """What kubectl prints when it has nothing to complain of."""
        run = await self.kubectl(*args, user=user)
        assert (run.code, run.stderr) == (0, ""), run
        return run.stdout

    async def table(self, *args: str, user: Person = ADMIN) -> list[list[str]]:
        """The cells kubectl prints, without its header."""
        text = await self.prints("get", *args, "--no-headers", user=user)
        return [line.split() for line in text.splitlines()]

    async def names(self, *args: str, user: Person = ADMIN) -> list[str]:
        """The names of the objects kubectl prints, with their namespaces before them: ``shop/web``."""
        path = '{range .items[*]}{.metadata.namespace}/{.metadata.name}{"\\n"}{end}'
        return (await self.prints("get", *args, "-o", f"jsonpath={path}", user=user)).split()

    async def document(self, *args: str, user: Person = ADMIN) -> Any:
        """The JSON of what kubectl gets."""
        return json.loads(await self.prints("get", *args, "-o", "json", user=user))

    async def raw(self, path: str, user: Person = ADMIN) -> Any:
        """The JSON at a path below the group's version."""
        return json.loads(await self.prints("get", "--raw", f"{GV}{path}", user=user))

    async def proxied(
        self,
        path: str,
        *,
        method: str = "GET",
        user: Person = ADMIN,
        headers: Mapping[str, str] | None = None,
        body: Any = None,
    ) -> Reply:
        """The response to a request that goes through kube-apiserver; ``body`` is sent as JSON."""
        return await _request(self.plane.url + path, method, self.plane.tls(user), headers, body)

    async def direct(
        self,
        path: str,
        *,
        method: str = "GET",
        user: Person | None = None,
        headers: Mapping[str, str] | None = None,
        tls: ssl.SSLContext | None = None,
        body: Any = None,
    ) -> Reply:
        """The response to a request to the server itself; without ``user`` or ``tls`` it comes from nobody."""
        return await _request(self.server.url + path, method, tls or self.server.tls(user), headers, body)


async def _request(url: str, method: str, tls: ssl.SSLContext, headers: Mapping[str, str] | None, body: Any = None) -> Reply:
    async with (
        aiohttp.ClientSession() as session,
        session.request(
            method, URL(url, encoded=True), ssl=tls, headers=CIMultiDict(headers or {}), allow_redirects=False, json=body
        ) as response,
    ):
        return Reply(response.status, response.headers, await response.read())


def measured(item: Mapping[str, Any]) -> dict[str, float | None]:
    """The metrics of an object by name, as numbers; None for what is unknown."""
    return {metric["name"]: _number(metric["value"]) for metric in item["metrics"]}


def truthful(item: Mapping[str, Any], truth: Truth, seconds: float = 10) -> None:
    """Holds an object against what really happened in a window of that length: within one per cent."""
    expected = {
        "p99_response_latency": truth.p99,
        "p90_response_latency": truth.p90,
        "p50_response_latency": truth.p50,
        "success_count": truth.success * seconds,
        "failure_count": truth.failure * seconds,
    }
    assert measured(item) == pytest.approx(expected, rel=0.01)


def _number(text: str | None) -> float | None:
    return None if text is None else float(parse_quantity(text))  # type: ignore[no-untyped-call]
