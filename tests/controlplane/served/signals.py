"""The traffic of the cluster as its workloads' SDKs tell CloudWatch of it, and the server that has it from there."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.controlplane.plane import SERVER, ControlPlane
from tests.controlplane.served.api import Api
from tests.controlplane.served.mesh import BOUNDS, DB, FLOWS, WEB, Flow, Pod
from tests.controlplane.served.server import run_server
from tests.doubles.cloudwatch import Aws, run_aws
from tests.doubles.cloudwatch_mesh import Service, Spans, publish, spread

__all__ = ["BANK", "Signals", "configured", "environment", "environment_of", "open_signals", "spans_of"]

BANK = "bank.example.com"
"""Whom the web calls outside the cluster, once a second."""

_SPAN = 20 * 60
"""Seconds before and after the start for which there is traffic, always the same."""


@dataclass(frozen=True, slots=True)
class Signals:
    """The API registered from CloudWatch, and the CloudWatch it has its numbers from."""

    api: Api
    aws: Aws


def configured(plane: ControlPlane, **source: Any) -> dict[str, Any]:
    """A configuration with Application Signals; ``source`` adds to it."""
    return {
        "kubernetes": {"kubeconfig": str(plane.kubeconfig(SERVER))},
        "metrics": {"window": "1m", "refresh": "1s"},
        "backends": [{"name": "signals", "type": "cloudwatch", "cluster": "prod", **source}],
    }


def environment_of(namespace: str) -> str:
    """What Application Signals calls a namespace of the cluster."""
    return f"eks:prod/{namespace}"


@asynccontextmanager
async def open_signals(plane: ControlPlane, directory: Path) -> AsyncIterator[Signals]:
    """Registers the API from there, for as long as the context lasts: what was registered before has to be again."""
    minute = int(time.time()) // 60 * 60
    async with run_aws() as aws:
        publish(aws, range(minute - _SPAN, minute + _SPAN, 60), spans_of(FLOWS))
        # It had some traffic, and has none any more.
        publish(aws, [minute - 3600], [Spans(Service(environment_of("shop"), "idle"), {7.0: 600})])
        with environment(aws.environment()):
            async with run_server(plane, directory, configured(plane)) as server:
                api = Api(plane, server)
                await api.register()
                yield Signals(api, aws)


@contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """The process' own environment with these variables of AWS and no others, for as long as the context lasts."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        for name, value in variables.items():
            patch.setenv(name, value)
        yield


def spans_of(flows: tuple[Flow, ...]) -> Iterator[Spans]:
    """A minute of some flows: what is called is served, and whoever calls from within the cluster knows whom."""
    for flow in flows:
        count, faults = 60 * (flow.success + flow.failure), 60 * flow.failure
        latencies = spread(BOUNDS, {bound: count * share for bound, share in flow.within.items()}, grain=64)
        yield Spans(_service(flow.callee), latencies, faults)
        if flow.caller is not None:
            yield Spans(_service(flow.caller), latencies, faults, remote=_remote(flow.callee))
    yield Spans(_service(WEB), {30.0: 60}, remote=Service("", BANK))


def _service(pod: Pod) -> Service:
    return Service(environment_of(pod.namespace), pod.owner)


def _remote(callee: Pod) -> Service:
    """The database is called by an address that the agent does not know."""
    return Service("", f"{DB.owner}.{DB.namespace}.svc.cluster.local:5432") if callee == DB else _service(callee)
