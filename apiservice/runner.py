"""What is not HTTP is answered, too: with a Status, and without repeating or logging what was sent.

aiohttp answers a request it cannot parse before any application sees it: as text that quotes the offending bytes, which may be a
credential, and with a traceback in the log for anybody who cares to send garbage. :class:`Runner` is its ``AppRunner`` with other
manners.
"""

from __future__ import annotations

import logging
import uuid

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError, LineTooLong
from aiohttp.web_protocol import RequestHandler
from aiohttp.web_request import BaseRequest

from apiservice.encoding import encode
from apiservice.negotiate import Encoding
from apiservice.status import StatusError, status_for

__all__ = ["Runner"]

_LOG = logging.getLogger(__name__)


class Runner(web.AppRunner):
    """Runs an application; takes the arguments of :class:`aiohttp.web.AppRunner`."""

    __slots__ = ()

    async def _make_server(self) -> web.Server:
        made = await super()._make_server()
        return _Server(
            made.request_handler,
            request_factory=made.request_factory,
            handler_cancellation=made.handler_cancellation,
            **made._kwargs,  # noqa: SLF001  what the runner was given, which a server tells nobody else
        )


class _Server(web.Server):
    def __call__(self) -> RequestHandler:
        return _Connection(self, loop=self._loop, **self._kwargs)


class _Connection(RequestHandler):
    __slots__ = ()

    def handle_error(
        self, request: BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """The answer to what is no request, or to an error no handler caught; the connection is closed after it."""
        if request.writer.output_size > 0:
            raise ConnectionError("the answer has begun already, no other can be sent")
        audit_id = str(uuid.uuid4())
        if isinstance(exc, HttpProcessingError):
            failure = _unreadable(exc)
            _LOG.info("a request from %s is not HTTP this server reads: %s", request.remote, failure.message)
        else:
            failure = status_for(exc if isinstance(exc, Exception) else RuntimeError(message), None, audit_id)
            _LOG.error("a request failed with %d, audit ID %s", status, audit_id, exc_info=exc)
        response = web.Response(
            status=failure.code,
            body=encode(failure.document(), Encoding.JSON),
            headers={
                "Content-Type": Encoding.JSON.value,
                "Cache-Control": "no-cache, private",
                "Audit-Id": audit_id,
                **failure.headers(),
            },
        )
        response.force_close()
        return response


def _unreadable(error: HttpProcessingError) -> StatusError:
    """What is wrong, in words of our own: those of the parser quote the request."""
    if isinstance(error, LineTooLong):
        return StatusError(431, "a header field or the request line is longer than this server accepts")
    if "Too many headers" in error.message:
        return StatusError(431, "the request has more header fields than this server accepts")
    return StatusError(400, "the request is not valid HTTP/1.1")
