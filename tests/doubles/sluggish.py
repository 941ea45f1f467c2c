"""A store that takes its time: it answers the queries of the Linkerd dialect when the test lets it, and notices who has not waited."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

__all__ = ["Sluggish", "run_sluggish"]

_TOTALS = "sum by (namespace, deployment, classification) "


@dataclass(slots=True)
class Sluggish:
    """One store. It waits for ``go`` before it answers, with totals of so many ``deployments``.

    Of the queries so far, ``waiting`` are under way and ``given_up`` were not waited for.
    """

    url: str = ""
    deployments: int = 0
    go: asyncio.Event = field(default_factory=asyncio.Event)
    waiting: int = 0
    given_up: int = 0

    async def until(self, holds: Callable[[Sluggish], bool], patience: float = 10) -> None:
        """Waits until something holds of this store; TimeoutError when that takes longer than ``patience`` seconds."""
        async with asyncio.timeout(patience):
            while not holds(self):  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    async def _answer(self, request: web.Request) -> web.Response:
        form = await request.post()
        self.waiting += 1
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.given_up += 1
            raise
        finally:
            self.waiting -= 1
        wanted = str(form["query"]).startswith(_TOTALS)
        result = [_total(number, str(form["time"])) for number in range(self.deployments)] if wanted else []
        return web.json_response({"status": "success", "data": {"resultType": "vector", "result": result}})


def _total(number: int, instant: str) -> dict[str, Any]:
    labels = {"namespace": "shop", "deployment": f"deployment-{number:06}", "classification": "success"}
    return {"metric": labels, "value": [float(instant), str(number)]}


@asynccontextmanager
async def run_sluggish() -> AsyncIterator[Sluggish]:
    """One that is there for as long as the context lasts."""
    store = Sluggish()
    app = web.Application()
    app.router.add_post("/api/v1/query", store._answer)
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        store.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield store
    finally:
        await runner.cleanup()
