"""Keeping up with whom the cluster trusts: authorities are rotated while servers run.

The ConfigMap is read when the server starts, watched from then on, and read again every minute in case the watch has gone silent, as
are the files given instead of it. What cannot be read leaves the last good values in place, so nothing changes while kube-apiserver is
away.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any, Protocol

from apiservice.clock import Clock
from apiservice.identity.trust import CONFIG_MAP, Trust, TrustOverrides, combined
from apiservice.kube import Event, KubeError
from metrics_api.errors import TrafficError

__all__ = ["Reader", "TrustSource", "TrustUnreadable"]

_COLLECTION = "/api/v1/namespaces/kube-system/configmaps"
_NAME = "extension-apiserver-authentication"
_BY_NAME = {"fieldSelector": f"metadata.name={_NAME}"}
"""The Role ``extension-apiserver-authentication-reader`` allows to list and watch this object, and no other."""

_PERIOD = 60.0
_WATCH_LIFETIME = 240.0
"""Seconds a watch lasts before it is begun anew: less than load balancers keep silent connections for."""

_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 30.0

_NOTABLE = 3
"""Failures in a row that are worth a line: a kube-apiserver that is restarted causes one or two, and is back."""

_STAYS = "what cannot be read of whom the cluster trusts stays as it was: %s"
_BIND_HINT = (
    "let this server read it: kubectl create rolebinding trafficmetrics-auth-reader -n kube-system"
    " --role=extension-apiserver-authentication-reader --serviceaccount=NAMESPACE:SERVICEACCOUNT"
)

logger = logging.getLogger(__name__)


class TrustUnreadable(TrafficError):
    """What the cluster trusts cannot be found out; the message says why and what to do."""


class Reader(Protocol):
    """Whom the ConfigMap is read from; both methods raise :class:`apiservice.kube.KubeError`."""

    async def get_json(self, path: str, params: Mapping[str, str] | None = None) -> dict[str, Any]:
        """The document at a path."""
        ...

    def watch(self, path: str, params: Mapping[str, str], lifetime: float) -> AsyncGenerator[Event, None]:
        """The changes of a collection, for so many seconds at most."""
        ...


class TrustSource:
    """The current :class:`Trust`, empty until :meth:`read` has succeeded.

    ``changed`` is set whenever ``current`` has become another; the one who acts on it clears it.
    """

    def __init__(self, kube: Reader, overrides: TrustOverrides, clock: Clock) -> None:
        self._kube = kube
        self._overrides = overrides
        self._clock = clock
        self._current = Trust()
        self._one_at_a_time = asyncio.Lock()
        self._complete = False
        self.changed = asyncio.Event()

    @property
    def current(self) -> Trust:
        """What is believed now. The same object for as long as nothing changes."""
        return self._current

    def unsynced(self) -> str | None:
        """The readiness check: what is wrong until everything could be read once, and None from then on."""
        return None if self._complete else f"{CONFIG_MAP} has not been read yet"

    async def read(self) -> None:
        """Read everything once, and take what can be read; :class:`TrustUnreadable` tells what cannot, and stays as it was.

        A cluster without the ConfigMap is tolerated: it may appear later.
        """
        # What the watch tells meanwhile may be newer than what is read here, so it has to come after it.
        async with self._one_at_a_time:
            await self._take(await self._lookup())

    async def start(self) -> None:
        """The first reading: fatal, unless it may be tolerated."""
        try:
            await self.read()
        except TrustUnreadable as error:
            if not self._overrides.tolerate_lookup_failure:
                raise
            logger.warning("going on without knowing whom the cluster trusts; users may count as anonymous: %s", error)
        if self._current.front_proxy is None:
            logger.warning("no front proxy is trusted: requests that come through kube-apiserver will count as anonymous")

    async def keep_reading(self) -> None:
        """Read again every minute, for ever; a failure is logged and changes nothing."""
        while True:
            await self._clock.sleep(_PERIOD)
            try:
                await self.read()
            except TrustUnreadable as error:
                logger.warning(_STAYS, error)

    async def keep_watching(self) -> None:
        """Follow the ConfigMap, for ever; returns at once when nothing of it is used.

        A watch that breaks is begun anew, ever more slowly while that fails. Before each the object is read, so it does not matter
        what was missed in between, nor why (``410 Gone``).
        """
        if self._overrides.complete:
            return
        failures = 0
        while True:
            try:
                version = await self._list()
                async with aclosing(
                    self._kube.watch(_COLLECTION, _BY_NAME | {"resourceVersion": version}, _WATCH_LIFETIME)
                ) as events:
                    async for event in events:
                        failures = 0
                        # A ConfigMap that is deleted changes nothing: kube-apiserver makes it again.
                        if event.type != "DELETED":
                            async with self._one_at_a_time:
                                await self._take_well(event.object)
                failures = 0
            except KubeError as error:
                failures += 1
                logger.log(
                    logging.WARNING if failures == _NOTABLE else logging.DEBUG,
                    "%s cannot be watched, it is only read every minute now: %s",
                    CONFIG_MAP,
                    error,
                )
            pause = min(_FIRST_PAUSE * 2 ** max(0, failures - 1), _LONGEST_PAUSE)
            await self._clock.sleep(pause * random.uniform(1, 1.5))  # noqa: S311 - spreads load, guards nothing

    async def _list(self) -> str:
        """Take the ConfigMap as it is; the version of the collection, to be watched from."""
        async with self._one_at_a_time:
            listed = await self._kube.get_json(_COLLECTION, _BY_NAME)
            for item in listed.get("items") or ():
                await self._take_well(item)
        return str((listed.get("metadata") or {}).get("resourceVersion") or "")

    async def _take_well(self, config_map: Mapping[str, Any]) -> None:
        """Take what can be read of the ConfigMap, and log what cannot. Any other is none of ours."""
        if (config_map.get("metadata") or {}).get("name") != _NAME:
            return
        try:
            await self._take(_data(config_map))
        except TrustUnreadable as error:
            logger.warning(_STAYS, error)

    async def _take(self, found: Mapping[str, str] | None) -> None:
        trust, problems = await asyncio.to_thread(combined, found, self._overrides, self._current)
        if trust != self._current:
            logger.info("trusted authorities were read: %s", trust)
            self._current = trust
            self.changed.set()
        if problems:
            raise TrustUnreadable("; ".join(problems))
        self._complete = True

    async def _lookup(self) -> Mapping[str, str] | None:
        """The data of the ConfigMap; None when it does not exist or is not needed."""
        if self._overrides.complete:
            return None
        try:
            return _data(await self._kube.get_json(f"{_COLLECTION}/{_NAME}"))
        except KubeError as error:
            if error.status == 404:
                logger.warning("%s does not exist", CONFIG_MAP)
                return None
            hint = f"; {_BIND_HINT}" if error.status == 403 else ""
            raise TrustUnreadable(f"{CONFIG_MAP} cannot be read: {error}{hint}") from error


def _data(config_map: Mapping[str, Any]) -> Mapping[str, str]:
    data = config_map.get("data")
    return data if isinstance(data, dict) else {}
