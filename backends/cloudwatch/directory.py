"""What Application Signals knows of its services: which workload each is, where its name is another one's.

A service is called as its SDK was told (``OTEL_SERVICE_NAME``), which may not be the name of the workload. The API of Application Signals
knows both (ListServices, ``AttributeMaps``: botocore, data/application-signals/2024-04-15). It is asked now and then and never waited for:
without it, and without the right to ask it, names are taken for what they say.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator, Mapping
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
_HOURS = 3
_MOST_PAGES = 200


class Directory:
    """The workloads that services are, kept up to date while it is open."""

    def __init__(self, settings: CloudWatchSettings, aws: Aws, clock: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._aws = aws
        self._clock = clock
        self._names: dict[tuple[str, str], ResourceRef] = {}
        self._task: asyncio.Task[None] | None = None

    def names(self) -> Mapping[tuple[str, str], ResourceRef]:
        """Workloads by the name and the environment of their service; those alone that are called otherwise."""
        return self._names

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._follow(), name=f"services of {self._settings.name}")
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def read(self) -> None:
        """Ask once. Raises :class:`metrics_api.errors.BackendError`."""
        now = self._clock()
        names: dict[tuple[str, str], ResourceRef] = {}
        parameters = {
            "StartTime": datetime.fromtimestamp(now - _HOURS * 3600, UTC),
            "EndTime": datetime.fromtimestamp(now, UTC),
            "MaxResults": 100,
        }
        token: str | None = None
        for _ in range(_MOST_PAGES):
            more = {"NextToken": token} if token else {}
            page = await self._aws.call("application-signals", "list_services", **parameters, **more)
            names.update(workloads(page, self._settings.cluster))
            token = page.get("NextToken")
            if not token:
                break
        self._names = names

    async def _follow(self) -> None:
        while True:
            wait = _INTERVAL
            try:
                await self.read()
            except BackendRefused as error:
                # Whoever does not want to grant this right need not.
                logger.info("names of services are taken for names of workloads: %s", error.message)
            except BackendError as error:
                logger.warning("names of services are those of the last time they could be read: %s", error.message)
                wait = _FIRST_RETRY
            await asyncio.sleep(wait)


def workloads(page: Mapping[str, Any], cluster: str) -> Iterator[tuple[tuple[str, str], ResourceRef]]:
    """The workloads of a page of ListServices that are called otherwise than their service, in ``cluster``."""
    for summary in page.get("ServiceSummaries", ()):
        keys = summary.get("KeyAttributes", {})
        service, environment = keys.get("Name", ""), keys.get("Environment", "")
        found = {
            (attributes["K8s.Namespace"], attributes["K8s.Workload"])
            for attributes in summary.get("AttributeMaps", ())
            if attributes.get("K8s.Workload")
            and attributes.get("K8s.Namespace")
            and cluster in (attributes.get("EKS.Cluster"), attributes.get("K8s.Cluster"))
        }
        # One name for several workloads tells none of them.
        if len(found) == 1 and keys.get("Type", "Service") == "Service":
            namespace, name = found.pop()
            if name != service:
                yield (service, environment), ResourceRef(ANY_WORKLOAD, namespace, name)
