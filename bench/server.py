"""The server under measurement, as people run it standalone, in a process of its own."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from processes import Process, free_port, running

__all__ = ["API", "DIALECT", "federated", "trafficmetrics"]

API = "/apis/metrics.smi-spec.io/v1alpha1"
DIALECT = "linkerd"


@contextmanager
def trafficmetrics(source: str) -> Iterator[Process]:
    """The server over the Prometheus at ``source``."""
    with TemporaryDirectory(prefix="trafficmetrics-bench-") as place:
        yield from _serving(Path(place), f"--prometheus-url={source}", f"--dialect={DIALECT}")


@contextmanager
def federated(sources: Sequence[Mapping[str, Any]]) -> Iterator[Process]:
    """The server over several sources, each an entry of ``backends``."""
    with TemporaryDirectory(prefix="trafficmetrics-bench-") as place:
        file = Path(place) / "config.yaml"
        file.write_text(json.dumps({"backends": list(sources)}), encoding="utf-8")
        yield from _serving(Path(place), f"--config={file}")


def _serving(place: Path, *options: str) -> Iterator[Process]:
    port = free_port()
    command = [sys.executable, "-m", "apiservice.main", "serve", *options]
    command += ["--kubernetes-enabled=false", f"--insecure-port={port}"]
    with running(command, port, "/readyz", place / "log") as process:
        yield process
