"""PromQL from reads. Names reach a query as quoted strings only, so no name, however hostile, can become PromQL."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

from backends.dialects import Matcher, Read, Reading
from metrics_api import Window

__all__ = ["HistogramForm", "query_of", "quoted", "selector"]

_MARK = "trafficmetrics_counter"


class HistogramForm(Enum):
    """In which forms a store keeps a histogram."""

    CLASSIC = "classic"
    BOTH = "both"


def query_of(read: Read, window: Window, form: HistogramForm = HistogramForm.CLASSIC) -> str:
    """The PromQL that answers one read: the increase over the window, summed by the labels asked for.

    ``increase`` rather than ``rate``, so that histograms of different sources and counts are all numbers of requests.
    """
    span = f"{window.seconds}s"
    if read.reading is Reading.HISTOGRAM:
        return _histogram(read, span, form)
    if read.reading is Reading.SUM:
        return _sum(read, span, form)
    if len(read.metrics) == 1:
        return f"sum by ({_labels(read.by)}) ({_increase(read.metrics[0], read.matchers, span)})"
    # The mark keeps series of different counters apart that have the same labels otherwise.
    marked = " or ".join(
        f'label_replace({_increase(metric, read.matchers, span)}, "{_MARK}", "{index}", "", "")'
        for index, metric in enumerate(read.metrics)
    )
    return f"sum by ({_labels(read.by)}) ({marked})"


def _histogram(read: Read, span: str, form: HistogramForm) -> str:
    (metric,) = read.metrics
    classic = _increase(f"{metric}_bucket", read.matchers, span)
    by = _labels(("le", *read.by))
    if form is HistogramForm.CLASSIC:
        return f"sum by ({by}) ({classic})"
    # A series kept in both forms must count once: its native form is the finer one.
    native = _increase(metric, read.matchers, span)
    return f"sum by ({by}) ({classic} unless ignoring (le) {native}) or sum by ({_labels(read.by)}) ({native})"


def _sum(read: Read, span: str, form: HistogramForm) -> str:
    (metric,) = read.metrics
    sums = _increase(f"{metric}_sum", read.matchers, span)
    if form is HistogramForm.BOTH:
        # What is kept in both forms has the same labels in both, and counts once.
        sums = f"{sums} or histogram_sum({_increase(metric, read.matchers, span)})"
    return f"sum by ({_labels(read.by)}) ({sums})"


def _increase(metric: str, matchers: Sequence[Matcher], span: str) -> str:
    return f"increase({selector(metric, matchers)}[{span}])"


def selector(metric: str, matchers: Sequence[Matcher]) -> str:
    """An instant vector selector."""
    body = ",".join(f"{matcher.label}{matcher.comparison.value}{quoted(matcher.value)}" for matcher in matchers)
    return f"{metric}{{{body}}}" if body else metric


def quoted(text: str) -> str:
    """A PromQL string literal; the rules are those of Go's double-quoted strings. What is not Unicode becomes a question mark.

    The replacement character is escaped: as it stands, Prometheus' lexer takes it for broken UTF-8.
    """
    out = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\ufffd", "\\ufffd")
    return f'"{out.encode(errors="replace").decode()}"'


def _labels(by: Sequence[str]) -> str:
    return ", ".join(by)
