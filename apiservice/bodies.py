"""Bodies of answers: encoded once for all who want the same answer in the same form at the same time.

A dashboard on many screens asks one question many times in one refresh, and encoding a list costs more than sending it. A body too large
to keep is made piece by piece while it is sent.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable, Iterator, Mapping, Sequence
from typing import NamedTuple

from aiohttp import web
from multidict import CIMultiDict

from apiservice.encoding import GZIP_ABOVE, accepts_gzip, compress
from apiservice.representation import Style, mark_incomplete
from apiservice.result import Result
from apiservice.sending import Streamed
from apiservice.shortlived import ShortLived
from apiservice.warning import warning_headers
from metrics_api.flight import SingleFlight
from metrics_api.objects import TrafficMetrics

__all__ = ["Bodies"]

_MOST_ROWS = 4_000
"""Rows up to which a body is encoded whole: some 3 MB."""

_KEPT = 16 * 1024 * 1024
"""Bytes that bodies may hold together, with the rows they are of."""

_ROW = 1024
"""Bytes a row takes, about; of a list that is compressed the rows are the larger part by far."""

_LONGEST = 10.0
"""Seconds a body is kept: later there is a newer answer."""

Represent = Callable[[Sequence[TrafficMetrics]], Iterator[bytes]]


class _Kept(NamedTuple):
    rows: Sequence[TrafficMetrics]
    body: bytes


class Bodies:
    """Makes responses of answers. ``clock`` gives seconds that only grow."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._kept: ShortLived[Hashable, _Kept] = ShortLived(_KEPT, _LONGEST, _size, clock)
        self._flights: SingleFlight[bytes] = SingleFlight()

    async def response(
        self, about: Hashable, result: Result, style: Style, represent: Represent, headers: Mapping[str, str]
    ) -> web.StreamResponse:
        """The response that holds ``result`` as ``represent`` writes it.

        ``about`` tells everything that its form depends on beside the rows; ``headers`` are those of the request.
        """
        answer = CIMultiDict({"Content-Type": style.encoding.value})
        for value in warning_headers(result.warnings):
            answer.add("Warning", value)
        gzip = accepts_gzip(headers)
        if len(result.rows) > _MOST_ROWS:
            answer["Vary"] = "Accept-Encoding"
            rows = mark_incomplete(result.rows) if result.incomplete else result.rows
            return Streamed(represent(rows), answer, gzip=gzip)
        body = await self._body(about, result, represent)
        if len(body) > GZIP_ABOVE:
            answer["Vary"] = "Accept-Encoding"
            if gzip:
                answer["Content-Encoding"] = "gzip"
                body = await self._compressed(about, result, body)
        return web.Response(body=body, headers=answer)

    async def _body(self, about: Hashable, result: Result, represent: Represent) -> bytes:
        rows = mark_incomplete(result.rows) if result.incomplete else result.rows
        return await self._once(("plain", about), result, lambda: _gather(represent(rows)))

    async def _compressed(self, about: Hashable, result: Result, body: bytes) -> bytes:
        return await self._once(("gzip", about), result, lambda: asyncio.to_thread(compress, body))

    async def _once(self, about: Hashable, result: Result, make: Callable[[], Awaitable[bytes]]) -> bytes:
        key = about, result.instant, result.incomplete
        kept = self._kept.get(key)
        # Of one instant there may have been two answers. Comparing the same rows takes no longer than counting them.
        if kept is not None and kept.rows == result.rows:
            return kept.body
        body = await self._flights.once((key, id(result.rows)), make)
        if _size(made := _Kept(result.rows, body)) < _KEPT:
            self._kept[key] = made
        return body


def _size(kept: _Kept) -> int:
    return len(kept.body) + _ROW * len(kept.rows)


async def _gather(parts: Iterator[bytes]) -> bytes:
    """The parts joined; others get their turn after each."""
    body = []
    for part in parts:
        body.append(part)
        await asyncio.sleep(0)
    return b"".join(body)
