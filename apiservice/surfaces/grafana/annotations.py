"""Annotations for data sources that ask for them apart: the stretches of time in which a metric was above or below a bound.

The text of one is ``failure_ratio?namespace=shop&kind=deployments&above=0.05``. Data sources of today ask for annotations as they ask for
panels (simPod/GrafanaJsonDatasource, CHANGELOG.md, 0.3).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from apiservice.encoding import encode
from apiservice.identity import User
from apiservice.negotiate import Encoding
from apiservice.surfaces.grafana.asking import ROWS, Past, Reading
from apiservice.surfaces.grafana.metrics import Form, Metric, find_target
from apiservice.surfaces.grafana.panels import sentences
from apiservice.surfaces.grafana.reads import reads_of
from apiservice.surfaces.grafana.series import Legend, Line, lines_of
from apiservice.surfaces.grafana.times import fitting_window, parse_range, span_of
from apiservice.surfaces.grafana.wanted import parse_text, parse_wanted
from apiservice.surfaces.reading import Reader
from metrics_api.errors import BadQuery
from metrics_api.span import Span
from metrics_api.together import aside
from metrics_api.window import Window

__all__ = ["Annotations"]

_POINTS = 200
"""Instants that are looked at: a mark on a panel is some points wide."""

_MOST_MARKS = 1_000
"""Marks of one annotation: more of them nobody can tell apart."""

_LARGEST = 4_096
"""Bytes of what describes an annotation, which each of its marks repeats."""


class Annotations:
    """Answers through ``reader``. ``window`` is the default one, ``clock`` is Unix time."""

    def __init__(self, reader: Reader, window: Window, clock: Callable[[], float]) -> None:
        self._reader = reader
        self._window = window
        self._clock = clock

    async def answer(self, user: User, document: Mapping[str, Any], scope: str) -> tuple[list[dict[str, Any]], list[str]]:
        """What ``POST grafana/annotations`` answers, and what its reader should know. Raises BadQuery, and what the API raises."""
        annotation = document.get("annotation")
        text = str(annotation.get("query") or "").strip() if isinstance(annotation, Mapping) else ""
        if len(encode(annotation, Encoding.JSON)) > _LARGEST:
            raise BadQuery(f"an annotation is described in more than {_LARGEST} bytes, and each of its marks repeats them")
        now = self._clock()
        asked = parse_range(document.get("range"), document.get("rangeRaw"), now)
        if not text:
            return [], []
        word, fields = parse_text(text)
        above, below = (_bound(fields.pop(name, None), name) for name in ("above", "below"))
        if asked is None or (above is None and below is None):
            raise BadQuery("an annotation has a range and a bound: write failure_ratio?namespace=shop&above=0.05")
        wanted = parse_wanted({**fields, "format": "timeseries"}, find_target(word))
        if len(wanted.target.metrics) != 1 or wanted.form is not Form.SERIES:
            raise BadQuery(f'an annotation is about one metric, and "{word[:40]}" is about several')
        reading = Reading(self._reader, user)
        counted = await reading.rows((read, Past()) for read in reads_of(wanted, scope, self._window))
        most = max(ROWS // max(sum(counted.values()), 1), 2)
        span = span_of(asked, now, self._window.seconds, min(_POINTS, most))
        if span is None:
            return [], []
        found = await reading.read((read, span) for read in reads_of(wanted, scope, fitting_window(self._window, span)))
        moments = ((instant, result) for results in found.values() for instant, result in zip(span.instants, results, strict=True))
        told = [*wanted.remarks, *sentences(result for results in found.values() for result in results)]
        rows = sum(len(result.rows) for results in found.values() for result in results)
        lines = await aside(rows * (1 + len(wanted.filters)), lambda: lines_of(moments, wanted))
        marks = list(islice(_marks(lines, wanted.target.metrics[0], span, above, below), _MOST_MARKS + 1))
        if len(marks) > _MOST_MARKS:
            marks.pop()
            told.append(f"these are the first {_MOST_MARKS} stretches of time: choose a namespace or a name to see others")
        return [{"annotation": annotation, **mark} for mark in marks], told


def _marks(lines: Sequence[Line], metric: Metric, span: Span, above: float | None, below: float | None) -> Iterator[dict[str, Any]]:
    """What a panel marks, times in milliseconds."""
    legend = Legend.of([(line, metric) for line in lines])

    def broken(value: float) -> bool:
        return (above is not None and value > above) or (below is not None and value < below)

    for line in lines:
        for start, end, worst in _stretches(line, metric, span, broken, highest=above is not None):
            yield {
                "time": start * 1_000,
                "timeEnd": end * 1_000,
                "isRegion": True,
                "title": f"{metric.label}: {legend.name(line, metric)}",
                "tags": [metric.name, *line.labels.values()],
                "text": f"{metric.name} {'up to' if above is not None else 'down to'} {worst:.6g}",
            }


def _stretches(
    line: Line, metric: Metric, span: Span, broken: Callable[[float], bool], *, highest: bool
) -> Iterator[tuple[int, int, float]]:
    """First and last instant of each stretch out of bounds, and the worst value in it. What is unknown ends a stretch."""
    begun: tuple[int, int, float] | None = None
    for instant in span.instants:
        value = metric.value(line.numbers[instant]) if instant in line.numbers else None
        if value is None or not broken(value):
            if begun is not None:
                yield begun
            begun = None
        elif begun is None:
            begun = instant, instant, value
        else:
            begun = begun[0], instant, max(begun[2], value) if highest else min(begun[2], value)
    if begun is not None:
        yield begun


def _bound(text: str | None, name: str) -> float | None:
    if text is None:
        return None
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise BadQuery(f'{name} is "{text[:40]}": write a number')
    return number
