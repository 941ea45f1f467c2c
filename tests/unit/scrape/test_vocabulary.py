"""What is kept of a dialect's world is all its reads can ask for, and no more than the dialect names."""

from __future__ import annotations

from itertools import product

import pytest

from backends.dialects import Reading, builtin_dialects, load_dialect, parse_dialect, plan
from backends.scrape.vocabulary import Vocabulary
from metrics_api import RESOURCE_TYPES, ResourceRef, Side, TrafficQuery, Window


@pytest.mark.parametrize("name", builtin_dialects())
def test_every_read_of_every_question_is_covered(name: str):
    dialect = load_dialect(name)
    vocabulary = Vocabulary.of(dialect)
    reads = set()
    kinds = [row.kind for row in RESOURCE_TYPES]
    for kind, edges, peer, side, named in product(kinds, (False, True), ("", *kinds), (None, *Side), ("", "web")):
        query = TrafficQuery(
            (kind,), Window(30), 0, namespace=named and "shop", name=named, edges=edges, peer_kind=peer, side=side,
            peer=ResourceRef("", "shop", "api") if named else ResourceRef("", "", ""),
        )  # fmt: skip
        reads |= {read for stage in plan(dialect, query) for part in stage for read in part.reads}
    assert reads
    for read in reads:
        assert set(read.metrics) <= (vocabulary.counters if read.reading is Reading.COUNTER else vocabulary.histograms)
        assert {*read.by, *(matcher.label for matcher in read.matchers)} <= set(vocabulary.labels)


def test_the_names_looked_for_are_those_of_counters_and_of_buckets():
    assert Vocabulary.of(load_dialect("istio")).metrics == {
        "istio_requests_total",
        "istio_request_duration_milliseconds_bucket",
        "istio_request_duration_milliseconds_sum",
        "istio_tcp_connections_opened_total",
        "istio_tcp_received_bytes_total",
    }


def test_the_label_that_tells_the_observer_is_kept():
    dialect = parse_dialect(
        """
        name: told
        views:
        - name: requests
          side: {label: seen_by, values: {callee: server, caller: client}}
          requests: requests_total
          outcome: [{success: {}}]
          latency: {metric: latency, unit: seconds}
          destination: [Deployment: {namespace: namespace, name: app}]
        """,
        "told.yaml",
    )
    assert set(Vocabulary.of(dialect).labels) == {"seen_by", "namespace", "app"}
