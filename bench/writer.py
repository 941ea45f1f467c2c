"""Objects written to a kube-apiserver, as controllers and kubelets write them."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import aiohttp
from controlplane import HEADERS
from population import (
    HASHES,
    NODES,
    Owner,
    Pod,
    Population,
    deployment,
    endpoint_slice,
    endpoints,
    node,
    pod,
    replica_set,
    service,
    status,
)
from processes import UNVERIFIED

__all__ = ["AT_ONCE", "Writer", "writer"]

AT_ONCE = 16
"""So many requests at the same time."""

_MERGE = {"Content-Type": "application/merge-patch+json"}
_CORE, _APPS, _DISCOVERY = "/api/v1", "/apis/apps/v1", "/apis/discovery.k8s.io/v1"


class Writer:
    """Writes objects of a population; made by :func:`writer`."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session
        self._sets: dict[tuple[str, str], Owner] = {}

    async def populate(self, population: Population) -> None:
        """Make all of them."""
        pods = population.all_pods()
        behind: dict[tuple[str, str], list[Pod]] = defaultdict(list)
        for one in pods:
            behind[one.namespace, one.app].append(one)
        await _all(self._create(f"{_CORE}/nodes", node(name)) for name in NODES)
        await _all(self._create(f"{_CORE}/namespaces", {"metadata": {"name": name}}) for name in population.spaces())
        await _all(self._workload(*place) for place in population.workloads())
        await _all(self.add(one) for one in pods)
        await _all(
            self._service(space, name, [one for app in apps for one in behind[space, app]], apps)
            for space, name, apps in population.services()
        )

    async def learn(self) -> None:
        """Find out what owns the pods of a population that somebody else made."""
        async with self._session.get(f"{_APPS}/replicasets") as response:
            sets = (await response.json())["items"]
        for one in (item["metadata"] for item in sets):
            if one["name"].endswith(HASHES[0]):
                self._sets[one["namespace"], one["name"].removesuffix(f"-{HASHES[0]}")] = Owner(
                    "ReplicaSet", one["name"], one["uid"]
                )

    async def add(self, one: Pod, made: Callable[[], None] = lambda: None) -> None:
        """Make a pod, say that it is ``made``, and let it run."""
        pods = f"{_CORE}/namespaces/{one.namespace}/pods"
        await self._create(pods, pod(one, self._sets[one.namespace, one.app]))
        made()
        await self._merge(f"{pods}/{one.name}/status", {"status": status(one)})

    async def remove(self, one: Pod) -> None:
        """Delete a pod; it is gone at once."""
        async with self._session.delete(_path(one), params={"gracePeriodSeconds": "0"}) as response:
            await _succeeded(response)

    async def look(self, one: Pod) -> None:
        """Let the kubelet write what it sees of a pod."""
        await self._merge(f"{_path(one)}/status", {"status": status(one, f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}")})

    async def label(self, one: Pod, value: str) -> None:
        """Change a label of a pod."""
        await self._merge(_path(one), {"metadata": {"labels": {"canary": value}}})

    async def stand_behind(self, namespace: str, name: str, pods: list[Pod]) -> None:
        """Change the slice of a Service."""
        await self._merge(f"{_DISCOVERY}/namespaces/{namespace}/endpointslices/{name}-x2z4w", {"endpoints": endpoints(pods)})

    async def _workload(self, namespace: str, app: str) -> None:
        """A Deployment and its two ReplicaSets."""
        home = f"{_APPS}/namespaces/{namespace}"
        owner = await self._create(f"{home}/deployments", deployment(namespace, app))
        sets = [await self._create(f"{home}/replicasets", replica_set(namespace, app, revision, owner)) for revision in HASHES]
        self._sets[namespace, app] = sets[0]

    async def _service(self, namespace: str, name: str, pods: list[Pod], apps: list[str]) -> None:
        await self._create(f"{_CORE}/namespaces/{namespace}/services", service(namespace, name, apps))
        await self._create(f"{_DISCOVERY}/namespaces/{namespace}/endpointslices", endpoint_slice(namespace, name, pods))

    async def _create(self, path: str, body: Mapping[str, Any]) -> Owner:
        async with self._session.post(path, json=body) as response:
            await _succeeded(response)
            made = await response.json()
            return Owner(made["kind"], made["metadata"]["name"], made["metadata"]["uid"])

    async def _merge(self, path: str, body: Mapping[str, Any]) -> None:
        async with self._session.patch(path, data=json.dumps(body), headers=_MERGE) as response:
            await _succeeded(response)
            await response.read()


@asynccontextmanager
async def writer(url: str) -> AsyncIterator[Writer]:
    """A writer to the kube-apiserver at ``url``."""
    connector = aiohttp.TCPConnector(ssl=UNVERIFIED, limit=AT_ONCE)
    async with aiohttp.ClientSession(url, connector=connector, headers=HEADERS) as session:
        yield Writer(session)


async def _all(steps: Iterable[Awaitable[object]]) -> None:
    """Take all steps, some of them at the same time."""
    turn = asyncio.Semaphore(AT_ONCE)

    async def take(step: Awaitable[object]) -> None:
        async with turn:
            await step

    await asyncio.gather(*map(take, steps))


def _path(one: Pod) -> str:
    return f"{_CORE}/namespaces/{one.namespace}/pods/{one.name}"


async def _succeeded(response: aiohttp.ClientResponse) -> None:
    if response.status >= 400:
        raise SystemExit(f"{response.method} {response.url.path}: {response.status} {(await response.text())[:500]}")
