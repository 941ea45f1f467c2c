"""A dialect of a few lines, for tests of how sources read: successes and failures by code, and latencies in milliseconds."""

from __future__ import annotations

from backends.dialects import parse_dialect

__all__ = ["SMALL"]

SMALL = parse_dialect(
    """
    name: small
    views:
    - name: served
      side: server
      requests: requests_total
      outcome: [{failure: {code: "5.."}}, {success: {}}]
      latency: {metric: latency_ms, unit: milliseconds}
      destination:
      - Deployment: {namespace: namespace, name: app}
    """,
    "small.yaml",
)
