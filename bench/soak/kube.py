"""Requests to the real kube-apiserver as its administrator; they may fail while it is restarted, and then it is asked again later."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from population import Owner

from tests.controlplane.plane import ControlPlane

__all__ = ["Kube", "kube"]

_MERGE = {"Content-Type": "application/merge-patch+json"}
_AGAIN = 30.0
"""Seconds for which a request is repeated that met nobody; a restart takes a few."""


class Kube:
    """The kube-apiserver; made by :func:`kube`."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self.session = session

    async def create(self, path: str, body: Mapping[str, Any]) -> Owner:
        """Make an object; one that is there already is as good."""
        made = await self.send("POST", path, body)
        if made.get("reason") == "AlreadyExists":
            made = await self.send("GET", f"{path}/{body['metadata']['name']}")
        return Owner(made["kind"], made["metadata"]["name"], made["metadata"].get("uid", ""))

    async def merge(self, path: str, body: Mapping[str, Any]) -> None:
        """Change an object."""
        await self.send("PATCH", path, body)

    async def delete(self, path: str) -> None:
        """Delete an object, or all of a collection, at once."""
        await self.send("DELETE", f"{path}?gracePeriodSeconds=0")

    async def token(self, namespace: str, account: str) -> str:
        """A new token of a service account, good for ten minutes."""
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 600}}
        made = await self.send("POST", f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token", body)
        return str(made["status"]["token"])

    async def send(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The object, or the Status, that is answered.

        Raises:
            RuntimeError: when nobody answers for half a minute, or something else than that an object is there, or is not.

        """
        end = asyncio.get_running_loop().time() + _AGAIN
        while True:
            headers = _MERGE if method == "PATCH" else {"Content-Type": "application/json"}
            try:
                data = None if body is None else json.dumps(body)
                async with self.session.request(method, path, data=data, headers=headers) as response:
                    answer = await response.json()
                    if response.status < 400 or response.status in (404, 409):
                        return dict(answer)
                    failed = f"{response.status} {answer.get('message')}"
            except (aiohttp.ClientError, TimeoutError, ValueError) as error:
                failed = repr(error)
            if asyncio.get_running_loop().time() > end:
                raise RuntimeError(f"{method} {path}: {failed}")
            await asyncio.sleep(0.5)


@asynccontextmanager
async def kube(plane: ControlPlane) -> AsyncIterator[Kube]:
    """One that is asked as the administrator."""
    connector = aiohttp.TCPConnector(ssl=plane.tls(), limit=16)
    async with aiohttp.ClientSession(plane.url, connector=connector, timeout=aiohttp.ClientTimeout(total=20)) as session:
        yield Kube(session)
