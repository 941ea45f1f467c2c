"""A real Prometheus that scrapes a large fleet of proxies."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fleet import SCRAPE_INTERVAL, Fleet
from processes import LOOPBACK, Process, free_port, running

__all__ = ["Store", "prometheus"]

_PATIENCE = 90.0


@dataclass(frozen=True, slots=True)
class Store:
    """A Prometheus that knows a fleet. ``series`` is how many it holds in memory."""

    process: Process
    fleet: Fleet
    series: int

    def number(self, promql: str) -> float:
        """The value of a query with one result; 0 without one."""
        return _number(self.process.url, promql)

    def queries(self) -> int:
        """How many instant queries it has been asked."""
        with urllib.request.urlopen(f"{self.process.url}/metrics", timeout=10) as response:  # noqa: S310 loopback
            text = response.read().decode()
        return sum(
            int(float(line.rpartition(" ")[2]))
            for line in text.splitlines()
            if line.startswith("prometheus_http_requests_total") and 'handler="/api/v1/query"' in line
        )


@contextmanager
def prometheus(fleet: Fleet) -> Iterator[Store]:
    """A Prometheus in a directory of its own, from the moment it has scraped every proxy of ``fleet``."""
    binary = shutil.which("prometheus")
    if binary is None:
        raise SystemExit("prometheus is not on PATH: run  make parts")
    with tempfile.TemporaryDirectory(prefix="trafficmetrics-bench-") as place, _pages(fleet) as address:
        directory, port = Path(place), free_port()
        config = directory / "prometheus.yml"
        config.write_text(json.dumps(_configuration(fleet, address)), encoding="utf-8")
        command = [
            binary,
            f"--config.file={config}",
            f"--storage.tsdb.path={directory / 'data'}",
            f"--web.listen-address={LOOPBACK}:{port}",
            "--log.level=warn",
        ]
        with running(command, port, "/-/ready", directory / "prometheus.log") as process:
            yield Store(process, fleet, _scraped(process.url, fleet))


@contextmanager
def _pages(fleet: Fleet) -> Iterator[str]:
    command = [sys.executable, str(Path(__file__).with_name("fleet.py"))]
    sizes = map(str, (fleet.namespaces, fleet.deployments, fleet.callees))
    process = subprocess.Popen([*command, *sizes], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield f"{LOOPBACK}:{int(process.stdout.readline())}"
    finally:
        process.communicate()


def _configuration(fleet: Fleet, address: str) -> dict[str, object]:
    """One target for each proxy, as in a cluster. JSON is YAML."""
    targets = [
        {"targets": [address], "labels": {**member.scrape_labels(), "__metrics_path__": member.path}} for member in fleet.all()
    ]
    return {
        "global": {"scrape_interval": f"{SCRAPE_INTERVAL}s", "scrape_timeout": f"{SCRAPE_INTERVAL}s"},
        "scrape_configs": [
            {
                "job_name": "linkerd-proxy",
                "static_configs": targets,
                # All targets share one address; told apart by pod, they need no instance.
                "metric_relabel_configs": [{"action": "labeldrop", "regex": "instance"}],
            }
        ],
    }


def _scraped(url: str, fleet: Fleet) -> int:
    """Wait for the first scrape of every proxy; how many series there are."""
    end, expected = time.monotonic() + _PATIENCE, len(fleet.all())
    while time.monotonic() < end:
        if _number(url, "count(up == 1)") == expected:
            return int(_number(url, 'count({__name__=~"response_.*"})'))
        time.sleep(0.5)
    raise SystemExit(f"Prometheus did not scrape {expected} proxies within {_PATIENCE:.0f}s")


def _number(url: str, promql: str) -> float:
    data = urllib.parse.urlencode({"query": promql}).encode()
    with urllib.request.urlopen(f"{url}/api/v1/query", data=data, timeout=60) as response:  # noqa: S310 loopback
        result = json.load(response)["data"]["result"]
    return float(result[0]["value"][1]) if result else 0.0
