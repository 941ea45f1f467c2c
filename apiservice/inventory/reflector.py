"""Keeping a store in step with the cluster: one reflector for each kind lists all objects once, and then follows what changes.

As the reflectors of Kubernetes' own controllers do (``kubernetes/client-go``, ``tools/cache/reflector.go``): a watch that ends or breaks
is begun again where it stopped, without another list; a list is made again when kube-apiserver does not remember that far back (410),
and every half hour, so that nothing that was missed stays wrong. A kind that may not be read, or does not exist in this cluster, is told
to the store with the reason and tried again later; the other kinds do not notice.
"""

from __future__ import annotations

import logging
import random
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

import msgspec

from apiservice.clock import Clock
from apiservice.inventory.kinds import Watched
from apiservice.inventory.records import Pool, Reader, Record
from apiservice.kube import KubeError, RawEvent

__all__ = ["Kube", "Reflector", "Store"]

_PAGE = "500"
"""Objects asked for at a time: only so many are ever held as JSON.

A list "as of any time" (``resourceVersion=0``) would spare etcd, but kube-apiserver ignores the limit of one, and it may be older than
what was told before.
"""

_SHORTEST_WATCH = 240.0
"""Seconds; up to as many again, so that the watches of several replicas do not end together."""

_SILENCE = 90.0
"""Seconds of silence after which a watch is begun again, which shows whether the connection still was good.

Where anything ever happens a bookmark comes every minute (``k8s.io/apiserver``, pkg/storage/cacher).
"""

_RESYNC = 1800.0

_FIRST_PAUSE = 0.8
_LONGEST_PAUSE = 30.0
_REFUSED_PAUSE = 30.0
_ABSENT_PAUSE = 60.0

_OUT_OF_TOUCH = 60.0
"""Seconds of failures after which what is known counts as stale; a kube-apiserver that is restarted is back sooner."""

logger = logging.getLogger(__name__)


class Store(Protocol):
    """What reflectors tell of a kind. It is told one thing at a time, and none of this takes long.

    Of a kind nothing is known until ``replace``, ``fail`` or ``absent`` has told something.
    """

    def replace(self, kind: str, records: Sequence[Record]) -> None:
        """These are all objects there are. Whatever was wrong with the kind is over."""
        ...

    def put(self, kind: str, record: Record) -> None:
        """An object was made or changed."""
        ...

    def remove(self, kind: str, namespace: str, name: str) -> None:
        """An object was deleted."""
        ...

    def fail(self, kind: str, reason: str) -> None:
        """The objects are not known, nor will they be until this has been put right: what was told of them before is not true any more."""
        ...

    def absent(self, kind: str, reason: str) -> None:
        """The cluster does not have this kind, so there is no object of it."""
        ...

    def stale(self, kind: str, reason: str) -> None:
        """What was told may not be true any more: nobody has told what changed for a minute or longer."""
        ...

    def fresh(self, kind: str) -> None:
        """What was told is true again, and nothing was missed."""
        ...


class Kube(Protocol):
    """Whom reflectors ask; both methods raise :class:`apiservice.kube.KubeError`."""

    async def get_bytes(self, path: str, params: Mapping[str, str], *, accept: str) -> bytes:
        """A document, as it is sent."""
        ...

    def watching(
        self, path: str, params: Mapping[str, str], lifetime: float, *, accept: str, silence: float
    ) -> AbstractAsyncContextManager[AsyncGenerator[RawEvent, None]]:
        """The changes of a collection, for so many seconds at most; entered when the watch is accepted."""
        ...


class Reflector:
    """Follows one kind. ``pool`` is shared by all reflectors; ``resync`` is in seconds."""

    def __init__(
        self, kube: Kube, watched: Watched, store: Store, clock: Clock, *, pool: Pool | None = None, resync: float = _RESYNC
    ) -> None:
        self._kube = kube
        self._watched = watched
        self._store = store
        self._clock = clock
        self._resync = resync
        self._reader = Reader(watched.kind, pool or Pool())
        self._path = watched.paths[0]
        self._version = ""
        """Where the next watch goes on from; "" when there has to be a list first."""
        self._listed: list[Record] | None = None
        """What was listed and is not told yet: a kind that may be listed and not watched is not known."""
        self._list_again = 0.0
        self._known = False
        self._failures = 0
        self._failing_since: float | None = None
        self._told = ""
        self._doing = "listed"

    async def run(self) -> None:
        """List and watch, for ever."""
        while True:
            try:
                if not self._version or self._clock.monotonic() >= self._list_again:
                    await self._list()
                pause = await self._watch()
            except (KubeError, msgspec.MsgspecError) as error:
                pause = self._trouble(error)
            if pause:
                await self._clock.sleep(pause * random.uniform(1, 1.5))  # noqa: S311 - spreads load, guards nothing

    async def _list(self) -> None:
        """All objects, page by page; of the versions of the kind, in the first that the cluster has."""
        self._doing = "listed"
        # A list that fails is not made again at once where the watch can go on: it would only be to make sure.
        self._list_again = self._clock.monotonic() + self._resync * random.uniform(0.8, 1.2)  # noqa: S311
        for path in self._watched.paths:
            try:
                self._listed, version = await self._pages(path)
            except KubeError as error:
                if error.status != 404 or path == self._watched.paths[-1]:
                    raise
            else:
                self._path, self._version = path, version
                return

    async def _pages(self, path: str) -> tuple[list[Record], str]:
        records: list[Record] = []
        params = {"limit": _PAGE}
        while True:
            page = self._reader.page(await self._kube.get_bytes(path, params, accept=self._accept("PartialObjectMetadataList")))
            records += page.records
            if not page.token:
                return records, page.version
            params = {"limit": _PAGE, "continue": page.token}

    async def _watch(self) -> float:
        """Follow what changes until the watch ends; the seconds to wait before the next."""
        self._doing = "watched"
        params = {"resourceVersion": self._version, "allowWatchBookmarks": "true"}
        begun = self._clock.monotonic()
        lifetime = min(_SHORTEST_WATCH * random.uniform(1, 2), max(1.0, self._list_again - begun))  # noqa: S311
        accept, heard = self._accept("PartialObjectMetadata"), False
        watching = self._kube.watching(self._path, params, lifetime, accept=accept, silence=_SILENCE)
        try:
            async with watching as events:
                self._in_touch()
                async for event in events:
                    self._take(event)
                    heard = True
                    self._failures = 0
        except KubeError as error:
            if error.status not in (403, 404):
                self._tell_listed()
            raise
        # One that is over as soon as it began would begin again and again.
        if not heard and self._clock.monotonic() - begun < 1:
            return self._growing_pause()
        self._failures = 0
        return 0.0

    def _take(self, event: RawEvent) -> None:
        change = self._reader.change(event.type, event.object)
        record = change.record
        if record is None:
            pass
        elif change.type == "DELETED":
            self._store.remove(record.kind, record.namespace, record.name)
        else:
            self._store.put(record.kind, record)
        self._version = change.version or self._version

    def _in_touch(self) -> None:
        """A watch was accepted: what is listed, or was known before, is what there is."""
        if self._told:
            logger.info("%s are followed now", self._watched)
            if self._listed is None:
                self._store.fresh(self._watched.kind)
        self._tell_listed()
        self._failing_since, self._told = None, ""

    def _tell_listed(self) -> None:
        if self._listed is not None:
            self._store.replace(self._watched.kind, self._listed)
            self._listed, self._known, self._failing_since = None, True, None

    def _trouble(self, error: KubeError | msgspec.MsgspecError) -> float:
        """Tell the store as far as it has to know; the seconds to wait before the next attempt."""
        status, failed = getattr(error, "status", 0), f"{self._watched} cannot be {self._doing}: {error}"
        self._listed = None
        if status == 403:
            hint = f"grant list and watch on {self._watched} to the server's account"
            self._lost(logging.WARNING, self._store.fail, f"{failed}; {hint}")
            return _REFUSED_PAUSE
        if status == 404 and not self._version:
            self._lost(logging.INFO, self._store.absent, f"{self._watched} are not installed in this cluster")
            return _ABSENT_PAUSE
        # Whatever cannot be read, or is not remembered, would not be the next time either. A version that is gone may have a successor.
        if status in (404, 410) or isinstance(error, msgspec.MsgspecError):
            self._version = ""
        now = self._clock.monotonic()
        if self._failing_since is None:
            self._failing_since = now
        if now - self._failing_since >= _OUT_OF_TOUCH:
            self._tell(logging.WARNING, self._store.stale if self._known else self._store.fail, failed)
        return max(self._growing_pause(), getattr(error, "retry_after", None) or 0.0)

    def _lost(self, level: int, tell: Callable[[str, str], None], reason: str) -> None:
        self._tell(level, tell, reason)
        self._version, self._known, self._failing_since = "", False, None

    def _tell(self, level: int, tell: Callable[[str, str], None], reason: str) -> None:
        if reason != self._told:
            logger.log(level, "%s", reason)
        self._told = reason
        tell(self._watched.kind, reason)

    def _growing_pause(self) -> float:
        pause = min(_FIRST_PAUSE * 2.0**self._failures, _LONGEST_PAUSE)
        self._failures = min(self._failures + 1, 10)
        return pause

    def _accept(self, metadata_only: str) -> str:
        return "application/json" if self._watched.whole else f"application/json;as={metadata_only};g=meta.k8s.io;v=v1"
