"""A collection of objects as kube-apiserver has it: versions, lists in pages, and watches that begin at any version it remembers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any

from aiohttp import web

from tests.doubles.kube import KubeDouble

__all__ = ["Collection", "until"]


async def until(happened: Callable[[], object], patience: float = 10) -> None:
    """Return once that is so; TimeoutError when it does not happen within so many seconds."""
    for _ in range(int(patience / 0.005)):
        if happened():
            return
        await asyncio.sleep(0.005)
    raise TimeoutError


class Collection:
    """The objects at one path of a double; a test changes them while it runs.

    ``refusal``: the status everything is answered with instead. ``watch_refusals``: those the next watches are. ``lists`` and
    ``watches`` are the queries of those that were answered, ``pages`` of each page; ``open`` are the watches that go on.
    """

    def __init__(self, kube: KubeDouble, path: str) -> None:
        self.path = path
        self._kube = kube
        self.objects: dict[tuple[str, str], dict[str, Any]] = {}
        self.refusal = 0
        self.watch_refusals: list[int] = []
        self.pages: list[dict[str, str]] = []
        self.watches: list[dict[str, str]] = []
        self.open: list[asyncio.Queue[bytes | None]] = []
        self._version = 100
        self._log: list[tuple[int, bytes]] = []
        self._oldest = 0
        kube.handlers[path] = self.answer

    @property
    def lists(self) -> list[dict[str, str]]:
        """The first page of each list."""
        return [query for query in self.pages if "continue" not in query]

    def put(self, name: str, namespace: str = "shop", **fields: Any) -> None:
        """Make or change an object. ``fields`` stand beside its metadata; ``metadata`` adds to that."""
        event = "MODIFIED" if (namespace, name) in self.objects else "ADDED"
        metadata = {"name": name, "namespace": namespace, "uid": f"uid-{name}", **fields.pop("metadata", {})}
        self.objects[namespace, name] = {"metadata": metadata, **fields}
        self._happen(event, self.objects[namespace, name])

    def delete(self, name: str, namespace: str = "shop") -> None:
        """Delete an object."""
        self._happen("DELETED", self.objects.pop((namespace, name)))

    def lose(self, name: str, namespace: str = "shop") -> None:
        """Delete an object, and tell nobody."""
        del self.objects[namespace, name]

    def bookmark(self) -> int:
        """Tell the version everybody has seen, which is that of something elsewhere in the cluster; that version."""
        self._version += 10
        self.tell("BOOKMARK", {"metadata": {"resourceVersion": str(self._version)}})
        return self._version

    def compact(self, *, unseen: int = 0) -> None:
        """Forget what has happened up to now, and so many events of which nobody was told."""
        self._version += unseen
        self._log.clear()
        self._oldest = self._version

    def tell(self, event: str, document: Mapping[str, Any]) -> None:
        """Send an event to everybody who watches, of which nobody else will hear."""
        self.send(json.dumps({"type": event, "object": document}).encode() + b"\n")

    def send(self, data: bytes | None) -> None:
        """Send bytes to everybody who watches; None ends the watches, b"" breaks their connections."""
        for watch in self.open:
            watch.put_nowait(data)

    async def until_watched(self, times: int) -> None:
        """Return once so many watches have begun and are accepted or refused; TimeoutError when they do not."""
        await until(lambda: len(self.watches) >= times)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """A list, a page of one, or a watch."""
        if self.refusal:
            return _status(self.refusal)
        query = dict(request.query)
        if query.get("watch") != "true":
            self.pages.append(query)
            return self._page(query)
        self.watches.append(query)
        if self.watch_refusals:
            return _status(self.watch_refusals.pop(0))
        return await self._watch(request, int(query["resourceVersion"]))

    def _page(self, query: Mapping[str, str]) -> web.Response:
        version, _, start = query.get("continue", f"{self._version}:0").partition(":")
        first, limit = int(start), int(query.get("limit", "0")) or len(self.objects) + 1
        items = [self.objects[key] for key in sorted(self.objects)]
        more = {"continue": f"{version}:{first + limit}"} if len(items) > first + limit else {}
        # Go writes no items as null.
        return web.json_response({"metadata": {"resourceVersion": version, **more}, "items": items[first : first + limit] or None})

    async def _watch(self, request: web.Request, since: int) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        if since < self._oldest:
            gone = {"kind": "Status", "code": 410, "message": f"too old resource version: {since} ({self._oldest})"}
            await response.write(json.dumps({"type": "ERROR", "object": gone}).encode() + b"\n")
            return response
        events: asyncio.Queue[bytes | None] = asyncio.Queue()
        for version, line in self._log:
            if version > since:
                events.put_nowait(line)
        self.open.append(events)
        self._kube.watchers.append(events)
        try:
            while (data := await events.get()) is not None:
                if not data:
                    assert request.transport is not None
                    request.transport.abort()
                    break
                await response.write(data)
        finally:
            self.open.remove(events)
            self._kube.watchers.remove(events)
        return response

    def _happen(self, event: str, document: dict[str, Any]) -> None:
        self._version += 1
        document["metadata"]["resourceVersion"] = str(self._version)
        line = json.dumps({"type": event, "object": document}).encode() + b"\n"
        self._log.append((self._version, line))
        self.send(line)


def _status(code: int) -> web.Response:
    document = {"kind": "Status", "status": "Failure", "message": f"told to answer {code}", "code": code}
    return web.json_response(document, status=code)
