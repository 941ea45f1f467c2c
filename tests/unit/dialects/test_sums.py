"""How long all requests took together: read for a mean, and known only if it is known of every request that was timed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from backends.dialects import Read, Reading, Rows, interpret, parse_dialect, plan
from metrics_api import Histogram, TrafficQuery, Window

TWO = parse_dialect(
    """
    name: two
    views:
    - name: requests
      side: server
      requests: [old_total, new_total]
      outcome: [{success: {}}]
      latency: [{metric: old_ms, unit: milliseconds}, {metric: new_seconds, unit: seconds}]
      destination: [Deployment: {namespace: ns, name: app}]
    """,
    "two.yaml",
)
QUERY = TrafficQuery(("Deployment",), Window(60), 0, sums=True)
WEB = ("shop", "web")


def test_sums_are_read_when_they_are_asked_for():
    kinds = [read.reading for (parts,) in (plan(TWO, QUERY),) for part in parts for read in part.reads]
    assert kinds.count(Reading.SUM) == 2
    kinds = [read.reading for (parts,) in (plan(TWO, replace(QUERY, sums=False)),) for part in parts for read in part.reads]
    assert Reading.SUM not in kinds


@pytest.mark.parametrize(
    ("timed", "summed", "seconds"),
    [
        ({"old_ms", "new_seconds"}, {"old_ms": 2.0, "new_seconds": 3.0}, 5.0),
        ({"old_ms", "new_seconds"}, {"old_ms": 2.0}, None),
        ({"old_ms"}, {"old_ms": 2.0}, 2.0),
        ({"new_seconds"}, {}, None),
    ],
    ids=["both", "one-of-two", "one-of-one", "none"],
)
def test_a_sum_is_known_if_it_is_of_all_that_was_timed(timed: set[str], summed: dict[str, float], seconds: float | None):
    (parts,) = plan(TWO, QUERY)
    (part,) = parts
    results: dict[Read, Rows] = {part.requests: {WEB: 4.0}}
    results |= {
        read: {WEB: Histogram((1.0, float("inf")), (2.0, 0.0))} if read.metrics[0] in timed else {} for read in part.latencies
    }
    results |= {read: {WEB: summed[read.metrics[0]]} if read.metrics[0] in summed else {} for read in part.sums}
    (sample,) = interpret(parts, QUERY, results, "mesh")
    assert isinstance(sample.latency, Histogram)
    assert sample.latency.sum == seconds


def test_sums_of_one_thing_under_several_labels_are_added():
    """A store may keep what a proxy was called before a relabelling and what it is called now."""
    renamed = parse_dialect(
        """
        name: renamed
        views:
        - name: requests
          side: server
          requests: calls_total
          outcome: [{success: {}}]
          latency: {metric: calls_seconds, unit: seconds}
          destination:
          - Deployment: {namespace: ns, name: app}
          - Deployment: {namespace: ns, name: deployment}
        """,
        "renamed.yaml",
    )
    ((part,),) = plan(renamed, QUERY)
    keys = (("shop", "web", ""), ("shop", "", "web"))
    (latency,), (total,) = part.latencies, part.sums
    results: dict[Read, Rows] = {
        part.requests: dict.fromkeys(keys, 4.0),
        latency: dict.fromkeys(keys, Histogram((1.0, float("inf")), (4.0, 0.0))),
        total: dict(zip(keys, (2.0, 3.0), strict=True)),
    }
    (sample,) = interpret([part], QUERY, results, "mesh")
    assert isinstance(sample.latency, Histogram)
    assert sample.latency.sum == 5.0
    assert sample.success == 8.0
