"""PromQL from reads. Names reach a query as quoted strings only, so no name, however hostile, can become PromQL."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

from backends.dialects import Comparison, Matcher, Read, Reading, Temporality
from backends.dialects.keeping import TEMPORALITY
from backends.dialects.names import listed, spelt
from metrics_api import Window

__all__ = ["HistogramForm", "form_matters", "query_of", "quoted", "selector"]

_MARK = "trafficmetrics_counter"


_NO_TOTAL = Matcher(TEMPORALITY, Comparison.NOT_EQUAL, Temporality.CUMULATIVE.value)
"""A running total would be added up once for each of its samples. Where series do not tell, all of them are taken."""


class HistogramForm(Enum):
    """In which forms a store keeps a histogram."""

    CLASSIC = "classic"
    NATIVE = "native"
    BOTH = "both"


def form_matters(read: Read) -> bool:
    """Whether the store has to be asked in which forms it keeps what is read."""
    return read.reading in (Reading.HISTOGRAM, Reading.SUM) and not read.native


def query_of(read: Read, window: Window, form: HistogramForm = HistogramForm.CLASSIC) -> str:
    """The PromQL that answers one read: the increase over the window, summed by the labels asked for.

    ``increase`` rather than ``rate``, so that histograms of different sources and counts are all numbers of requests. Of deltas it is the
    sum: each sample tells what came since the one before (Prometheus, docs/feature_flags.md, "OTLP native delta support"; CloudWatch User
    Guide, "PromQL querying"). ``form`` is for histograms of which the read does not say that they are native.
    """
    span = f"{window.seconds}s"
    form = HistogramForm.NATIVE if read.native else form
    if read.reading is Reading.HISTOGRAM:
        return _histogram(read, span, form)
    if read.reading is Reading.SUM:
        return _sum(read, span, form)
    moved = [_increase(read, metric, span) for metric in read.metrics]
    if read.reading is Reading.COUNT:
        moved = [f"histogram_count({each})" for each in moved]
    if len(moved) == 1:
        return f"sum by ({listed(read.by)}) ({moved[0]})"
    # The mark keeps series of different counters apart that have the same labels otherwise.
    marked = " or ".join(f'label_replace({each}, "{_MARK}", "{index}", "", "")' for index, each in enumerate(moved))
    return f"sum by ({listed(read.by)}) ({marked})"


def _histogram(read: Read, span: str, form: HistogramForm) -> str:
    (metric,) = read.metrics
    # A series kept in both forms must count once: its native form is the finer one.
    native = _increase(read, metric, span)
    if form is HistogramForm.NATIVE:
        return f"sum by ({listed(read.by)}) ({native})"
    classic = _increase(read, f"{metric}_bucket", span)
    by = listed(("le", *read.by))
    if form is HistogramForm.CLASSIC:
        return f"sum by ({by}) ({classic})"
    return f"sum by ({by}) ({classic} unless ignoring (le) {native}) or sum by ({listed(read.by)}) ({native})"


def _sum(read: Read, span: str, form: HistogramForm) -> str:
    (metric,) = read.metrics
    native = f"histogram_sum({_increase(read, metric, span)})"
    classic = _increase(read, f"{metric}_sum", span)
    # What is kept in both forms has the same labels in both, and counts once.
    sums = {
        HistogramForm.CLASSIC: classic,
        HistogramForm.NATIVE: native,
        HistogramForm.BOTH: f"{classic} or {native}",
    }
    return f"sum by ({listed(read.by)}) ({sums[form]})"


def _increase(read: Read, metric: str, span: str) -> str:
    if read.temporality is Temporality.DELTA:
        return f"sum_over_time({selector(metric, (*read.matchers, _NO_TOTAL))}[{span}])"
    return f"increase({selector(metric, read.matchers)}[{span}])"


def selector(metric: str, matchers: Sequence[Matcher]) -> str:
    """An instant vector selector. A name that only Prometheus 3 knows is quoted, and stands among the matchers."""
    body = [f"{spelt(matcher.label)}{matcher.comparison.value}{quoted(matcher.value)}" for matcher in matchers]
    if spelt(metric) != metric:
        return f"{{{','.join((spelt(metric), *body))}}}"
    return f"{metric}{{{','.join(body)}}}" if body else metric


def quoted(text: str) -> str:
    """A PromQL string literal; the rules are those of Go's double-quoted strings. What is not Unicode becomes a question mark.

    The replacement character is escaped: as it stands, Prometheus' lexer takes it for broken UTF-8.
    """
    out = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\ufffd", "\\ufffd")
    return f'"{out.encode(errors="replace").decode()}"'
