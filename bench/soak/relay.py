"""Something between the server and a store: it passes on, or is slow, fails, breaks off and hangs up; and it wants to see a token."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import aiohttp
from aiohttp import web
from processes import LOOPBACK

__all__ = ["MOODS", "Relay", "relay"]

MOODS = ("slow", "fail", "garbage", "half", "drop", "hang", "refuse")
_LATE = 2.0
_PATIENCE = 30.0


class Relay:
    """Passes on what arrives at ``url`` to ``target``. The token to show is in ``token_file``; the one before it is still good."""

    def __init__(self, target: str, token_file: Path) -> None:
        self.url = ""
        self.mood = "work"
        self.token_file = token_file
        self.asked: Counter[str] = Counter()
        self._target = target
        self._good: list[str] = []
        self._number = 0
        self._changed = asyncio.Event()
        self.rotate()
        self._session = aiohttp.ClientSession(auto_decompress=False, timeout=aiohttp.ClientTimeout(total=_PATIENCE))

    def feel(self, mood: str) -> None:
        """Be in one of the ``MOODS``, or ``work``."""
        self.mood = mood
        self._changed.set()
        self._changed = asyncio.Event()

    def rotate(self) -> None:
        """Write another token into the file, as whoever rotates a Secret does."""
        self._number += 1
        self._good = [*self._good, f"token-{self._number}"][-2:]
        fresh = self.token_file.with_suffix(".next")
        fresh.write_text(self._good[-1], encoding="utf-8")
        fresh.replace(self.token_file)

    async def close(self) -> None:
        """Let go of everybody."""
        self.feel("work")
        await self._session.close()

    async def pass_on(self, request: web.Request) -> web.StreamResponse:
        """One question."""
        body, mood = await request.read(), self.mood
        self.asked[mood] += 1
        if request.headers.get("Authorization", "").removeprefix("Bearer ") not in self._good:
            self.asked["without a good token"] += 1
            return web.Response(status=401, text="show a good token")
        if mood == "hang":
            await self._changed.wait()
        if mood == "slow":
            await asyncio.sleep(_LATE)
        if mood in ("fail", "refuse"):
            return web.Response(status=503 if mood == "fail" else 403, text=f"told to {mood}")
        if mood == "garbage":
            return web.Response(body=b"\x1f\x8b<html>" * 50, content_type="application/json")
        if mood == "half":
            return web.Response(text='{"status":"success","data":{"resultType":"vector","result":[{"metric"')
        if mood != "drop":
            with suppress(aiohttp.ClientError, TimeoutError):
                return await self._ask(request, body)
        if request.transport is not None:
            request.transport.abort()
        return web.Response(status=502)

    async def _ask(self, request: web.Request, body: bytes) -> web.Response:
        headers = {name: request.headers[name] for name in ("Content-Type", "Accept", "Accept-Encoding") if name in request.headers}
        async with self._session.request(request.method, self._target + request.path_qs, data=body, headers=headers) as answer:
            kept = {name: answer.headers[name] for name in ("Content-Type", "Content-Encoding") if name in answer.headers}
            return web.Response(status=answer.status, body=await answer.read(), headers=kept)


@asynccontextmanager
async def relay(target: str, token_file: Path) -> AsyncIterator[Relay]:
    """One to ``target``, on a free port of loopback."""
    made = Relay(target, token_file)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", made.pass_on)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
    await runner.setup()
    try:
        await web.TCPSite(runner, LOOPBACK, 0).start()
        made.url = f"http://{LOOPBACK}:{runner.addresses[0][1]}"
        yield made
    finally:
        await made.close()
        await runner.cleanup()
