"""A table of ``kubectl traffic top`` on its way to the user: asked for, sorted, made text, printed or drawn."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import UTC, datetime

from kubectl_traffic.formats import csv_lines, json_text
from kubectl_traffic.live import Ask, Trends, watch_on_screen, watch_plainly
from kubectl_traffic.reading import Reading, read
from kubectl_traffic.screen import has_colours, terminal_width
from kubectl_traffic.sheet import clean, lay_out
from kubectl_traffic.subject import Subject
from kubectl_traffic.top import Top
from kubectl_traffic.view import measure, sort_rows
from metrics_api.objects import TrafficMetrics

__all__ = ["show"]

_PATIENCE = 60  # seconds after which a live table says that there is no newer answer, although a server hangs


def show(top: Top) -> int:
    """Print a table as it is wanted; the exit code is 0. Raises :class:`kubectl_traffic.kubectl.KubectlError`."""
    namespace = top.kubectl.namespace() if top.subject.namespaced else ""
    # The edges of all workloads are rows of the resource that is all workloads.
    listed = Subject() if top.edges and not top.subject.name else top.subject
    path = listed.path(namespace, edges=top.edges and bool(top.subject.name))

    kubectl = top.kubectl

    def ask() -> Reading:
        nonlocal kubectl
        reading = read(kubectl, path, top.parameters)
        # Whoever had to log in, however long that took, has done so.
        kubectl = top.kubectl.within(_PATIENCE)
        return reading._replace(rows=tuple(sort_rows(reading.rows, top.sort, reverse=top.reverse))) if top.sort else reading

    table = _Table(top, namespace)
    return table.once(ask()) if top.interval is None else table.watch(ask, top.interval)


class _Table:
    """The table of ``top`` in a namespace, empty for all; it remembers what it has shown, for the trends."""

    def __init__(self, top: Top, namespace: str) -> None:
        self._top = top
        self._namespace = namespace
        self._view = top.view()
        self._colour = has_colours(top.colour)
        self._trends = Trends(measure(top.trend))
        self._told = False

    def once(self, reading: Reading) -> int:
        """One table, or why there is none."""
        self._warn(reading)
        match self._top.output:
            case "json":
                print(json_text(reading.rows))  # noqa: T201 a command prints
            case "csv":
                print(csv_lines(reading.rows), end="")  # noqa: T201
            case _ if reading.rows:
                print("\n".join(self._lines(reading.rows, terminal_width())))  # noqa: T201
            case _:
                print(self._nothing, file=sys.stderr)  # noqa: T201
        return 0

    def watch(self, ask: Ask, interval: float) -> int:
        """Tables until the user has enough."""
        if self._top.output in ("json", "csv"):
            return watch_plainly(ask, self._data, interval, apart=False)
        if sys.stdout.isatty():
            return watch_on_screen(ask, self._screen, interval)
        return watch_plainly(ask, self._plain, interval)

    def _lines(self, rows: Sequence[TrafficMetrics], width: int) -> list[str]:
        headings = self._view.headings()
        if not self._top.headers:
            headings = [heading._replace(text="") for heading in headings]
        cells = [self._view.cells(row, self._trends.line(row)) for row in rows]
        return lay_out(headings, cells, width=width, colour=self._colour)

    def _data(self, reading: Reading, _width: int) -> list[str]:
        self._warn(reading)
        if self._top.output == "json":
            return [json_text(reading.rows, indent=None)]
        head, self._told = not self._told, True
        return csv_lines(reading.rows, head=head).splitlines()

    def _plain(self, reading: Reading, width: int) -> list[str]:
        self._warn(reading)
        return self._screen(reading, width)

    def _screen(self, reading: Reading, width: int) -> list[str]:
        self._trends.add(reading.rows)
        return [self._title(reading), *(self._lines(reading.rows, width) if reading.rows else [self._nothing])]

    def _title(self, reading: Reading) -> str:
        """What is seen, and as of when."""
        where = (self._namespace or "all namespaces") if self._top.subject.namespaced else "the cluster"
        what = f"edges of {self._top.subject}" if self._top.edges else str(self._top.subject)
        parts = [where, what]
        if reading.rows:
            newest = max(reading.rows, key=lambda row: row.instant)
            parts += [f"{newest.window} until {datetime.fromtimestamp(newest.instant, UTC):%H:%M:%S} UTC"]
        return "  ".join([*parts, f"every {self._top.interval:g}s"])

    def _warn(self, reading: Reading) -> None:
        for warning in reading.warnings:
            print(f"Warning: {clean(warning)}", file=sys.stderr)  # noqa: T201

    @property
    def _nothing(self) -> str:
        where = f" in {self._namespace} namespace" if self._namespace else ""
        return f"No resources found{where}."
