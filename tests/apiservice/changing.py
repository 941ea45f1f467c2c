"""A service whose answers change when a test says so, and which remembers what they were."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient

from apiservice.app import AppOptions
from apiservice.question import Question, fields_of
from apiservice.result import Result
from metrics_api import ResourceRef, TrafficMetrics, Window
from tests.apiservice.asking import SHOP, client
from tests.apiservice.memory import SHOP_API, SHOP_WEB, total

__all__ = ["API", "CART", "DEPLOYMENTS", "STREAMING", "WATCH", "WEB", "Changing", "Stream", "listed", "moved", "served", "watching"]

DEPLOYMENTS = f"{SHOP}/deployments"
WATCH = f"{DEPLOYMENTS}?watch=true"
STREAMING = f"{WATCH}&sendInitialEvents=true&resourceVersionMatch=NotOlderThan"

API = total(SHOP_API, 90, 10, 8_000)
WEB = total(SHOP_WEB, 54, 6)
CART = total(ResourceRef("Deployment", "shop", "cart"), 20, 0)


@dataclass
class Changing:
    """The service. Each question about now gets the next instant; ``asked`` lists the instants asked for, None for now."""

    rows: tuple[TrafficMetrics, ...]
    instant: int = field(default_factory=lambda: int(time.time()) - 200)
    failure: Exception | None = None
    incomplete: bool = False
    window: Window = Window(30)
    asked: list[int | None] = field(default_factory=list)
    history: dict[int, tuple[TrafficMetrics, ...]] = field(default_factory=dict)
    polled: asyncio.Event = field(default_factory=asyncio.Event)

    async def answer(self, question: Question, instant: int | None = None) -> Result:
        """The rows as they are, or were."""
        self.asked.append(instant)
        self.polled.set()
        if self.failure is not None:
            raise self.failure
        if instant is None:
            instant = self.instant = self.instant + 1
            self.history[instant] = tuple(replace(row, instant=instant) for row in self.rows)
        known = max((known for known in self.history if known <= instant), default=None)
        rows = self.history[known] if known is not None else ()
        kept = [row for row in rows if question.labels.matches(row.labels) and question.fields.matches(fields_of(row))]
        return Result(tuple(kept), instant, self.window, incomplete=self.incomplete)

    async def polls(self, count: int = 2) -> None:
        """Wait until it was asked so many times more."""
        for _ in range(count):
            self.polled.clear()
            async with asyncio.timeout(10):
                await self.polled.wait()


class Stream:
    """The events of one watch."""

    def __init__(self, response: ClientResponse) -> None:
        self.response = response

    async def next(self) -> dict[str, Any]:
        """The next event."""
        async with asyncio.timeout(10):
            line = await self.response.content.readline()
        assert line.endswith(b"\n"), "the watch has ended"
        event: dict[str, Any] = json.loads(line)
        return event

    async def told(self, count: int) -> list[tuple[str, str]]:
        """Type and name of the next events."""
        events = [await self.next() for _ in range(count)]
        return [(event["type"], event["object"]["metadata"].get("name", "")) for event in events]

    async def quiet(self, seconds: float = 0.3) -> bool:
        """Whether nothing is told for so long."""
        try:
            async with asyncio.timeout(seconds):
                await self.response.content.readline()
        except TimeoutError:
            return True
        return False

    async def ended(self) -> bool:
        """Whether the stream ends in order, with nothing told before."""
        async with asyncio.timeout(10):
            return not await self.response.content.read()


@asynccontextmanager
async def watching(session: TestClient[Any, Any], path: str, **headers: str) -> AsyncIterator[Stream]:
    """A watch that has begun."""
    async with session.get(path, headers=headers) as response:
        assert response.status == 200, await response.text()
        yield Stream(response)


def moved(rows: Sequence[TrafficMetrics], name: str, **values: int) -> tuple[TrafficMetrics, ...]:
    """The rows, one of them with other values."""
    return tuple(replace(row, **values) if row.name == name else row for row in rows)


@asynccontextmanager
async def served(service: Changing, refresh: float = 0.05) -> AsyncIterator[TestClient[Any, Any]]:
    """A server of ``service``, asked again every ``refresh`` seconds for what is watched."""
    async with client(service, options=AppOptions("0.1.0", refresh=refresh)) as session:
        yield session


async def listed(session: TestClient[Any, Any]) -> str:
    """The version of a list."""
    async with session.get(DEPLOYMENTS) as response:
        version: str = (await response.json())["metadata"]["resourceVersion"]
        return version
