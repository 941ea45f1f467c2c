"""How a server ends: what it tells its clients meanwhile, and the signals that make it.

The order is that of the Kubernetes API servers. Told to stop, the server is no longer ready, and goes on serving for a while, so that
whoever sends requests here learns to send them elsewhere. Then watches end, no connection is accepted any more, and what is under way is
finished. Source: ``k8s.io/apiserver/pkg/server/genericapiserver.go`` and ``signal.go``.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import FrameType

from aiohttp import web

__all__ = ["INTERRUPTED", "Lifecycle", "until_stopped"]

INTERRUPTED = 1
"""The exit code after a second signal, that of the Kubernetes API servers."""

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

logger = logging.getLogger(__name__)


class Lifecycle:
    """Whether the server is going down: ``stopping`` is true from the signal on. Readiness follows it, liveness does not."""

    def __init__(self) -> None:
        self.stopping = False

    def shutdown(self) -> str | None:
        """The readiness check: what is wrong, or None."""
        return "process is shutting down" if self.stopping else None

    async def say_goodbye(self, _request: web.Request, response: web.StreamResponse) -> None:
        """Tell a client that its connection ends with this response, once the server is stopping.

        For ``Application.on_response_prepare``. A client that is told opens its next connection elsewhere; one that is not could send
        its next request just when the connection is closed.
        """
        if self.stopping:
            response.force_close()
            response.headers["Connection"] = "close"


@asynccontextmanager
async def until_stopped(lifecycle: Lifecycle, delay: float = 0, *, exit_on_second: bool = False) -> AsyncIterator[None]:
    """Run the block until SIGTERM, SIGINT or SIGHUP: wherever it is then, it is cancelled, and what it has entered is left in order.

    The block goes on for ``delay`` seconds after the signal. A second signal does not wait for what is under way: it interrupts the
    leaving, or, with ``exit_on_second``, ends the process on the spot with code :data:`INTERRUPTED`.
    """
    loop, task = asyncio.get_running_loop(), asyncio.current_task()

    def stop() -> None:
        logger.info("told to stop: not ready any more, and serving for %g s yet", delay)
        lifecycle.stopping = True
        for number in _SIGNALS:
            loop.remove_signal_handler(number)
            # In the midst of Python. Without the exit, what was started still gets its chance to end.
            signal.signal(number, _exit if exit_on_second else signal.default_int_handler)
        loop.call_later(delay, end)

    def end() -> None:
        logger.info("no connection is accepted any more, watches end, and what is under way is finished")
        if task is not None:
            task.cancel()

    for number in _SIGNALS:
        loop.add_signal_handler(number, stop)
    try:
        yield
    except asyncio.CancelledError:
        if not lifecycle.stopping:
            raise
        if task is not None:
            task.uncancel()
    finally:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)


def _exit(_number: int, _frame: FrameType | None) -> None:
    # No cleaning up: whoever sends a second signal has waited long enough.
    os._exit(INTERRUPTED)
