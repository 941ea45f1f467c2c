"""The running server: its sockets, what keeps it fresh, and how it ends."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

from aiohttp import web

from apiservice.runner import Runner
from apiservice.serving import SERVER_LIMITS
from metrics_api import BadConfiguration

__all__ = ["LOOPBACK", "Lifecycle", "background", "forever", "listening", "until_stopped"]

LOOPBACK = "127.0.0.1"

_DRAIN = 60.0
"""Seconds that requests under way have to finish; the longest an answer may take."""

logger = logging.getLogger(__name__)


class Lifecycle:
    """Whether the server is going down; readiness follows it, liveness does not."""

    def __init__(self) -> None:
        self.stopping = False

    def shutdown(self) -> str | None:
        """The readiness check: what is wrong, or None."""
        return "process is shutting down" if self.stopping else None


@asynccontextmanager
async def listening(app: web.Application, address: str, port: int, tls: ssl.SSLContext | None) -> AsyncIterator[int]:
    """Serve ``app`` on a socket, and yield its port; at the end no new connections are taken and requests under way finish.

    Port 0 takes a free one. Raises :class:`metrics_api.errors.BadConfiguration` when the address cannot be listened on.
    """
    # A client that goes away stops its question, so that no source is asked for an answer nobody reads.
    runner = Runner(app, handle_signals=False, access_log=None, handler_cancellation=True, shutdown_timeout=_DRAIN, **SERVER_LIMITS)
    await runner.setup()
    try:
        site = web.TCPSite(runner, address, port, ssl_context=tls, backlog=1024)
        try:
            await site.start()
        except OSError as error:
            # The text of the error itself repeats the address.
            reason = os.strerror(error.errno) if error.errno else str(error)
            raise BadConfiguration([f"cannot listen on {address} port {port}: {reason}; is another server there?"]) from error
        yield next(int(bound[1]) for bound in runner.addresses)
    finally:
        await runner.cleanup()


@asynccontextmanager
async def background(chores: Sequence[Callable[[], Awaitable[None]]]) -> AsyncIterator[None]:
    """Run endless chores meanwhile; one that fails ends the server with its error, because it would go blind without it."""

    async def run(chore: Callable[[], Awaitable[None]]) -> None:
        await chore()

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(run(chore)) for chore in chores]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()


@asynccontextmanager
async def until_stopped(lifecycle: Lifecycle, delay: int = 0) -> AsyncIterator[None]:
    """Run the block until SIGTERM, SIGINT or SIGHUP: wherever it is then, it is cancelled, and what it has entered is left in order.

    The block goes on for ``delay`` seconds after the signal, not ready any more, so that whoever sends requests here learns to send
    them elsewhere. A second signal does not wait for what is under way: it interrupts the leaving, too.
    """
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    signals = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

    def stop() -> None:
        logger.info("told to stop: finishing what is under way")
        lifecycle.stopping = True
        for number in signals:
            loop.remove_signal_handler(number)
            # In the midst of Python: what was started still gets its chance to end.
            signal.signal(number, signal.default_int_handler)
        if task is not None:
            loop.call_later(delay, task.cancel)

    for number in signals:
        loop.add_signal_handler(number, stop)
    try:
        yield
    except asyncio.CancelledError:
        if not lifecycle.stopping:
            raise
        if task is not None:
            task.uncancel()
    finally:
        for number in signals:
            loop.remove_signal_handler(number)


async def forever() -> None:
    """Wait until cancelled."""
    await asyncio.Event().wait()
