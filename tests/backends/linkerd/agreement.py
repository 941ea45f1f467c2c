"""Every difference between what viz tells and what its Prometheus tells when it is asked directly, in one table.

Both are asked about the same traffic. What is not in the table is equal: ``test_agreement.py`` holds all rows of the fleet against each
other. In the table is one row for each difference, with the numbers of both; nearly all of these rows are of the namespace ``odd``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from metrics_api import ResourceRef, Sample
from tests.doubles.linkerd.fleet import ODD, replicaset_of
from tests.doubles.linkerd.truth import VIZ_QUANTILES
from tests.doubles.mesh_facts import API, WORKLOADS
from tests.doubles.mesh_truth import EVERYBODY, Asked, Key

__all__ = ["DIFFERENCES", "QUANTILES", "REFUSALS", "Difference", "Numbers", "numbers", "unexplained"]

QUANTILES = (0.5, 0.9, 0.95, 0.99)

Numbers = tuple[float | None, ...]
"""Successes, failures, and the percentiles of ``QUANTILES`` in seconds; None is unknown."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One row on which the two differ, and why; None for numbers where there is no row."""

    why: str
    asked: Asked
    key: Key
    viz: Numbers | None
    direct: Numbers | None


def _odd(name: str, kind: str = "Deployment") -> tuple[Asked, Key]:
    ref = ResourceRef(kind, ODD, name)
    return Asked((kind,), namespace=ODD, name=name), (ref, EVERYBODY, "from")


def _edge(name: str, peer: ResourceRef, direction: str) -> tuple[Asked, Key]:
    ref = ResourceRef("Deployment", "shop", name)
    return Asked(("Deployment",), edges=True, direction=direction, namespace="shop", name=name), (ref, peer, direction)


_REPLICASET = ResourceRef("ReplicaSet", API.namespace, replicaset_of(API))
_EMPTY: Numbers = (None, None, None, None)
_SLOW: Numbers = (0.25, 0.29, 0.295, 0.299)
_FAST: Numbers = (0.002, None, 0.002, 0.002)
_IN_SHOP: Numbers = (0.003676, 0.017619, 0.02, 0.09)
_ABROAD: Numbers = (0.280645, 1.848485, 2.0, 3.8)
_AT_API: Numbers = (0.00388, 0.078295, 0.164516, 0.893939)

DIFFERENCES = (
    Difference("viz has no p90", *_odd("front-v1"), (5400, 0, 0.25, None, 0.295, 0.299), (5400, 0, *_SLOW)),
    Difference(
        "percentiles of viz are in whole milliseconds",
        *_odd("front-v2", "Service"),
        (600, 0, *_FAST),
        (600, 0, 0.0015, 0.0019, 0.00195, 0.00199),
    ),
    Difference("viz rounds each series to whole requests, and adds then", *_odd("fraction"), (70, 0, *_EMPTY), (69, 0, *_EMPTY)),
    Difference(
        "percentiles of viz are those between the last two scrapes, not those of the window",
        *_odd("faster"),
        (600, 0, *_FAST),
        (600, 0, 0.225, 0.285, 0.2925, 0.2985),
    ),
    Difference(
        "viz has no percentiles of what stopped before the last two scrapes", *_odd("stopped"), (400, 0, *_EMPTY), (400, 0, *_SLOW)
    ),
    Difference(
        "viz counts probes by the kubelet, and requests for the metrics of proxies",
        *_odd("probed"),
        (1200, 0, 0.229, None, 0.293, 0.299),
        (600, 0, *_SLOW),
    ),
    Difference("viz knows of workloads in the mesh that were never called", *_odd("quiet"), (0, 0, *_EMPTY), None),
    Difference(
        "viz does not tell ReplicaSets of Deployments",
        Asked(("ReplicaSet",), namespace=API.namespace, name=_REPLICASET.name),
        (_REPLICASET, EVERYBODY, "from"),
        None,
        (18_360_000, 1_800_000, *_AT_API),
    ),
    Difference(
        "viz tells no callers outside the mesh",
        *_edge("web", ResourceRef("", "", "unknown"), "from"),
        None,
        (6_000_000, 300_000, *_IN_SHOP),
    ),
    Difference(
        "viz tells no callees outside the cluster",
        *_edge("web", ResourceRef("", "", "payments.example.com"), "to"),
        None,
        (2_160_000, 240_000, *_ABROAD),
    ),
    Difference(
        "viz tells no callees that are a Service without pods",
        *_edge("web", ResourceRef("Service", "shop", "dead"), "to"),
        None,
        (0, 540_000, *_EMPTY),
    ),
    Difference("viz tells a Service that others answer for", *_odd("front", "Service"), (6000, 0, *_EMPTY), None),
)
"""One row for each difference; the first three are in all rows they can be in."""

REFUSALS = {
    "totals as callers saw them": Asked(("Deployment",), side="client"),
    "HTTPRoutes": Asked(("HTTPRoute",), edges=True, direction="to"),
}
"""What viz can never answer, and Prometheus can by Linkerd's dialects."""


def numbers(sample: Sample | None) -> Numbers | None:
    """The numbers of a row."""
    if sample is None:
        return None
    return (sample.success, sample.failure, *(sample.latency.quantile(q) if sample.latency else None for q in QUANTILES))


def unexplained(ours: Mapping[Key, Sample], theirs: Mapping[Key, Sample]) -> list[str]:
    """The rows on which viz and Prometheus differ although nothing in the table says so."""
    found = [f"viz alone: {key}" for key in ours.keys() - theirs.keys()]
    found += [f"Prometheus alone: {key}" for key in theirs.keys() - ours.keys() if not _left_out(key)]
    return found + [
        f"{key}: {numbers(ours[key])} {numbers(theirs[key])}"
        for key in ours.keys() & theirs.keys()
        if not _same(ours[key], theirs[key])
    ]


def _left_out(key: Key) -> bool:
    """Whether the table says of such a row that viz has none: peers that are no objects, and ReplicaSets."""
    resource, peer, _ = key
    owned = {(each.namespace, replicaset_of(each)) for each in WORKLOADS if each.template_hash}
    if any((ref.namespace, ref.name) in owned for ref in (resource, peer) if ref.kind == "ReplicaSet"):
        return True
    return peer != EVERYBODY and peer.kind in ("", "Service")


def _same(mine: Sample, other: Sample) -> bool:
    """Whether two rows are the same but for p90, for whole milliseconds and for whole requests."""
    if mine.side != other.side or (mine.success, mine.failure) != (_whole(other.success), _whole(other.failure)):
        return False
    if mine.latency is None or other.latency is None:
        return all(one.latency is None or one.latency.quantile(0.5) is None for one in (mine, other))
    pairs = [(mine.latency.quantile(quantile), other.latency.quantile(quantile)) for quantile in VIZ_QUANTILES]
    return mine.latency.quantile(0.9) is None and all(
        ours is not None and theirs is not None and abs(ours - theirs) <= 0.0005 + 1e-9 for ours, theirs in pairs
    )


def _whole(requests: float | None) -> float | None:
    return None if requests is None else float(round(requests))
