"""Series as pages that are scraped: OpenMetrics where it is asked for, and Prometheus' text format otherwise.

Samples carry no time unless it is asked for. Without one a Prometheus takes the time of the scrape, and marks a series that is gone from
the next page as stale, so graphs end and alerts fall silent with the workload. With one it goes on with the last value for five minutes,
because it cannot know whether a later sample is still to come (prometheus.io, "Querying basics", staleness).
Formats: prometheus.io, "Exposition formats"; OpenMetrics 1.0.0 (openmetrics.io).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from aiohttp import web
from multidict import CIMultiDict, MultiMapping

from apiservice.encoding import accepts_gzip, compress
from apiservice.negotiate import accept_of
from apiservice.sending import PIECE, Streamed
from apiservice.surfaces.prometheus.evaluation import Snapshot, number
from apiservice.surfaces.prometheus.vocabulary import FAMILIES, INCOMPLETE, Family, Labels
from apiservice.warning import warning_headers

__all__ = ["Page"]

_OPEN_METRICS = "application/openmetrics-text"
_TEXT = "text/plain"
_MOST_WHOLE = 2_000
"""Rows up to which a page is made whole; a larger one is made while it is sent."""
_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})


class Page(NamedTuple):
    """What a page is made of. ``incomplete`` is told if it is not None; ``times`` adds the instants."""

    snapshots: Sequence[Snapshot]
    incomplete: bool | None
    times: bool

    def response(self, headers: MultiMapping[str]) -> web.StreamResponse:
        """The page, each series once; ``headers`` are those of the request."""
        open_metrics = _prefers_open_metrics(accept_of(headers))
        version = "1.0.0" if open_metrics else "0.0.4"
        media = f"{_OPEN_METRICS if open_metrics else _TEXT}; version={version}; charset=utf-8"
        sent = CIMultiDict({"Content-Type": media, "Vary": "Accept, Accept-Encoding"})
        for value in warning_headers(warning for found in self.snapshots for warning in found.warnings):
            sent.add("Warning", value)
        parts = self._parts(open_metrics=open_metrics)
        gzip = accepts_gzip(headers)
        if sum(len(found.rows) for found in self.snapshots) > _MOST_WHOLE:
            return Streamed(parts, sent, gzip=gzip)
        body = b"".join(parts)
        if gzip:
            sent["Content-Encoding"] = "gzip"
            body = compress(body)
        return web.Response(body=body, headers=sent)

    def _parts(self, *, open_metrics: bool) -> Iterator[bytes]:
        """The page, some lines at a time."""
        lines: list[str] = []
        size = 0
        for line in self._lines(open_metrics=open_metrics):
            lines.append(line)
            size += len(line)
            if size > PIECE:
                yield "".join(lines).encode()
                lines.clear()
                size = 0
        if open_metrics:
            lines.append("# EOF\n")
        yield "".join(lines).encode()

    def _lines(self, *, open_metrics: bool) -> Iterator[str]:
        """Line by line. A metric stands in one place, whoever selected it."""
        texts: dict[int, str] = {}
        for family in FAMILIES:
            heading = _heading(family, open_metrics=open_metrics)
            for labels, value, instant in self._series(family, texts):
                yield from heading
                heading = ()
                when = "" if not self.times else f" {instant}" if open_metrics else f" {instant}000"
                yield f"{family.name}{f'{{{labels}}}' if labels else ''} {number(value)}{when}\n"

    def _series(self, family: Family, texts: dict[int, str]) -> Iterator[tuple[str, float, int]]:
        """The series of one metric: labels as they are written, value, instant. ``texts`` keeps the labels of rows."""
        if family is INCOMPLETE:
            if self.incomplete is not None:
                yield "", float(self.incomplete), max((found.instant for found in self.snapshots), default=0)
            return
        own = {measure: _written(dict(measure.labels)) for measure in family.measures}
        told: set[str] = set()
        for found in self.snapshots:
            for measure, row, value in found.samples_of(family):
                about = texts.get(id(row)) or texts.setdefault(id(row), _written(row.labels))
                labels = f"{about},{own[measure]}" if own[measure] else about
                if len(self.snapshots) > 1:
                    # Two selectors may select the same series.
                    if labels in told:
                        continue
                    told.add(labels)
                yield labels, value, row.instant


def _heading(family: Family, *, open_metrics: bool) -> tuple[str, ...]:
    lines = (f"# HELP {family.name} {family.help}\n", f"# TYPE {family.name} gauge\n")
    return (*lines, f"# UNIT {family.name} {family.unit}\n") if open_metrics and family.unit else lines


def _written(labels: Labels) -> str:
    return ",".join(f'{label}="{value.translate(_ESCAPES)}"' for label, value in labels.items())


def _prefers_open_metrics(accept: str) -> bool:
    """Whether a client understands OpenMetrics, and likes it no less than text."""
    wanted = {_OPEN_METRICS: 0.0, _TEXT: 0.0}
    for clause in accept.lower().split(","):
        media, *parameters = (part.strip() for part in clause.split(";"))
        if media in wanted:
            weights = [part.removeprefix("q=") for part in parameters if part.startswith("q=")]
            try:
                weight = float(weights[0]) if weights else 1.0
            except ValueError:
                weight = 1.0
            wanted[media] = max(wanted[media], weight)
    return wanted[_OPEN_METRICS] > 0 and wanted[_OPEN_METRICS] >= wanted[_TEXT]
