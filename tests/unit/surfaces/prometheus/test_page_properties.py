"""Whatever things are called, a page of them is read as it was meant, and no series stands on it twice."""

from __future__ import annotations

from dataclasses import replace

from aiohttp import web
from hypothesis import example, given
from hypothesis import strategies as st
from multidict import CIMultiDict
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families as plain_text

from apiservice.surfaces.prometheus.evaluation import Snapshot, _seen
from apiservice.surfaces.prometheus.exposition import Page
from apiservice.surfaces.prometheus.expression import parse_selector
from apiservice.surfaces.prometheus.selection import Scope, select
from metrics_api import Direction, Edge, ResourceRef, Side, TrafficMetrics, Window
from tests.apiservice.memory import SHOP_WEB, total

# Python's parsers split lines where the formats do not, at U+2028 and the like.
NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]) | st.sampled_from('\\"\n{},=# '), min_size=1, max_size=8)
COUNTS = st.none() | st.integers(0, 10**15)
ROWS = st.builds(
    lambda names, direction, success, failure: replace(
        total(SHOP_WEB, 0, 0), edge=Edge(direction, Side.CLIENT, ResourceRef(*names)), success=success, failure=failure
    ),
    st.tuples(NAMES, NAMES, NAMES),
    st.sampled_from(Direction),
    COUNTS,
    COUNTS,
)
SELECTION = select(parse_selector('trafficmetrics_window_requests{peer_name!="",outcome="success"}'), Scope("", Window(30)))


@given(rows=st.lists(ROWS, max_size=6), newer=st.booleans())
@example(rows=[], newer=True)
def test_a_page_is_read_as_it_was_meant(*, rows: list[TrafficMetrics], newer: bool):
    told = {}
    for row in rows:
        told.setdefault((row.edge.direction.value, *row.edge.peer), row.success)
    snapshots = [Snapshot(SELECTION, _seen(SELECTION, [*rows, *rows], {})) for _ in range(2)]
    accept = CIMultiDict({"Accept": "application/openmetrics-text" if newer else "text/plain"})
    response = Page(snapshots, None, times=True).response(accept)
    assert isinstance(response, web.Response)
    assert isinstance(response.body, bytes)
    text = response.body.decode()
    found = [sample for family in (open_metrics if newer else plain_text)(text) for sample in family.samples]
    labels = ("direction", "peer_kind", "peer_namespace", "peer_name")
    numbers = {tuple(sample.labels.get(label, "") for label in labels): round(sample.value * 1000) for sample in found}
    assert len(numbers) == len(found)
    assert numbers == {key: success for key, success in told.items() if success is not None}
