"""What is true of the fleet as far as viz can tell it, computed from its facts.

Written from what viz asks of its Prometheus (linkerd/linkerd2, viz/metrics-api/stat_summary.go), without the source that reads viz.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from typing import ClassVar

from metrics_api import ResourceRef, Sample
from tests.doubles.mesh_facts import Workload
from tests.doubles.mesh_truth import Asked, Key, Truth, rows
from tests.doubles.meshes import CALLERS, EVERY_KIND, FROM, TO, TOTAL, Seen
from tests.doubles.meshes.linkerd import Linkerd

__all__ = ["VIZ", "VIZ_QUANTILES", "told", "wrong_latencies"]

VIZ_QUANTILES = (0.5, 0.95, 0.99)

_HALF = 0.0005 + 1e-9
"""Half a millisecond, by which rounding may move a percentile out of its bucket."""


class _Viz(Linkerd):
    """Linkerd's proxies, by what viz asks about them: totals of the called, and edges as callers saw them."""

    name = "linkerd-viz"
    never: ClassVar = {
        TOTAL: frozenset({"Node"}),
        TO: frozenset({"Node", "Service"}),
        FROM: frozenset({"Node"}),
        CALLERS: EVERY_KIND - {"Service"},
    }

    def tells_peer(self, seen: Seen, other: str) -> bool:  # noqa: ARG002
        """Edges are what callers saw."""
        return seen.side == "client"

    def named(self, seen: Seen, which: str, kind: str, *, only: bool) -> ResourceRef | None:
        """As the labels have it; the ReplicaSet of a Deployment is in none of those that viz looks at."""
        thing, _ = seen.end(which)
        if kind == "ReplicaSet" and isinstance(thing, Workload) and thing.kind != kind:
            return None
        return super().named(seen, which, kind, only=only)


VIZ = _Viz()


def told(asked: Asked) -> dict[Key, Truth]:
    """Every row that viz can know the answer by.

    Totals are what the called saw, but those of Services what callers saw. Both ends of an edge are objects of Kubernetes.
    """
    found = rows(VIZ, asked)
    if asked.edges:
        return {key: truth for key, truth in found.items() if key[1].kind not in ("", "Service")}
    return {key: truth for key, truth in found.items() if (key[0].kind == "Service") == (truth.side == "client")}


def wrong_latencies(got: Mapping[Key, Sample], want: Mapping[Key, Truth]) -> list[str]:
    """Rows with a percentile that is not in the bucket of the true one, or with one that viz does not give."""
    found: list[str] = []
    for key, truth in want.items():
        latency = got[key].latency
        if latency is not None and latency.quantile(0.9) is not None:
            found.append(f"has a p90: {key}")
        for quantile in VIZ_QUANTILES:
            value = latency.quantile(quantile) if latency is not None else None
            true = truth.percentile(quantile)
            if true is None:
                if value is not None:
                    found.append(f"p{100 * quantile:g} is {value}, of nothing: {key}")
                continue
            at = bisect_left(VIZ.bounds, true)
            lower, upper = VIZ.bounds[at - 1] if at else 0.0, VIZ.bounds[at]
            if value is None or not lower - _HALF <= value <= upper + _HALF or round(value * 1000) != value * 1000:
                found.append(f"p{100 * quantile:g} is {value}, not whole milliseconds from {lower} to {upper}: {key}")
    return found
