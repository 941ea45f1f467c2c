"""History that never happened: what the meshes' proxies would have exposed at exact instants of the past, put into real stores.

Nothing waits for it and no clock is involved, so counts are exact: the increase over a window that ends at ``INSTANT`` is the rate of the
facts times the window. Pods do not restart here; what restarts do to counts is for stores that scrape.
"""

from __future__ import annotations

import http.client
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from tests.doubles.mesh_facts import WORKLOADS
from tests.doubles.meshes import Mesh
from tests.doubles.stores import command, prometheus, victoria_metrics

__all__ = [
    "INSTANT",
    "STEP",
    "Series",
    "apart",
    "backfilled_prometheus",
    "backfilled_victoria_metrics",
    "exposition",
    "prometheus_of",
    "series",
]

INSTANT = 1_600_000_020
"""Unix seconds of the last samples: a multiple of a minute, so that refreshes of any usual length end there."""

STEP = 20
"""Seconds from one sample to the next."""

_SAMPLES = 5
"""One before a window of a minute, and four in it, counting both of its ends."""

Series = dict[str, tuple[float, float]]
"""Where each series starts and by how much it grows per second, by its name and labels as an exposition writes them."""


def series(mesh: Mesh) -> Series:
    """Every series of a mesh with the labels that scraping gives it."""
    found: Series = {}
    for workload in (*WORKLOADS, *mesh.extra):
        for pod in workload.pods:
            labels = {**mesh.scrape_labels(workload, pod), "instance": f"/{mesh.name}/{workload.namespace}/{pod.name}"}
            added = ",".join(f'{name}="{value}"' for name, value in labels.items())
            for row in mesh.rows(workload, pod):
                name, _, rest = row.text.partition("{")
                own = rest.removesuffix("}")
                clash = {label for label in labels if f',{label}="' in f",{own}"}
                if clash:
                    raise ValueError(f"{mesh.name}: scraping would rename {', '.join(clash)} of {row.text}")
                text = f"{name}{{{own},{added}}}" if own else f"{name}{{{added}}}"
                start, rate = found.get(text, (0.0, 0.0))
                found[text] = (start + row.start, rate + row.rate)
    return found


def exposition(kept: Series, instants: Sequence[int], *, milliseconds: bool = False) -> str:
    """Samples at each of the instants, as OpenMetrics or, with timestamps in milliseconds, as Prometheus' text format has them.

    Raises ValueError for a counter that would not be whole at them.
    """
    scale = 1000 if milliseconds else 1
    lines: list[str] = []
    for text, (start, rate) in kept.items():
        for instant in instants:
            value = round(start) + rate * (instant - instants[0])
            if not text.partition("{")[0].endswith("_sum") and abs(value - round(value)) > 1e-6:
                raise ValueError(f"{text} would stand at {value}: a proxy counts whole requests")
            lines.append(f"{text} {round(value, 6)!r} {instant * scale}")
    return "\n".join([*lines, "# EOF", ""])


def apart(kept: Mapping[str, Series]) -> list[list[str]]:
    """The meshes, given with their series, in groups of which no two share the name of a metric.

    Each group can be kept by one store without being confused.
    """
    groups: list[tuple[set[str], list[str]]] = []
    for mesh, its in kept.items():
        names = {text.partition("{")[0] for text in its}
        for taken, members in groups:
            if not taken & names:
                taken |= names
                members.append(mesh)
                break
        else:
            groups.append((names, [mesh]))
    return [members for _, members in groups]


def _instants() -> list[int]:
    return [INSTANT - STEP * back for back in reversed(range(_SAMPLES))]


@contextmanager
def backfilled_prometheus(directory: Path, kept: Series, instants: Sequence[int] = ()) -> Iterator[str]:
    """The URL of a Prometheus that keeps samples of these series, and scrapes nothing."""
    with prometheus_of(directory, exposition(kept, instants or _instants())) as url:
        yield url


@contextmanager
def prometheus_of(directory: Path, samples: str) -> Iterator[str]:
    """The URL of a Prometheus that keeps these samples, written as OpenMetrics has them, and scrapes nothing.

    Some may be of the future: they are found when their time has come.
    """
    text = directory / "samples.om"
    text.write_text(samples, encoding="utf-8")
    blocks = [command("promtool"), "tsdb", "create-blocks-from", "openmetrics", "--quiet", str(text), str(directory / "tsdb")]
    subprocess.run(blocks, check=True, capture_output=True)
    text.unlink()
    with prometheus(directory, (), retention="100y") as url:
        yield url


@contextmanager
def backfilled_victoria_metrics(directory: Path, kept: Series, instants: Sequence[int] = ()) -> Iterator[str]:
    """The URL of a VictoriaMetrics that keeps samples of these series, and scrapes nothing."""
    with victoria_metrics(directory, (), retention="100y") as url:
        _post(url, "/api/v1/import/prometheus", exposition(kept, instants or _instants(), milliseconds=True))
        _post(url, "/internal/force_flush", "")
        yield url


def _post(url: str, path: str, body: str) -> None:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
    try:
        connection.request("POST", path, body.encode())
        response = connection.getresponse()
        if response.status >= 300:
            raise RuntimeError(f"{path} answered HTTP {response.status}: {response.read(500).decode(errors='replace')}")
    finally:
        connection.close()
