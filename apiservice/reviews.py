"""Reviews: what this server asks kube-apiserver about tokens and permissions, because only kube-apiserver can know.

Both kinds are asked often, by many at once, and of a server that may be restarting. So answers live for ten seconds, equal questions
are asked once, and a failure that calls for another try gets one. Times are those of Kubernetes' own delegating servers
(``k8s.io/apiserver``: pkg/server/options/authentication.go, pkg/util/webhook/webhook.go).
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

from cachetools import TTLCache

from apiservice.clock import Clock
from apiservice.kube import KubeError
from metrics_api.flight import SingleFlight

__all__ = ["LIFETIME", "Observer", "Reviewer", "Reviews"]

LIFETIME = 10.0
"""Seconds an answer is believed, whether good or bad: how long a revoked right or token still works here."""

_TRIES = 5
_FIRST_PAUSE = 0.5
_GROWTH = 1.5
_JITTER = 0.2

Status = Mapping[str, Any]


class Reviewer(Protocol):
    """Whom reviews are posted to."""

    async def post_json(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """The document kube-apiserver answers; raises :class:`apiservice.kube.KubeError`."""
        ...


class Observer:
    """Whom :class:`Reviews` tell what they do, so that it can be counted; this one does not care."""

    def posted(self, code: str, seconds: float) -> None:
        """A call has ended; ``code`` is that of HTTP, or ``<error>`` when there was no answer."""

    def held(self, seconds: float) -> None:
        """A review was remembered, and found in so many seconds."""

    def waiting(self) -> AbstractContextManager[None]:
        """None is remembered: somebody waits for one meanwhile."""
        return nullcontext()

    def asking(self) -> AbstractContextManager[None]:
        """A review is asked for meanwhile, on behalf of all who wait for it."""
        return nullcontext()


class Reviews:
    """Reviews of one kind, posted to ``path``. At most ``capacity`` answers are remembered; ``deadline`` is in seconds."""

    def __init__(
        self,
        kube: Reviewer,
        path: str,
        clock: Clock,
        capacity: int,
        deadline: float = 10.0,
        observer: Observer | None = None,
    ) -> None:
        self._observer = observer or Observer()
        self._kube = kube
        self._path = path
        self._clock = clock
        self._deadline = deadline
        self._remembered: TTLCache[bytes, Status] = TTLCache(capacity, LIFETIME, clock.monotonic)
        self._flights: SingleFlight[Status] = SingleFlight()

    async def status(self, key: bytes, document: Mapping[str, Any], keep: Callable[[Status], bool]) -> Status:
        """The ``status`` of the review of ``document``; remembered under ``key`` if ``keep`` says so.

        Raises :class:`apiservice.kube.KubeError` when there is none within the deadline, retries included. Errors are never remembered.
        """
        start = time.perf_counter()
        known = self._remembered.get(key)
        if known is not None:
            self._observer.held(time.perf_counter() - start)
            return known

        async def ask() -> Status:
            with self._observer.asking():
                status = await self._ask(document)
            if keep(status):
                self._remembered[key] = status
            return status

        with self._observer.waiting():
            return await self._flights.once(key, ask)

    async def _ask(self, document: Mapping[str, Any]) -> Status:
        last = KubeError(0, f"POST {self._path}: no answer within {self._deadline:g} s")
        try:
            async with asyncio.timeout(self._deadline):
                for attempt in range(_TRIES):
                    try:
                        answer = await self._post(document)
                    except KubeError as error:
                        if not error.transient or attempt == _TRIES - 1:
                            raise
                        last = error
                    else:
                        return _status(answer, self._path)
                    pause = _FIRST_PAUSE * _GROWTH**attempt * (1 + _JITTER * random.random())  # noqa: S311 - spreads load, guards nothing
                    await self._clock.sleep(max(pause, last.retry_after or 0))
        except TimeoutError as error:
            raise last from error
        raise last

    async def _post(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """One call. It is 201 that Kubernetes answers to a review, and the client takes any other good code for that."""
        start = time.perf_counter()
        code = "<error>"
        try:
            answer = await self._kube.post_json(self._path, document)
            code = "201"
        except KubeError as error:
            code = str(error.status or code)
            raise
        else:
            return answer
        finally:
            self._observer.posted(code, time.perf_counter() - start)


def _status(answer: Mapping[str, Any], path: str) -> Status:
    status = answer.get("status")
    if not isinstance(status, dict):
        raise KubeError(0, f"POST {path}: the answer is no review: it has no status")
    return status
