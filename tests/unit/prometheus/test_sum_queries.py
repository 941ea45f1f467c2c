"""The query for how long all requests took together, of a histogram that a store keeps in one form or in both."""

from __future__ import annotations

from backends.dialects import Read, Reading, equal
from backends.prometheus.promql import HistogramForm, query_of
from metrics_api import Window

READ = Read(Reading.SUM, ("calls_seconds",), (equal("side", "server"),), ("app",))
CLASSIC = 'increase(calls_seconds_sum{side="server"}[60s])'


def test_the_classic_form_has_a_counter_of_its_own():
    assert query_of(READ, Window(60)) == f"sum by (app) ({CLASSIC})"


def test_what_is_kept_in_both_forms_counts_once_and_what_is_kept_in_one_is_not_lost():
    native = 'histogram_sum(increase(calls_seconds{side="server"}[60s]))'
    assert query_of(READ, Window(60), HistogramForm.BOTH) == f"sum by (app) ({CLASSIC} or {native})"
