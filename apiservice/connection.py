"""One connection: what it may take in memory and time, and what it is answered when what it sends is not HTTP.

aiohttp waits for ever for the rest of a request and for a client to read its answer, and would hold 256 MB of headers for one request.
It answers what it cannot parse as text that quotes the offending bytes, which may be a credential, and logs a traceback for anybody who
cares to send garbage. :class:`Connection` has the limits of a Go server and other manners.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError, LineTooLong, TransferEncodingError
from aiohttp.http_parser import HttpParser, RawRequestMessage
from aiohttp.streams import EMPTY_PAYLOAD
from aiohttp.web_protocol import RequestHandler
from aiohttp.web_request import BaseRequest

from apiservice.encoding import encode
from apiservice.envelope import audit_id as id_of
from apiservice.logs import REQUESTS, about, fields
from apiservice.negotiate import Encoding
from apiservice.status import StatusError, status_for

__all__ = ["Bounds", "Connection", "HeadTooLarge"]

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a client may take.

    ``head_size`` is in bytes, of a request line and its headers together; ``head_time`` the seconds from the first moment of a
    connection, or from the first byte of a later request, until they are complete. ``unread_size`` is how many bytes wait for a client
    to read before nothing more is handed over, and ``unread_time`` how many seconds they may wait. The first two are those of the
    Kubernetes API servers (``k8s.io/apiserver/pkg/server/secure_serving.go``, and Go's ``http.DefaultMaxHeaderBytes``).
    """

    head_size: int = 1024 * 1024
    head_time: float = 32.0
    unread_size: int = 32 * 1024
    unread_time: float = 30.0


class HeadTooLarge(HttpProcessingError):
    """A request line and headers that together take more than they may."""

    code = 431


class Connection(RequestHandler):
    """The protocol of one connection of ``manager``; further arguments are those of aiohttp's. ``closed`` is done when it is lost."""

    __slots__ = ("_bounds", "_head", "_head_timer", "_unread_timer", "_wire", "closed")

    def __init__(self, manager: web.Server, bounds: Bounds, **kwargs: Any) -> None:
        super().__init__(manager, **kwargs)
        self._bounds = bounds
        # Requests that are sent ahead wait with all their headers. No client of an API server sends any, and 32 could take 32 MiB.
        self._max_msg_queue_size, self._msg_queue_resume_size = 2, 1
        self.closed: asyncio.Future[None] = self._loop.create_future()
        self._wire: asyncio.Transport | None = None
        self._head_timer = _Timer(self._loop, bounds.head_time)
        self._unread_timer = _Timer(self._loop, bounds.unread_time)
        self._head = _Head(self._parser, bounds.head_size)
        self._parser = cast("HttpParser[RawRequestMessage]", self._head)

    # Requests that are never complete

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait for the first request."""
        super().connection_made(transport)
        # aiohttp forgets a transport it has told to close, though a client that does not read can keep it open.
        self._wire = wire = cast("asyncio.Transport", transport)
        # Over TLS it would be 512 KiB.
        wire.set_write_buffer_limits(high=self._bounds.unread_size)
        self._head_timer.start(self._drop)

    def data_received(self, data: bytes) -> None:
        """Take in some bytes, and wait for the rest when they begin a head."""
        super().data_received(data)
        if self._head.broken:
            self._head.broken = False
            # Whoever reads the body answers, and that is the last answer here.
            self._messages.pop()
            self.close()
        if self._head.complete:
            self._head_timer.stop()
        else:
            self._head_timer.start(self._drop)

    # Answers that are never read

    def pause_writing(self) -> None:
        """Begin to wait for the client to read."""
        super().pause_writing()
        self._unread_timer.start(self._cut_off)

    def resume_writing(self) -> None:
        """Go on: the client has read."""
        super().resume_writing()
        self._unread_timer.stop()

    def _cut_off(self) -> None:
        told = {"srcIP": self.peername, "seconds": self._bounds.unread_time}
        _LOG.log(REQUESTS, "a connection is dropped: nobody has read there what was sent", extra=fields(told))
        self._drop()

    def _drop(self) -> None:
        # To close it would be to wait until the client has read what is left.
        if self._wire is not None:
            self._wire.abort()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Wait for nothing any more."""
        self._head_timer.stop()
        self._unread_timer.stop()
        self._wire = None
        self._head.forget()
        if not self.closed.done():
            self.closed.set_result(None)
        super().connection_lost(exc)

    # Requests that are none

    def handle_error(
        self, request: BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """The answer to what is no request, or to an error no handler caught; the connection is closed after it."""
        if request.writer.output_size > 0:
            raise ConnectionError("the answer has begun already, no other can be sent")
        audit_id = id_of(request) if isinstance(request, web.Request) else str(uuid.uuid4())
        with about(audit_id):
            if isinstance(exc, HttpProcessingError):
                failure = _unreadable(exc)
                told = {"srcIP": request.remote, "resp": failure.code, "reason": failure.message}
                _LOG.log(REQUESTS, "a request is not HTTP this server reads", extra=fields(told))
            else:
                failure = status_for(exc if isinstance(exc, Exception) else RuntimeError(message), None, audit_id)
                _LOG.error("a request failed", exc_info=exc, extra=fields({"resp": status}))
        response = web.Response(
            status=failure.code,
            body=encode(failure.document(), Encoding.JSON),
            headers={
                "Content-Type": Encoding.JSON.value,
                "Cache-Control": "no-cache, private",
                "Audit-Id": audit_id,
                "Server": "trafficmetrics",
                **failure.headers(),
            },
        )
        response.force_close()
        return response


class _Timer:
    __slots__ = ("_handle", "_loop", "_seconds")

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float) -> None:
        self._loop = loop
        self._seconds = seconds
        self._handle: asyncio.TimerHandle | None = None

    def start(self, action: Callable[[], None]) -> None:
        """Run, from now on, and call ``action`` when the time is up; or go on running."""
        if self._handle is None:
            self._handle = self._loop.call_later(self._seconds, action)

    def stop(self) -> None:
        """Run no more."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None


class _Head:
    """Stands before aiohttp's parser and measures what is not a whole request line with all its headers yet.

    ``broken`` says that what could not be read is a body, and that its reader has been told. aiohttp's parser does not tell, and the
    reader would wait until its deadline.
    """

    __slots__ = ("_limit", "_parser", "_payload", "_size", "broken")

    def __init__(self, parser: Any, limit: int) -> None:
        self._parser = parser
        self._limit = limit
        self._payload = EMPTY_PAYLOAD
        self._size = 0
        self.broken = False

    @property
    def complete(self) -> bool:
        """No head has begun that has not ended."""
        return self._size == 0

    def feed_data(self, data: bytes) -> tuple[Any, bool, bytes]:
        """What the parser makes of the bytes; raises :class:`HeadTooLarge` instead when they are too many."""
        if not self._payload.is_eof():
            # The rest of a body. A head that begins in the same bytes is measured from the next on.
            size = 0
        elif (size := self._size + len(data)) > self._limit:
            raise HeadTooLarge
        try:
            messages, upgraded, rest = self._parser.feed_data(data)
        except HttpProcessingError as error:
            if not self._payload.is_eof():
                self._payload.set_exception(TransferEncodingError("the body of a request is no HTTP"), error)
                self._payload.feed_eof()
                self.broken = True
            raise
        if messages:
            self._payload, size = messages[-1][1], 0
        self._size = size
        return messages, upgraded, rest

    def forget(self) -> None:
        """Let go of the parser, which knows its connection: memory is free at once where nothing goes in circles."""
        self._parser = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._parser, name)


def _unreadable(error: HttpProcessingError) -> StatusError:
    """What is wrong, in words of our own: those of the parser quote the request."""
    if isinstance(error, HeadTooLarge):
        return StatusError(431, "the request line and the header fields together are longer than this server accepts")
    if isinstance(error, LineTooLong):
        return StatusError(431, "a header field or the request line is longer than this server accepts")
    if "Too many headers" in error.message:
        return StatusError(431, "the request has more header fields than this server accepts")
    return StatusError(400, "the request is not valid HTTP/1.1")
