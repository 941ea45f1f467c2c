"""The official Python client as a follower of traffic: the informer it brings along, and its watch under asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from types import SimpleNamespace
from typing import Any

import aiohttp
import kubernetes.client
import kubernetes.informer
from kubernetes import aio

from tests.controlplane.informers import Listener, Told

__all__ = ["run_shared_informer", "run_watch_loop"]

_GROUP, _VERSION = "metrics.smi-spec.io", "v1alpha1"
_EVENTS = {"ADDED": "added", "MODIFIED": "updated", "DELETED": "deleted"}


class _Notes(Listener):
    def __init__(self, name: str) -> None:
        self._name = name
        self._told: list[Told] = []

    def __str__(self) -> str:
        return self._name

    def told(self, since: int = 0) -> list[Told]:
        return self._told[since:]

    def note(self, event: str, row: Mapping[str, Any]) -> None:
        metadata = row["metadata"]
        self._told.append(Told(event, f"{metadata['namespace']}/{metadata['name']}", metadata["resourceVersion"], row))

    def note_synced(self) -> None:
        if not any(told.event == "synced" for told in self._told):
            self._told.append(Told("synced"))


@asynccontextmanager
async def run_shared_informer(url: str, namespace: str, plural: str) -> AsyncIterator[Listener]:
    """``kubernetes.informer.SharedInformer`` in its thread; its server has to break off the watch before the context ends."""
    notes = _Notes("SharedInformer")
    configuration = kubernetes.client.Configuration()
    configuration.host = url
    api = kubernetes.client.CustomObjectsApi(kubernetes.client.ApiClient(configuration))

    def ask(**query: Any) -> Any:
        answer = api.list_namespaced_custom_object(_GROUP, _VERSION, plural=plural, **query)
        if query.get("watch"):
            notes.note_synced()
            return answer
        # The informer is made for models, whose fields are attributes, and what has no model comes as a dict.
        return SimpleNamespace(
            items=answer["items"], metadata=SimpleNamespace(resource_version=answer["metadata"]["resourceVersion"])
        )

    informer = kubernetes.informer.SharedInformer(ask, namespace=namespace)
    for kind, event in _EVENTS.items():
        informer.add_event_handler(kind, lambda row, event=event: notes.note(event, row))
    informer.start()
    try:
        yield notes
    finally:
        await asyncio.to_thread(informer.stop)


@asynccontextmanager
async def run_watch_loop(url: str, namespace: str, plural: str) -> AsyncIterator[Listener]:
    """A list, and ``kubernetes.aio.watch.Watch`` from there on, again and again: the loop its documentation shows."""
    notes = _Notes("kubernetes.aio.watch.Watch")
    task = asyncio.create_task(_watch(notes, url, namespace, plural))
    try:
        yield notes
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _watch(notes: _Notes, url: str, namespace: str, plural: str) -> None:
    configuration = aio.client.Configuration()
    configuration.host = url
    rows: dict[str, Any] = {}
    async with aio.client.ApiClient(configuration) as client:
        api = aio.client.CustomObjectsApi(client)
        asked = (_GROUP, _VERSION, namespace, plural)
        while True:
            try:
                listed = await api.list_namespaced_custom_object(*asked)
                _compare(notes, rows, {row["metadata"]["name"]: row for row in listed["items"]})
                notes.note_synced()
                version = listed["metadata"]["resourceVersion"]
                async with aio.watch.Watch() as watch:
                    async for event in watch.stream(api.list_namespaced_custom_object, *asked, resource_version=version):
                        # What is no JSON comes as text: kube-apiserver's own words while there is no server.
                        if isinstance(event, str):
                            raise aiohttp.ClientError(event)  # noqa: TRY301
                        row = event["object"]
                        notes.note(_EVENTS[event["type"]], row)
                        if event["type"] == "DELETED":
                            del rows[row["metadata"]["name"]]
                        else:
                            rows[row["metadata"]["name"]] = row
            except (aio.client.ApiException, aiohttp.ClientError):
                await asyncio.sleep(0.5)


def _compare(notes: _Notes, known: dict[str, Any], listed: dict[str, Any]) -> None:
    """Notes what a list says that was not known, and takes it for known."""
    for name in known.keys() - listed.keys():
        notes.note("deleted", known.pop(name))
    for name, row in listed.items():
        notes.note("updated" if name in known else "added", row)
        known[name] = row
