"""Samples as a test writes them down, each at its instant, put into real stores: rates that change, gaps, restarts."""

from __future__ import annotations

import subprocess
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.doubles.stores import command, prometheus, victoria_metrics

__all__ = ["Timelines", "kept_by_prometheus", "kept_by_victoria_metrics"]

Timelines = Mapping[str, Sequence[tuple[int, float]]]
"""The samples of each series, Unix seconds and value, by its name and labels as an exposition writes them."""


@contextmanager
def kept_by_prometheus(directory: Path, timelines: Timelines) -> Iterator[str]:
    """The URL of a Prometheus that keeps these samples, and scrapes nothing."""
    text = directory / "samples.om"
    text.write_text(_exposition(timelines, 1) + "# EOF\n", encoding="utf-8")
    blocks = [command("promtool"), "tsdb", "create-blocks-from", "openmetrics", "--quiet", str(text), str(directory / "tsdb")]
    subprocess.run(blocks, check=True, capture_output=True)
    with prometheus(directory, (), retention="100y") as url:
        yield url


@contextmanager
def kept_by_victoria_metrics(directory: Path, timelines: Timelines) -> Iterator[str]:
    """The URL of a VictoriaMetrics that keeps these samples, and scrapes nothing."""
    with victoria_metrics(directory, (), retention="100y") as url:
        _post(f"{url}/api/v1/import/prometheus", _exposition(timelines, 1000))
        _post(f"{url}/internal/force_flush", "")
        yield url


def _exposition(timelines: Timelines, scale: int) -> str:
    return "".join(f"{name} {value!r} {instant * scale}\n" for name, samples in timelines.items() for instant, value in samples)


def _post(url: str, body: str) -> None:
    with urllib.request.urlopen(url, data=body.encode(), timeout=60) as response:  # noqa: S310 a store of ours, on loopback
        response.read()
