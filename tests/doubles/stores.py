"""Real stores: a Prometheus and a VictoriaMetrics on free loopback ports, scraping what they are given, gone when the test is."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

from tests.doubles.mesh import Target

__all__ = ["command", "parse_errors", "prometheus", "prometheus3", "victoria_metrics"]

_FINDER = Path(__file__).parents[2] / "scripts" / "control-plane-part"

_PATIENCE = 20.0
"""Seconds a store has to start."""


def command(name: str) -> str:
    """The path of a program. Without it the test is skipped; in CI, where it belongs to the machine, the test fails."""
    path = shutil.which(name)
    if path is not None:
        return path
    reason = f"{name} is not installed: it is the real store these tests ask"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def _part(name: str) -> str:
    """The path of what scripts/control-plane-part finds; as :func:`command` otherwise."""
    found = subprocess.run([_FINDER, "--no-build", name], capture_output=True, text=True, check=False)
    if found.returncode == 0:
        return found.stdout.strip()
    if os.environ.get("CI") == "true":
        pytest.fail(found.stderr)
    pytest.skip(found.stderr.strip())


@contextmanager
def prometheus(
    directory: Path, targets: Iterable[Target], *, interval: str = "1s", features: Sequence[str] = (), retention: str = "15d"
) -> Iterator[str]:
    """The URL of a Prometheus that scrapes ``targets``; ``features`` are those to switch on. What ``directory/tsdb`` holds, it keeps."""
    port = _free_port()
    config = _scrape_config(directory / "prometheus.yml", targets, interval)
    arguments = [
        command("prometheus"),
        f"--config.file={config}",
        f"--storage.tsdb.path={directory / 'tsdb'}",
        f"--storage.tsdb.retention.time={retention}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=warn",
        *(f"--enable-feature={feature}" for feature in features),
    ]
    with _running(arguments, directory / "prometheus.log", f"http://127.0.0.1:{port}", "/-/ready") as url:
        yield url


@contextmanager
def prometheus3(directory: Path) -> Iterator[str]:
    """The URL of a Prometheus 3 that takes OTLP as it comes: names with dots, deltas that stay deltas, and histograms whole."""
    port = _free_port()
    config = directory / "prometheus.yml"
    otlp = {"translation_strategy": "NoTranslation", "convert_histograms_to_nhcb": True}
    config.write_text(yaml.safe_dump({"otlp": otlp}), encoding="utf-8")
    arguments = [
        _part("prometheus3"),
        f"--config.file={config}",
        f"--storage.tsdb.path={directory / 'tsdb'}",
        "--storage.tsdb.retention.time=100y",
        f"--web.listen-address=127.0.0.1:{port}",
        "--web.enable-otlp-receiver",
        "--enable-feature=otlp-native-delta-ingestion",
        "--log.level=warn",
    ]
    with _running(arguments, directory / "prometheus.log", f"http://127.0.0.1:{port}", "/-/ready") as url:
        yield url


@contextmanager
def victoria_metrics(directory: Path, targets: Iterable[Target], *, interval: str = "1s", retention: str = "31d") -> Iterator[str]:
    """The URL of a VictoriaMetrics that scrapes ``targets``."""
    port = _free_port()
    config = _scrape_config(directory / "victoria-metrics.yml", targets, interval)
    arguments = [
        command("victoria-metrics"),
        f"-promscrape.config={config}",
        f"-storageDataPath={directory / 'victoria-metrics-data'}",
        f"-retentionPeriod={retention}",
        f"-httpListenAddr=127.0.0.1:{port}",
        "-memory.allowedBytes=128MB",
        "-loggerLevel=WARN",
    ]
    with _running(arguments, directory / "victoria-metrics.log", f"http://127.0.0.1:{port}", "/health") as url:
        yield url


def parse_errors(queries: Iterable[str], directory: Path) -> str:
    """What Prometheus' own parser has against some PromQL; empty when it takes all of it. ``directory`` is for the file it reads."""
    rules = [{"record": f"query:{at}", "expr": promql} for at, promql in enumerate(queries)]
    path = directory / "rules.yml"
    path.write_text(json.dumps({"groups": [{"name": "queries", "rules": rules}]}), encoding="utf-8")
    checked = subprocess.run([command("promtool"), "check", "rules", str(path)], capture_output=True, text=True, check=False)
    if checked.returncode == 0:
        assert f"{len(rules)} rules found" in checked.stdout
        return ""
    return checked.stderr or checked.stdout


def _scrape_config(path: Path, targets: Iterable[Target], interval: str) -> Path:
    jobs: dict[str, list[dict[str, object]]] = {}
    for target in targets:
        labels = {**target.labels, "__metrics_path__": target.path, "instance": target.path}
        jobs.setdefault(target.mesh, []).append({"targets": [target.address], "labels": labels})
    document = {
        "global": {"scrape_interval": interval, "scrape_timeout": interval},
        "scrape_configs": [{"job_name": name, "static_configs": members} for name, members in jobs.items()],
    }
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    return path


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def _running(arguments: Sequence[str], log: Path, url: str, ready: str) -> Iterator[str]:
    with log.open("wb") as output:
        process = subprocess.Popen(arguments, stdout=output, stderr=subprocess.STDOUT, cwd=log.parent)
        try:
            _wait(process, url + ready, log)
            yield url
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _answers(url: str) -> bool:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=1)
    try:
        connection.request("GET", parts.path)
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def _wait(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until and process.poll() is None:
        if _answers(url):
            return
        time.sleep(0.05)
    pytest.fail(f"{process.args!r} did not start: {log.read_text(errors='replace')[-2000:]}")
