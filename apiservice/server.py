"""The running server: its sockets, what keeps it fresh, and how it ends."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import ExitStack, asynccontextmanager
from functools import partial
from typing import Any

from aiohttp import web

from apiservice.handshakes import Doorstep
from apiservice.listeners import bind
from apiservice.runner import Runner
from apiservice.serving import SERVER_LIMITS
from metrics_api import BadConfiguration

__all__ = ["LOOPBACK", "background", "forever", "listening"]

LOOPBACK = "127.0.0.1"

_DRAIN = 60.0
"""Seconds that requests under way have to finish; the longest an answer may take."""

_HANDSHAKE = 32.0
"""Seconds a TLS handshake may take, as long as the request after it: what the Kubernetes API servers allow."""

_CLOSING = 10.0
"""Seconds a client has to agree to the end of a TLS connection."""


@asynccontextmanager
async def listening(
    app: web.Application,
    address: str,
    port: int,
    tls: ssl.SSLContext | None,
    handshake_failed: Callable[[], None] = lambda: None,
) -> AsyncIterator[int]:
    """Serve ``app`` on an address, and yield the port; at the end no new connections are taken and requests under way finish.

    ``0.0.0.0`` and ``::`` are all addresses, of both families.
    ``handshake_failed`` is called for every connection that is lost before its TLS handshake is complete. Port 0 takes a free one.
    Raises :class:`metrics_api.errors.BadConfiguration` when the address cannot be listened on.
    """
    # A client that goes away stops its question, so that no source is asked for an answer nobody reads.
    runner = Runner(app, access_log=None, handler_cancellation=True, shutdown_timeout=_DRAIN, **SERVER_LIMITS)
    await runner.setup()
    try:
        serve: Any = runner.server
        async with _sockets(partial(Doorstep, serve, handshake_failed) if tls else serve, address, port, tls) as bound:
            yield bound
    finally:
        await runner.cleanup()


@asynccontextmanager
async def _sockets(protocol: Any, address: str, port: int, tls: ssl.SSLContext | None) -> AsyncIterator[int]:
    """Listen, and yield the port. A site of aiohttp cannot be told how long a handshake may take."""
    loop = asyncio.get_running_loop()
    with ExitStack() as stack:
        try:
            bound = bind(address, port)
            for each in bound:
                # What a server has taken is closed by it; to close it once more is nothing.
                stack.callback(each.close)
            for each in bound:
                server = await loop.create_server(
                    protocol,
                    sock=each,
                    ssl=tls,
                    backlog=1024,
                    ssl_handshake_timeout=_HANDSHAKE if tls else None,
                    ssl_shutdown_timeout=_CLOSING if tls else None,
                )
                stack.callback(server.close)
        except OSError as error:
            # The text of the error itself repeats the address.
            reason = os.strerror(error.errno) if error.errno else str(error)
            raise BadConfiguration([f"cannot listen on {address} port {port}: {reason}; is another server there?"]) from error
        yield int(bound[0].getsockname()[1])


@asynccontextmanager
async def background(chores: Sequence[Callable[[], Awaitable[None]]]) -> AsyncIterator[None]:
    """Run endless chores meanwhile; one that fails ends the server with its error, because it would go blind without it."""

    async def run(chore: Callable[[], Awaitable[None]]) -> None:
        await chore()

    failed: Exception | None = None
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(run(chore)) for chore in chores]
            try:
                yield
            except Exception as error:
                failed = error
                raise
            finally:
                for task in tasks:
                    task.cancel()
    except BaseExceptionGroup:
        # What went wrong in the block has nothing to do with the chores.
        if failed is not None:
            raise failed from None
        raise


async def forever() -> None:
    """Wait until cancelled."""
    await asyncio.Event().wait()
