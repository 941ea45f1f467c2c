"""A session with a double that several tests share, because making a client takes a quarter of a second; and settings by name."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from backends.cloudwatch.session import Aws
from backends.cloudwatch.settings import CloudWatchSettings
from backends.transport import TlsSettings
from tests.doubles.cloudwatch import Aws as Double
from tests.doubles.cloudwatch import run_aws

__all__ = ["opened", "renew_double", "settings", "until"]


def settings(**changes: Any) -> CloudWatchSettings:
    """Settings of a source called "aws". Doubles speak HTTP, for which reading the authorities of the machine would take too long."""
    return CloudWatchSettings(**{"name": "aws", "source": "application-signals", "tls": TlsSettings(skip_verify=True), **changes})


@asynccontextmanager
async def opened(attempts: int = 1, **changes: Any) -> AsyncIterator[tuple[Double, Aws]]:
    """A double, and a session that asks it; a request is sent ``attempts`` times at most."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        async with run_aws() as double:
            for name, value in double.environment().items():
                patch.setenv(name, value)
            async with Aws(settings(**changes), attempts) as aws:
                yield double, aws


def renew_double(double: Double) -> None:
    """As nobody had asked it anything yet, nor published anything."""
    double.recover()
    double.calls.clear()
    double.store.metrics.clear()
    double.data.page_points, double.data.empty_partial, double.data.endless = 100_800, False, False
    double.listing.page_metrics = 500


async def until(holds: Callable[[], object], patience: float = 5) -> None:
    """Waits until something holds; TimeoutError when that takes longer than ``patience`` seconds."""
    async with asyncio.timeout(patience):
        while not holds():  # noqa: ASYNC110
            await asyncio.sleep(0.002)
