"""The questions that are watched at the moment, and the polling of them."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Hashable
from contextlib import asynccontextmanager
from contextvars import Context
from functools import partial
from typing import Any, Protocol

from apiservice.result import Result
from apiservice.status import shutting_down
from apiservice.watching.feed import Feed
from metrics_api import TrafficError
from metrics_api.flight import SingleFlight

__all__ = ["Feeds", "Service"]

logger = logging.getLogger(__name__)

_AT_ONCE = 32
"""Polls under way at one time: all questions are due at the same instant, and the sources need not feel it."""

_PATIENCE = 60.0
"""Seconds a poll may take; the next one comes instead of it."""


class Service(Protocol):
    """Whoever knows the answers."""

    async def answer(self, question: Any, instant: int | None = None) -> Result:
        """The answer to a question, as of now or of ``instant`` (Unix seconds). Raises :mod:`metrics_api.errors`."""
        ...


class Feeds:
    """Follows questions: each is asked once in ``refresh`` seconds, for as long as somebody watches it.

    ``clock`` is Unix time; polls come right after its multiples of ``refresh``, which is when there is something new to know.
    """

    def __init__(self, service: Service, refresh: float, clock: Callable[[], float] = time.time) -> None:
        self._service = service
        self._refresh = refresh
        self._clock = clock
        self._feeds: dict[Hashable, tuple[Feed, asyncio.Task[None]]] = {}
        self._starts: SingleFlight[Feed] = SingleFlight()
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._ended = False

    @property
    def questions(self) -> int:
        """How many questions are watched."""
        return len(self._feeds)

    @property
    def watchers(self) -> int:
        """How many watch them."""
        return sum(feed.followers for feed, _ in self._feeds.values())

    @asynccontextmanager
    async def following(self, question: Hashable) -> AsyncIterator[Feed]:
        """The feed of a question, polled for as long as the context lasts.

        Raises what a list would raise now, and a 503 when the server goes: a watch that began now would hold it up.
        """
        feed = await self._feed(question)
        if feed.trouble is not None:
            # Who begins now would take what is long past for the present.
            # Many may come: the error must not keep the traces of them all.
            raise feed.trouble.with_traceback(None)
        feed.followers += 1
        try:
            yield feed
        finally:
            feed.followers -= 1
            if not feed.followers:
                self._drop(question, feed)

    async def end(self, _app: object = None) -> None:
        """Nobody is told anything any more: the server goes. For ``Application.on_shutdown``."""
        self._ended = True
        for question, (feed, _) in list(self._feeds.items()):
            self._drop(question, feed)

    async def _feed(self, question: Hashable) -> Feed:
        while True:
            if self._ended:
                raise shutting_down()
            known = self._feeds.get(question)
            feed = known[0] if known else await self._starts.once(question, partial(self._start, question))
            # Between its start and this moment its last follower may have left.
            if not feed.over:
                return feed

    async def _start(self, question: Hashable) -> Feed:
        ask = partial(self._service.answer, question)
        first = await ask(None)
        if self._ended:
            raise shutting_down()
        feed = Feed(first, ask)
        # What is logged of the polling is about all who watch, not about the request of the first.
        polling = asyncio.create_task(self._poll(question, feed), context=Context())
        self._feeds[question] = feed, polling
        return feed

    def _drop(self, question: Hashable, feed: Feed) -> None:
        known = self._feeds.get(question)
        if known is not None and known[0] is feed:
            del self._feeds[question]
            known[1].cancel()
        feed.end()

    async def _poll(self, question: Hashable, feed: Feed) -> None:
        """Ask again and again. What goes wrong is logged as it begins and as it ends; meanwhile watchers keep what they know."""
        try:
            while True:
                await asyncio.sleep(self._pause(feed))
                try:
                    async with self._turns, asyncio.timeout(_PATIENCE):
                        result = await self._service.answer(question)
                        # Sources may be late, each in its own way: an older answer than the last one is no step back in time.
                        if max(result.instant, self._clock()) + self._refresh < feed.version:
                            # Versions only grow. Who begins afresh is told what is true now.
                            logger.warning("%d watches of %s end: the clock has gone back", feed.followers, question)
                            return
                        await feed.advance(result)
                except (TrafficError, TimeoutError) as error:
                    if feed.trouble is None:
                        logger.warning("%d watchers of %s wait for news: %s", feed.followers, question, error)
                    feed.trouble = error
                else:
                    if feed.trouble is not None:
                        logger.info("%d watchers of %s are told news again", feed.followers, question)
                    feed.trouble = None
        except Exception:
            logger.exception("the watch of %s ends", question)
        finally:
            self._drop(question, feed)

    def _pause(self, feed: Feed) -> float:
        """Seconds until there can be something newer than the feed has."""
        now = self._clock()
        due = max(feed.version, now // self._refresh * self._refresh) + self._refresh
        return min(max(due - now, 0.0), self._refresh) + 0.01
