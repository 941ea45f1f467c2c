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
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from fleet import SCRAPE_INTERVAL
from processes import LOOPBACK, Process, free_port, running

__all__ = ["Member", "Scraped", "Store", "prometheus", "prometheus_command", "serving_pages"]

_PATIENCE = 90.0


class Member(Protocol):
    """A target: where its page is, and the labels its scrape job gives its series."""

    @property
    def path(self) -> str: ...  # noqa: D102 see above

    def scrape_labels(self) -> dict[str, str]: ...  # noqa: D102 see above


class Scraped(Protocol):
    """What a Prometheus scrapes: its members, and the command, run by Python, that serves their pages (:func:`fleet.serve`)."""

    @property
    def command(self) -> list[str]: ...  # noqa: D102 see above

    def all(self) -> Sequence[Member]: ...  # noqa: D102 see above


@dataclass(frozen=True, slots=True)
class Store:
    """A Prometheus that knows a fleet. ``series`` is how many it holds in memory, ``log`` where it writes down what it is asked."""

    process: Process
    series: int
    log: Path

    def number(self, promql: str) -> float:
        """The value of a query with one result; 0 without one."""
        return _number(self.process.url, promql)

    def asked(self, since: int = 0) -> list[str]:
        """The queries it was asked, each once, after byte ``since`` of its log."""
        with self.log.open("rb") as log:
            log.seek(since)
            lines = log.read().splitlines()
        return list(dict.fromkeys(json.loads(line)["params"]["query"] for line in lines))

    def mark(self) -> int:
        """The place the log has reached, in bytes."""
        return self.log.stat().st_size if self.log.exists() else 0

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
def prometheus(fleet: Scraped) -> Iterator[Store]:
    """A Prometheus in a directory of its own, from the moment it has scraped every proxy of ``fleet``."""
    with tempfile.TemporaryDirectory(prefix="trafficmetrics-bench-") as place, serving_pages(fleet) as address:
        directory, port = Path(place), free_port()
        command = prometheus_command(fleet, address, directory, port)
        with running(command, port, "/-/ready", directory / "prometheus.log") as process:
            yield Store(process, _scraped(process.url, fleet), directory / "queries.log")


def prometheus_command(fleet: Scraped, address: str, directory: Path, port: int) -> list[str]:
    """What starts a Prometheus in ``directory`` that scrapes the pages of ``fleet`` at ``address``; started again, it goes on."""
    binary = shutil.which("prometheus")
    if binary is None:
        raise SystemExit("prometheus is not on PATH: run  make parts")
    config = directory / "prometheus.yml"
    config.write_text(json.dumps(_configuration(fleet, address, directory / "queries.log")), encoding="utf-8")
    return [
        binary,
        f"--config.file={config}",
        f"--storage.tsdb.path={directory / 'data'}",
        f"--web.listen-address={LOOPBACK}:{port}",
        "--log.level=warn",
    ]


@contextmanager
def serving_pages(fleet: Scraped) -> Iterator[str]:
    """The pages of a fleet, served by a process of its own; where, as host and port."""
    process = subprocess.Popen([sys.executable, *fleet.command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield f"{LOOPBACK}:{int(process.stdout.readline())}"
    finally:
        process.communicate()


def _configuration(fleet: Scraped, address: str, log: Path) -> dict[str, object]:
    """One target for each proxy, as in a cluster. JSON is YAML."""
    targets = [
        {"targets": [address], "labels": {**member.scrape_labels(), "__metrics_path__": member.path}} for member in fleet.all()
    ]
    return {
        "global": {"scrape_interval": f"{SCRAPE_INTERVAL}s", "scrape_timeout": f"{SCRAPE_INTERVAL}s", "query_log_file": str(log)},
        "scrape_configs": [
            {
                "job_name": "linkerd-proxy",
                "static_configs": targets,
                # All targets share one address; told apart by pod, they need no instance.
                "metric_relabel_configs": [{"action": "labeldrop", "regex": "instance"}],
            }
        ],
    }


def _scraped(url: str, fleet: Scraped) -> int:
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
