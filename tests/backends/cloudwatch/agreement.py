"""The fleet in three stores at once, CloudWatch, X-Ray and Prometheus, and what it means that two of them agree about a row."""

from __future__ import annotations

import os
from bisect import bisect_left
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from backends.cloudwatch.backend import CloudWatchBackend
from backends.cloudwatch.settings import CloudWatchSettings
from backends.dialects import load_dialect
from backends.prometheus import PrometheusBackend, PrometheusSettings
from metrics_api import ANY_WORKLOAD, CALLED_HOST, Answer, Backend, ResourceRef, Sample, Window, rename
from metrics_api.resources import host
from tests.doubles.backfill import INSTANT, backfilled_prometheus, series
from tests.doubles.cloudwatch import Aws, run_aws
from tests.doubles.cloudwatch_fleet import CLUSTER, HOSTS, Signals, fleet_spans, noise, past_spans
from tests.doubles.cloudwatch_mesh import GRAIN, publish
from tests.doubles.mesh_facts import WORKLOADS
from tests.doubles.mesh_truth import Key
from tests.doubles.meshes.all import MESHES
from tests.doubles.xray_fleet import fleet_graph, traced_name

__all__ = ["INSTANT", "JUDGED_APART", "MINUTE", "Stores", "keyed", "open_stores", "pairs", "same_counts", "same_percentiles"]

MINUTE = Window(60)

_CART, _PAY = ResourceRef(ANY_WORKLOAD, "shop", "cart"), ResourceRef(ANY_WORKLOAD, "shop", "pay")
JUDGED_APART = ({_CART, _PAY}, {ResourceRef("Namespace", "", "shop")})
"""Ends of the calls that proxies and SDKs judge differently: to a caller's SDK every status of gRPC but OK is an error."""

_NOW = INSTANT + 125
"""What is published in the minute that ends at ``INSTANT`` has arrived by then."""

_BOUNDS = Signals.bounds


@dataclass(frozen=True, slots=True)
class Stores:
    """Sources over the fleet, by what keeps it."""

    sources: dict[str, Backend]
    prometheus: Backend
    aws: Aws


@asynccontextmanager
async def open_stores(directory: Path) -> AsyncIterator[Stores]:
    """All three, with the same minute."""
    istio = MESHES["istio"]
    with pytest.MonkeyPatch.context() as environment, ExitStack() as stack:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            environment.delenv(name)
        url = stack.enter_context(backfilled_prometheus(directory, series(istio)))
        async with run_aws(lambda: _NOW) as aws:
            for name, value in aws.environment().items():
                environment.setenv(name, value)
            _fill(aws)
            prometheus = PrometheusBackend(PrometheusSettings(name="istio", url=url, dialect=load_dialect("istio")))
            signals = CloudWatchBackend(
                CloudWatchSettings(name="signals", source="application-signals", cluster=CLUSTER, budget=100_000), lambda: _NOW
            )
            names = {(traced_name(one), ""): ResourceRef(ANY_WORKLOAD, one.namespace, one.name) for one in WORKLOADS}
            traces = CloudWatchBackend(CloudWatchSettings(name="traces", source="xray", services=names), lambda: _NOW)
            async with prometheus, signals, traces:
                yield Stores({"application-signals": signals, "xray": traces}, prometheus, aws)


def _fill(aws: Aws) -> None:
    minute = INSTANT - MINUTE.seconds
    publish(aws, [minute], (*fleet_spans(), *noise()))
    publish(aws, [minute - 600, minute - MINUTE.seconds, minute + MINUTE.seconds], past_spans())
    graph = fleet_graph()
    aws.graph.services = lambda start, end: graph if (start, end) == (minute, INSTANT) else []


def keyed(found: Answer) -> dict[Key, Sample]:
    """The rows of an answer, with hosts named as with Kubernetes: those in ``HOSTS`` are workloads, the others stay hosts."""
    at_namespaces = any(sample.resource.kind == "Namespace" for sample in found.samples)

    def named(ref: ResourceRef) -> ResourceRef:
        if ref.kind == "Service":
            return host(f"{ref.name}.{ref.namespace}.svc.cluster.local")
        if ref.kind != CALLED_HOST:
            return ref
        if ref.name not in HOSTS:
            return host(ref.name)
        namespace, name = HOSTS[ref.name]
        return ResourceRef("Namespace", "", namespace) if at_namespaces else ResourceRef(ANY_WORKLOAD, namespace, name)

    together = [sample for sample in rename(found.samples, named) if sample.resource.kind]
    keys = {(sample.resource, sample.peer, sample.direction.value): sample for sample in together}
    assert len(keys) == len(together), "two rows are about the same thing"
    return keys


def pairs(ours: dict[Key, Sample], theirs: dict[Key, Sample]) -> list[tuple[Key, Sample, Sample]]:
    """The two samples of each row."""
    return [(key, ours[key], theirs[key]) for key in ours]


def same_counts(key: Key, mine: Sample, other: Sample) -> bool:
    """Whether both count the same successes and failures; of calls that are judged differently, whether they count the same calls."""
    if {*key[:2]} in JUDGED_APART:
        return _near(_total(mine), _total(other)) and (mine.failure or 0) > (other.failure or 0)
    return _near(mine.success, other.success) and _near(mine.failure, other.failure)


def same_percentiles(mine: Sample, other: Sample) -> bool:
    """Whether percentiles are the same but for the grain of what was published; what has no requests has none."""
    if mine.latency is None or other.latency is None or not _total(mine):
        return all(one.latency is None or one.latency.quantile(0.5) is None for one in (mine, other))
    for quantile in (0.5, 0.9, 0.99):
        value, theirs = mine.latency.quantile(quantile), other.latency.quantile(quantile)
        if value is None or theirs is None or abs(value - theirs) > _width(theirs) / GRAIN + 1e-9:
            return False
    return True


def _width(seconds: float) -> float:
    at = bisect_left(_BOUNDS, seconds)
    return _BOUNDS[at] - (_BOUNDS[at - 1] if at else 0.0)


def _near(mine: float | None, other: float | None) -> bool:
    return mine is not None and other is not None and abs(mine - other) <= 1e-6 * max(mine, other, 1e-6)


def _total(sample: Sample) -> float:
    return (sample.success or 0.0) + (sample.failure or 0.0)
