"""Reviews: what this server asks kube-apiserver about tokens and permissions, because only kube-apiserver can know.

Both kinds are asked often, by many at once, and of a server that may be restarting. So answers live for ten seconds, equal questions
are asked once, and a failure that calls for another try gets one. Times are those of Kubernetes' own delegating servers
(``k8s.io/apiserver``: pkg/server/options/authentication.go, pkg/util/webhook/webhook.go).
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from cachetools import TTLCache

from apiservice.clock import Clock
from apiservice.flight import SingleFlight
from apiservice.kube import KubeError

__all__ = ["LIFETIME", "Reviewer", "Reviews"]

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


class Reviews:
    """Reviews of one kind, posted to ``path``. At most ``capacity`` answers are remembered; ``deadline`` is in seconds."""

    def __init__(self, kube: Reviewer, path: str, clock: Clock, capacity: int, deadline: float = 10.0) -> None:
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
        known = self._remembered.get(key)
        if known is not None:
            return known

        async def ask() -> Status:
            status = await self._ask(document)
            if keep(status):
                self._remembered[key] = status
            return status

        return await self._flights.once(key, ask)

    async def _ask(self, document: Mapping[str, Any]) -> Status:
        last = KubeError(0, f"POST {self._path}: no answer within {self._deadline:g} s")
        try:
            async with asyncio.timeout(self._deadline):
                for attempt in range(_TRIES):
                    try:
                        answer = await self._kube.post_json(self._path, document)
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


def _status(answer: Mapping[str, Any], path: str) -> Status:
    status = answer.get("status")
    if not isinstance(status, dict):
        raise KubeError(0, f"POST {path}: the answer is no review: it has no status")
    return status
