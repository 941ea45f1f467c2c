"""Answers held against the facts: each function lists what is wrong, and nothing when all is right."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import replace

from metrics_api import Answer, Sample
from tests.doubles.mesh_truth import Asked, Key, Truth, refused
from tests.doubles.meshes import Mesh

__all__ = ["keyed", "wrong_counts", "wrong_percentiles", "wrong_rows", "wrong_sums"]


def keyed(found: Answer, mesh: Mesh, asked: Asked) -> dict[Key, Sample]:
    """The rows of an answer that is complete and warns of nothing but the half of its edges that the dialect cannot tell."""
    untold = {direction for direction in ("to", "from") if refused(mesh, replace(asked, direction=direction))}
    assert len(found.warnings) == (len(untold) if asked.edges and not asked.direction else 0), found.warnings
    assert not found.incomplete
    rows = {(sample.resource, sample.peer, sample.direction.value): sample for sample in found.samples}
    assert len(rows) == len(found.samples), "two rows are about the same thing"
    return rows


def wrong_rows(got: Mapping[Key, Sample], want: Mapping[Key, Truth]) -> list[str]:
    """Rows that are missing, that should not be, or that somebody else is said to have observed."""
    missing = [f"missing: {key}" for key in want.keys() - got.keys()]
    invented = [f"invented: {key}" for key in got.keys() - want.keys()]
    return (
        missing
        + invented
        + [f"seen by the {got[key].side}: {key}" for key in want.keys() & got.keys() if got[key].side != want[key].side]
    )


def wrong_counts(
    got: Mapping[Key, Sample], want: Mapping[Key, Truth], seconds: int, *, error: float, whole: float = 0.0, restart: float = 0.0
) -> list[str]:
    """Rows whose counts are off by more than the share ``error`` of what they should be.

    ``whole`` allows for a share of all the requests of the row as well: what is added and taken away is known no better than they are.
    ``restart`` is the share that a pod which restarts may lose of its own.
    """
    found: list[str] = []
    for key, truth in want.items():
        requests = (truth.success + truth.failure) * seconds
        restarting = truth.restarting * seconds / requests if requests else 0.0
        lost = restart * restarting
        allowed = error + (lost if lost > 0.009 else 0.0)
        for what, count, rate in (("success", got[key].success, truth.success), ("failure", got[key].failure, truth.failure)):
            true = rate * seconds
            if count is None or abs(count - true) > max(allowed * true, whole * requests):
                found.append(f"{what} is {count}, not {true}: {key}")
    return found


def wrong_percentiles(mesh: Mesh, got: Mapping[Key, Sample], want: Mapping[Key, Truth], *, margin: float) -> list[str]:
    """Rows with a percentile outside the bucket of the true one, or of one ``margin`` (a share of the requests) beside it."""
    found: list[str] = []
    for key, truth in want.items():
        for q in (0.5, 0.9, 0.99):
            latency = got[key].latency
            value = latency.quantile(q) if latency is not None else None
            low, high = truth.percentile(q - margin), truth.percentile(min(q + margin, 1.0))
            if low is None or high is None:
                if value is not None:
                    found.append(f"p{100 * q:g} is {value}, of nothing: {key}")
                continue
            lower, upper = _bucket(mesh, low)[0], _bucket(mesh, high)[1]
            if value is None or not lower <= value <= upper:
                found.append(f"p{100 * q:g} is {value}, not from {lower} to {upper}: {key}")
    return found


def wrong_sums(got: Mapping[Key, Sample], want: Mapping[Key, Truth], seconds: int) -> list[str]:
    """Rows whose requests took another time together than the facts say."""
    found: list[str] = []
    for key, truth in want.items():
        latency = got[key].latency
        took, true = latency.sum if latency is not None else None, seconds * sum(at * weight for at, weight in truth.latencies)
        if (took is None and truth.latencies) or (took is not None and not math.isclose(took, true, rel_tol=1e-6, abs_tol=1e-6)):
            found.append(f"took {took} seconds together, not {true}: {key}")
    return found


def _bucket(mesh: Mesh, value: float) -> tuple[float, float]:
    """The bounds of the bucket of a latency; above the last one it is shown as the last bound."""
    at = bisect_left(mesh.bounds, value)
    upper = mesh.bounds[min(at, len(mesh.bounds) - 1)]
    return (mesh.bounds[at - 1] if at else 0.0), upper
