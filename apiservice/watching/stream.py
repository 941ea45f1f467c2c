"""The HTTP side of a watch: one JSON document per line, for as long as client and server like.

The shapes are those of ``k8s.io/apiserver/pkg/endpoints/handlers/watch.go``: ``{"type": "MODIFIED", "object": {...}}``, where the object of
a Table watch is a Table of one row, with column definitions in the first only; bookmarks hold nothing but a version; a version nobody
can go on from is an ERROR with a 410 Status, inside a stream that begins with 200.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import msgspec
from aiohttp import web
from multidict import CIMultiDict

from apiservice.negotiate import Encoding
from apiservice.representation import Style, bookmark_document, object_document
from apiservice.sending import send_part
from apiservice.status import expired_version, too_large_version
from apiservice.warning import warning_headers
from apiservice.watching.changes import Event
from apiservice.watching.feed import Batch, Feed, Lines, Told
from apiservice.watching.feeds import Feeds
from apiservice.watching.options import WatchOptions

__all__ = ["BOOKMARK_EVERY", "Watching"]

BOOKMARK_EVERY = 60.0
"""Seconds after which a client that understands bookmarks gets one."""

_SHORTEST = 1800.0
"""Seconds a watch lasts whose client does not say, up to twice as long: so that many do not come back at one moment."""

_AHEAD = 3.0
"""Seconds that another replica's clock may be ahead of ours."""

_PATIENCE = 10.0
"""Seconds to wait for an answer of such a version: the time of day it is of, and that of asking the sources."""

_INITIAL_EVENTS_END = {"k8s.io/initial-events-end": "true"}


Sent = Callable[[Sequence[int]], None]


class Watching:
    """Serves watches. ``clock`` is Unix time."""

    def __init__(self, feeds: Feeds, clock: Callable[[], float] = time.time) -> None:
        self._feeds = feeds
        self._clock = clock

    async def respond(
        self, question: Any, options: WatchOptions, style: Style, request: web.Request, sent: Sent
    ) -> web.StreamResponse:
        """The whole watch, which is over when this returns; ``sent`` is told the bytes of each event.

        Raises what the first answer raises, before anything is sent.
        """
        async with self._feeds.following(question) as feed:
            if options.version > max(feed.version, self._clock() + _AHEAD):
                raise too_large_version(options.version, feed.version)
            told = await _state(feed, options.version) if options.begins_with_state else await _since(feed, options.version)
            response = web.StreamResponse(headers=CIMultiDict({"Content-Type": Encoding.JSON.value}))
            for value in warning_headers(feed.warnings):
                response.headers.add("Warning", value)
            response.enable_chunked_encoding()
            await response.prepare(request)
            stream = _Stream(request, response, style, sent, bookmarks=options.bookmarks)
            if told is None:
                await stream.expired(options.version)
            else:
                version, batches = told
                await stream.begin(batches, version, ended=options.initial is True)
                await _follow(feed, stream, version, options.seconds)
        return response


async def _state(feed: Feed, version: int) -> Told:
    """What there is, no older than ``version``."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_PATIENCE):
            await feed.reach(version)
    if feed.version < version:
        raise too_large_version(version, feed.version)
    return feed.state()


async def _since(feed: Feed, version: int) -> Told | None:
    """What happened since; a version of 0 is now."""
    return await feed.since(version) if version else (feed.version, ())


async def _follow(feed: Feed, stream: _Stream, version: int, seconds: int) -> None:
    """Tell what happens after ``version``, until the time is up, the server goes, or the client is too far behind to be helped.

    The feed goes on while the client reads, so what was told so far is not what the feed knows by now.
    """
    lasting = seconds or _SHORTEST * (1 + random.random())  # noqa: S311 - spreads load, guards nothing
    loop = asyncio.get_running_loop()
    end = loop.time() + lasting
    while not feed.over:
        try:
            async with asyncio.timeout_at(end):
                # With news at hand there is nothing to wait for, and time may be up all the same.
                await asyncio.sleep(0)
                news = await feed.news(version)
        except TimeoutError:
            await stream.end(version)
            return
        if news is None:
            return
        version = max(feed.version, version)
        await stream.tell(news, version)


class _Stream:
    """One client's stream of events."""

    def __init__(self, request: web.Request, response: web.StreamResponse, style: Style, sent: Sent, *, bookmarks: bool) -> None:
        self._sent = sent
        self._request = request
        self._response = response
        self._style = style
        self._bookmarks = bookmarks
        self._marked = time.monotonic()
        # The first Table of a stream defines the columns.
        self._first = style.transform is not None and style.transform.kind == "Table"

    async def begin(self, batches: Sequence[Batch], version: int, *, ended: bool) -> None:
        """Tell the state, or what was missed; ``ended`` says that the client waits for the end of the initial events."""
        await self._send(batches)
        if ended and self._bookmarks:
            await self._bookmark(version, _INITIAL_EVENTS_END)

    async def tell(self, batches: Sequence[Batch], version: int) -> None:
        """Tell what happened up to ``version``."""
        await self._send(batches)
        if self._bookmarks and time.monotonic() - self._marked >= BOOKMARK_EVERY:
            await self._bookmark(version)

    async def end(self, version: int) -> None:
        """Leave the client with the latest version, from which it can go on."""
        if self._bookmarks:
            await self._bookmark(version)

    async def expired(self, version: int) -> None:
        """Tell that nobody knows what happened since ``version``."""
        await self._write(Lines.of([_line("ERROR", expired_version(version).document())]))

    async def _send(self, batches: Sequence[Batch]) -> None:
        for batch in batches:
            first = partial(_event, style=self._style, columns=True) if self._first else None
            self._first = False
            await self._write(batch.encoded(self._style, partial(_event, style=self._style, columns=False), first))

    async def _bookmark(self, version: int, annotations: dict[str, str] | None = None) -> None:
        self._marked = time.monotonic()
        document = bookmark_document(version, annotations or {}, self._style, columns=self._first)
        self._first = False
        await self._write(Lines.of([_line("BOOKMARK", document)]))

    async def _write(self, lines: Lines) -> None:
        await send_part(self._request, self._response, lines.text)
        self._sent(lines.sizes)


def _event(event: Event, style: Style, *, columns: bool) -> bytes:
    return _line(event.kind, object_document(event.row, style, columns=columns))


def _line(kind: str, document: dict[str, Any]) -> bytes:
    return msgspec.json.encode({"type": kind, "object": document}) + b"\n"
