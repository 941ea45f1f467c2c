"""The server under measurement, as people run it standalone, in a process of its own."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from processes import Process, free_port, running

__all__ = ["API", "DIALECT", "trafficmetrics"]

API = "/apis/metrics.smi-spec.io/v1alpha1"
DIALECT = "linkerd"


@contextmanager
def trafficmetrics(source: str) -> Iterator[Process]:
    """The server over the Prometheus at ``source``."""
    port = free_port()
    command = [sys.executable, "-m", "apiservice.main", "serve"]
    command += [f"--prometheus-url={source}", f"--dialect={DIALECT}"]
    command += ["--kubernetes-enabled=false", f"--insecure-port={port}"]
    with (
        TemporaryDirectory(prefix="trafficmetrics-bench-") as place,
        running(command, port, "/readyz", Path(place) / "log") as process,
    ):
        yield process
