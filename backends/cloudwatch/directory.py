"""What Application Signals knows of its services: which workload each is, where its name is another one's.

A service is called as its SDK was told (``OTEL_SERVICE_NAME``), which may not be the name of the workload. The API of Application Signals
knows both (ListServices, ``AttributeMaps``: botocore, data/application-signals/2024-04-15). It is asked now and then and never waited for:
without it, and without the right to ask it, names are taken for what they say.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

from backends.cloudwatch.session import Aws
from backends.cloudwatch.settings import CloudWatchSettings
from metrics_api import ANY_WORKLOAD, BackendError, BackendRefused, ResourceRef

__all__ = ["Directory", "workloads"]

logger = logging.getLogger(__name__)

_INTERVAL = 1800.0
"""Seconds between two readings; its times are rounded to the hour in any case."""

_FIRST_RETRY = 60.0
_FIRST_LOOK = 3.0
"""Seconds that starting waits for the first reading, so that no workload has another name before it than after."""

_HOURS = 3
_MOST_PAGES = 200


_Key = tuple[str, str]
"""The name of a service and its environment."""


class Directory:
    """The workloads that services are, kept up to date while it is open."""

    def __init__(self, settings: CloudWatchSettings, aws: Aws, clock: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._aws = aws
        self._clock = clock
        self._names: dict[_Key, ResourceRef] = {}
        self._task: asyncio.Task[None] | None = None
        self._tried = asyncio.Event()

    def names(self) -> Mapping[_Key, ResourceRef]:
        """Workloads by the name and the environment of their service; those alone that are called otherwise."""
        return self._names

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._follow(), name=f"services of {self._settings.name}")
        with suppress(TimeoutError):
            async with asyncio.timeout(_FIRST_LOOK):
                await self._tried.wait()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def read(self) -> None:
        """Ask once. Raises :class:`metrics_api.errors.BackendError`."""
        now = self._clock()
        # What is silent for some hours is still called as it was.
        names = dict(self._names)
        parameters = {
            "StartTime": datetime.fromtimestamp(now - _HOURS * 3600, UTC),
            "EndTime": datetime.fromtimestamp(now, UTC),
            "MaxResults": 100,
        }
        token: str | None = None
        for _ in range(_MOST_PAGES):
            more = {"NextToken": token} if token else {}
            page = await self._aws.call("application-signals", "list_services", **parameters, **more)
            for key, _ in _services(page):
                names.pop(key, None)
            names.update(workloads(page, self._settings.cluster))
            token = page.get("NextToken")
            if not token:
                break
        else:
            logger.warning("source %s: Application Signals lists more services than are read: %d", self._settings.name, len(names))
        if names != self._names:
            self._names = names

    async def _follow(self) -> None:
        while True:
            wait = _INTERVAL
            try:
                await self.read()
            except BackendError as error:
                if isinstance(error, BackendRefused) and self._aws.signed_in:
                    # Whoever does not want to grant this right need not.
                    logger.info("names of services are taken for names of workloads: %s", error.message)
                else:
                    logger.warning("names of services are those of the last time they could be read: %s", error.message)
                    wait = _FIRST_RETRY
            self._tried.set()
            await asyncio.sleep(wait)


def workloads(page: Mapping[str, Any], cluster: str) -> Iterator[tuple[_Key, ResourceRef]]:
    """The workloads of a page of ListServices that are called otherwise than their service, in ``cluster``."""
    for key, maps in _services(page):
        found = {
            (attributes["K8s.Namespace"], attributes["K8s.Workload"])
            for attributes in maps
            if attributes.get("K8s.Workload")
            and attributes.get("K8s.Namespace")
            and cluster in (attributes.get("EKS.Cluster"), attributes.get("K8s.Cluster"))
        }
        # One name for several workloads tells none of them.
        if len(found) == 1:
            namespace, name = found.pop()
            if name != key[0]:
                yield key, ResourceRef(ANY_WORKLOAD, namespace, name)


def _services(page: Mapping[str, Any]) -> Iterator[tuple[_Key, Iterable[Mapping[str, str]]]]:
    """The services of a page, and what is known of where each runs; what is called by them is on it, too."""
    for summary in page.get("ServiceSummaries", ()):
        keys = summary.get("KeyAttributes", {})
        if keys.get("Type", "Service") == "Service":
            yield (keys.get("Name", ""), keys.get("Environment", "")), summary.get("AttributeMaps", ())
