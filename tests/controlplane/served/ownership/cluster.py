"""A client that makes objects in a kube-apiserver, remembers what it made, and takes it away again.

It is quicker than kubectl, and knows the UIDs that owner references need.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from tests.controlplane.plane import ControlPlane

__all__ = ["Cluster", "Document", "open_cluster"]

Document = dict[str, Any]

_GROUPS = {
    "Namespace": ("v1", "namespaces"),
    "Node": ("v1", "nodes"),
    "Pod": ("v1", "pods"),
    "Service": ("v1", "services"),
    "ReplicationController": ("v1", "replicationcontrollers"),
    "EndpointSlice": ("discovery.k8s.io/v1", "endpointslices"),
    "Deployment": ("apps/v1", "deployments"),
    "ReplicaSet": ("apps/v1", "replicasets"),
    "StatefulSet": ("apps/v1", "statefulsets"),
    "DaemonSet": ("apps/v1", "daemonsets"),
    "Job": ("batch/v1", "jobs"),
    "CronJob": ("batch/v1", "cronjobs"),
    "Rollout": ("argoproj.io/v1alpha1", "rollouts"),
    "TrafficSplit": ("split.smi-spec.io/v1alpha4", "trafficsplits"),
    "HTTPRoute": ("gateway.networking.k8s.io/v1", "httproutes"),
    "GRPCRoute": ("gateway.networking.k8s.io/v1", "grpcroutes"),
    "CustomResourceDefinition": ("apiextensions.k8s.io/v1", "customresourcedefinitions"),
}
_OF_THE_CLUSTER = ("Namespace", "Node", "CustomResourceDefinition")
_NOBODY = "00000000-0000-4000-8000-000000000000"
"""The UID of what does not exist."""


class Cluster:
    """Objects made as admin. Kinds are written as Kubernetes writes them, an empty namespace is for what is in none."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session
        self._uids: dict[tuple[str, str, str], str] = {}

    async def create(self, kind: str, namespace: str, name: str, *, owner: str = "", **fields: Any) -> None:
        """Make an object. ``owner`` is its controller, ``Kind/name``, which need not exist; ``fields`` are those beside its name."""
        metadata: Document = {"name": name, "labels": fields.pop("labels", {}), "annotations": fields.pop("annotations", {})}
        if owner:
            metadata["ownerReferences"] = [self._reference(namespace, owner)]
        document = {"apiVersion": _GROUPS[kind][0], "kind": kind, "metadata": metadata, **fields}
        made = await self._send("POST", _collection(kind, namespace), document)
        self._uids[kind, namespace, name] = made["metadata"]["uid"]

    async def define(self, definition: Document) -> None:
        """Make a CustomResourceDefinition, and wait until there can be objects of it."""
        await self.create("CustomResourceDefinition", "", **definition["metadata"], spec=definition["spec"])
        collection = _collection(definition["spec"]["names"]["kind"], "default")
        for _ in range(200):
            async with self._session.get(collection) as response:
                if response.status == 200:
                    return
            await asyncio.sleep(0.05)
        raise RuntimeError(f"{collection} is not served after ten seconds")

    async def delete(self, kind: str, namespace: str, name: str) -> None:
        """Delete an object at once, and nothing of what it owns."""
        now = {"kind": "DeleteOptions", "apiVersion": "v1", "gracePeriodSeconds": 0, "propagationPolicy": "Background"}
        await self._send("DELETE", f"{_collection(kind, namespace)}/{name}", now)
        del self._uids[kind, namespace, name]

    async def change(self, kind: str, namespace: str, name: str, **fields: Any) -> None:
        """Put these fields in the place of those an object has."""
        path = f"{_collection(kind, namespace)}/{name}"
        await self._send("PATCH", path, fields, {"Content-Type": "application/merge-patch+json"})

    def has(self, kind: str, namespace: str, name: str) -> bool:
        """Whether this made the object, and did not delete it."""
        return (kind, namespace, name) in self._uids

    async def clear(self) -> None:
        """Delete all that was made but namespaces, which nobody would finish deleting; what defines custom resources goes last."""
        kept = [key for key in self._uids if key[0] != "Namespace"]
        await asyncio.gather(*(self.delete(*key) for key in kept if key[0] != "CustomResourceDefinition"))
        await asyncio.gather(*(self.delete(*key) for key in kept if key[0] == "CustomResourceDefinition"))

    def _reference(self, namespace: str, owner: str) -> Document:
        kind, _, name = owner.partition("/")
        uid = self._uids.get((kind, "" if kind in _OF_THE_CLUSTER else namespace, name), _NOBODY)
        return {"apiVersion": _GROUPS[kind][0], "kind": kind, "name": name, "uid": uid, "controller": True}

    async def _send(self, method: str, path: str, body: Document, headers: dict[str, str] | None = None) -> Document:
        async with self._session.request(method, path, json=body, headers=headers) as response:
            document: Document = await response.json(content_type=None)
        if response.status >= 300:
            raise RuntimeError(f"{method} {path}: {document.get('message', document)}")
        return document


def _collection(kind: str, namespace: str) -> str:
    version, plural = _GROUPS[kind]
    root = f"/apis/{version}" if "/" in version else f"/api/{version}"
    return f"{root}/{plural}" if kind in _OF_THE_CLUSTER else f"{root}/namespaces/{namespace}/{plural}"


@asynccontextmanager
async def open_cluster(plane: ControlPlane) -> AsyncIterator[Cluster]:
    """One whose objects are gone afterwards."""
    connector = aiohttp.TCPConnector(ssl=plane.tls())
    async with aiohttp.ClientSession(plane.url, connector=connector) as session:
        cluster = Cluster(session)
        try:
            yield cluster
        finally:
            await cluster.clear()
