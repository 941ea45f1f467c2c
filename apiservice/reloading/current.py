"""The sources that are in force: they answer, and others may take their place while they are asked.

Sources that are written as before go on as they are, with what they have in memory, and with what is known of how they have been. What
is being asked of those that leave is answered by them, before they are closed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from typing import Protocol, Self

from apiservice.federation.clusters import Clusters
from apiservice.federation.fanouts import Federation
from apiservice.question import Question
from apiservice.result import Result
from apiservice.sources.health import SourceHealth
from metrics_api import Backend, Source

__all__ = ["Changes", "CurrentSources", "Follower"]

_FAREWELL = 65.0
"""Seconds that questions to sources that leave may take to be answered; more than a request may take."""

_CLOSING = 10.0
"""Seconds one source may take to close: nobody waits for it, but others come after it."""

logger = logging.getLogger(__name__)


class Follower(Protocol):
    """Whoever has something to do when other sources come into force."""

    def follow(self, sources: Sequence[Source]) -> None:
        """These are in force from now on."""

    def forget(self, name: str) -> None:
        """The source of that name is closed, and none of its name is left."""


@dataclass(frozen=True, slots=True)
class Changes:
    """What became of the sources, by their names; nothing is said of those that are as they were."""

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()

    def __str__(self) -> str:
        parts = [(word, names) for word in ("added", "changed", "removed") if (names := getattr(self, word))]
        return "; ".join(f"{word}: {', '.join(names)}" for word, names in parts) or "the sources are as they were"


class _Generation:
    """Sources that are in force together, and how many questions they are being asked."""

    def __init__(self, sources: Sequence[Source], federation: Federation, service: Clusters) -> None:
        self.sources = tuple(sources)
        self.federation = federation
        self.service = service
        self._users = 0
        self._idle = asyncio.Event()
        self._idle.set()

    @contextmanager
    def used(self) -> Iterator[None]:
        """Note that a question is under way meanwhile."""
        self._users += 1
        self._idle.clear()
        try:
            yield
        finally:
            self._users -= 1
            if not self._users:
                self._idle.set()

    async def idle(self) -> None:
        """Wait until nothing is under way."""
        await self._idle.wait()


class CurrentSources:
    """Answers questions out of the sources in force; made by :meth:`opened`.

    ``federate`` makes one of sources that are open, and ``serve`` whoever answers for it.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        federate: Callable[[Sequence[Source]], Federation],
        serve: Callable[[Federation], Clusters],
        followers: Sequence[Follower],
    ) -> None:
        self._federate = federate
        self._serve = serve
        self._followers = tuple(followers)
        self._open: list[Backend] = []
        self._now = self._generation(sources)

    @classmethod
    @asynccontextmanager
    async def opened(
        cls,
        sources: Sequence[Source],
        federate: Callable[[Sequence[Source]], Federation],
        serve: Callable[[Federation], Clusters],
        followers: Sequence[Follower] = (),
    ) -> AsyncIterator[Self]:
        """With ``sources`` in force to begin with; whatever is open at the end is closed."""
        current = cls(sources, federate, serve, followers)
        try:
            await current._enter([source.backend for source in sources])
            for follower in followers:
                follower.follow(sources)
            yield current
        finally:
            await current._now.federation.close()
            await current._close(list(current._open))

    @property
    def sources(self) -> tuple[Source, ...]:
        """Those in force."""
        return self._now.sources

    @property
    def home(self) -> str:
        """The name of the cluster of the server, empty if it has none."""
        return self._now.federation.home

    async def answer(self, question: Question, instant: int) -> Result:
        """See :meth:`apiservice.federation.clusters.Clusters.answer`."""
        generation = self._now
        with generation.used():
            return await generation.service.answer(question, instant)

    def trouble(self, source: str) -> str | None:
        """Why the last question a source was asked failed; None when it did not, or none was asked yet."""
        return self._now.federation.trouble(source)

    def health(self, source: str) -> SourceHealth:
        """How a source has been."""
        return self._now.federation.health(source)

    async def take(self, sources: Sequence[Source]) -> Changes:
        """Put ``sources`` into force in place of those that are, and close these once they have answered what they are being asked.

        What cannot be opened raises its error, and all stays as it was.
        """
        before = {source.name: source for source in self._now.sources}
        members = [_as_it_was(source, before.get(source.name)) for source in sources]
        newcomers = [member.backend for member in members if member.backend not in self._open]
        await self._enter(newcomers)
        coming = self._generation(members)
        coming.federation.succeed(self._now.federation)
        leaving, self._now = self._now, coming
        for follower in self._followers:
            follower.follow(members)
        await self._retire(leaving)
        gone = [name for name in before if name not in {member.name for member in members}]
        for name in gone:
            for follower in self._followers:
                follower.forget(name)
        return Changes(
            tuple(member.name for member in members if member.name not in before),
            tuple(member.name for member in members if member.name in before and member != before[member.name]),
            tuple(gone),
        )

    def _generation(self, sources: Sequence[Source]) -> _Generation:
        federation = self._federate(sources)
        return _Generation(sources, federation, self._serve(federation))

    async def _enter(self, backends: Sequence[Backend]) -> None:
        """Open all at the same time, since some wait for a store that does not answer; or none, when one cannot be opened."""
        entered: list[Backend] = []

        async def enter(backend: Backend) -> None:
            await backend.__aenter__()
            entered.append(backend)

        try:
            outcomes = await asyncio.gather(*map(enter, backends), return_exceptions=True)
        except BaseException:
            await self._close(entered)
            raise
        if (failed := next(filter(None, outcomes), None)) is not None:
            await self._close(entered)
            raise failed
        self._open += entered

    async def _retire(self, leaving: _Generation) -> None:
        try:
            async with asyncio.timeout(_FAREWELL):
                await leaving.idle()
        except TimeoutError:
            logger.warning("sources that are not configured any more are closed while they are being asked")
        finally:
            await leaving.federation.close()
            staying = [source.backend for source in self._now.sources]
            await self._close([backend for backend in self._open if backend not in staying])

    async def _close(self, backends: Sequence[Backend]) -> None:
        for backend in reversed(backends):
            try:
                async with asyncio.timeout(_CLOSING):
                    await backend.__aexit__(None, None, None)
            except Exception:
                logger.exception('source "%s" could not be closed', backend.name)
            if backend in self._open:
                self._open.remove(backend)


def _as_it_was(source: Source, before: Source | None) -> Source:
    """A source with the backend it had before, where nothing else is written of it: then it need not begin anew."""
    if before is None or not source.written or source.written != before.written:
        return source
    return replace(source, backend=before.backend)
