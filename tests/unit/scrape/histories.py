"""Histories for tests, filled from texts as scraping fills them, and a small dialect whose every part can be told apart."""

from __future__ import annotations

from collections.abc import Mapping

from backends.dialects import parse_dialect
from backends.scrape.exposition import Exposition
from backends.scrape.snapshots import Allowance, Draft, History
from backends.scrape.vocabulary import Vocabulary

DIALECT = parse_dialect(
    """
    name: small
    views:
    - name: served
      side: server
      match: hidden!="yes"
      requests: requests_total
      outcome: [{failure: {code: "5.."}}, {success: {}}]
      corrections: [[oops_total, alas_total]]
      latency: {metric: latency_ms, unit: milliseconds}
      destination:
      - Deployment: {namespace: namespace, name: app}
    - name: sent
      side: client
      requests: sent_total
      outcome: [{failure: {code: "5.."}}, {success: {}}]
      latency: {metric: sent_ms, unit: milliseconds}
      source:
      - Deployment: {namespace: namespace, name: app}
      destination:
      - Deployment: {namespace: peer_namespace, name: peer}
    """,
    "small.yaml",
)
VOCABULARY = Vocabulary.of(DIALECT)
EXPOSITION = Exposition(VOCABULARY.metrics)
PLENTY = 1_000_000


def history(labels: Mapping[str, str] | None = None, *, span: float = 300.0, allowance: Allowance | None = None) -> History:
    """An empty history of a target."""
    return History(VOCABULARY, labels or {}, span, allowance or Allowance(PLENTY))


def scrape(held: History, moment: float, text: str) -> None:
    """One scrape that succeeded."""
    draft = Draft()
    for samples in EXPOSITION.read(text.encode()):
        held.take(draft, samples)
    held.commit(draft, moment)
    held.discard(draft)
