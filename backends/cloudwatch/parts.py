"""The parts of a CloudWatch source, put together as its configuration says; opened and closed as one."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

from backends.cloudwatch.appmesh import AppMesh
from backends.cloudwatch.budget import Budget
from backends.cloudwatch.directory import Directory
from backends.cloudwatch.discovery import Discovery
from backends.cloudwatch.identity import Identity
from backends.cloudwatch.lattice import VpcLattice
from backends.cloudwatch.measured import MeasuredSource, Rows
from backends.cloudwatch.metricdata import MetricData
from backends.cloudwatch.reader import Reader
from backends.cloudwatch.service_connect import ServiceConnect
from backends.cloudwatch.session import Aws
from backends.cloudwatch.settings import CloudWatchSettings
from backends.cloudwatch.signals import ApplicationSignals
from backends.cloudwatch.source import Source
from backends.cloudwatch.xray import XRay

__all__ = ["Parts"]


class Parts:
    """What a source is made of. ``rows`` is None where its traffic is not in metrics.

    ``clock`` gives Unix seconds; ``attempts`` is how often a request is sent at most.
    """

    def __init__(self, settings: CloudWatchSettings, clock: Callable[[], float] = time.time, attempts: int = 3) -> None:
        self.settings = settings
        self.clock = clock
        self.aws = Aws(settings, attempts)
        self.discovery = Discovery(settings.name, self.aws, settings.discovery_interval)
        self.directory = Directory(settings, self.aws, clock)
        budget = Budget(settings.name, settings.budget, clock)
        self.reader = Reader(settings.name, MetricData(settings.name, self.aws), budget, clock)
        self.rows = self._make_rows()
        self.source = self._make_source()
        self._open = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self.aws)
            await stack.enter_async_context(self.discovery)
            await stack.enter_async_context(self.reader)
            if self.settings.source == "application-signals":
                await stack.enter_async_context(self.directory)
            self._open = stack.pop_all()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._open.aclose()

    def _make_source(self) -> Source:
        if self.rows is None:
            return XRay(self.settings, self.aws, self.clock)
        return MeasuredSource(self.settings.name, self.rows, self.reader, self.settings.source)

    def _make_rows(self) -> Rows | None:
        match self.settings.source:
            case "xray":
                return None
            case "appmesh":
                return AppMesh(self.settings, self.discovery, self.clock)
            case "vpc-lattice":
                return VpcLattice(self.settings, self.discovery, self.clock)
            case "ecs-service-connect":
                return ServiceConnect(self.settings, self.discovery, self.clock)
            case _:
                return ApplicationSignals(self.settings, self.discovery, Identity(self.settings, self.directory.names), self.clock)
