"""``trafficmetrics doctor``, run as people run it: what it prints, and what its exit code says."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.backends.prometheus.cases import EVERY, history, mesh, store_of

pytestmark = pytest.mark.real

COMMAND = [sys.executable, "-m", "apiservice.main", "doctor"]


def doctor(*arguments: str) -> subprocess.CompletedProcess[str]:
    result = subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, timeout=60, check=False)
    assert "Traceback" not in result.stderr
    return result


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A healthy store, from five minutes ago to five minutes hence."""
    now = int(time.time())
    with store_of(tmp_path_factory.mktemp("now"), [history(mesh(), "now", range(now - 300, now + 300, EVERY))]) as store:
        yield store


def test_all_well_is_exit_code_0_and_one_screen(url: str):
    result = doctor("--prometheus-url", url, "--window", "1m")
    assert (result.returncode, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert lines[0].startswith("prometheus: Prometheus ")
    assert lines[-1] == "all is well, for a window of 1m0s"
    assert len(lines) <= 6


def test_a_problem_is_exit_code_1(url: str):
    result = doctor("--prometheus-url", url, "--dialect", "linkerd", "--window", "1m")
    assert (result.returncode, result.stderr) == (1, "")
    assert "-> dialect: istio" in result.stdout


def test_a_warning_is_exit_code_0(url: str):
    result = doctor("--prometheus-url", url, "--dialect", "istio", "--window", "30s")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.splitlines()[-1] == "1 warning, for a window of 30s"


def test_a_store_that_is_not_there_is_exit_code_1_and_no_traceback():
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{closed.getsockname()[1]}"
        result = doctor("--prometheus-url", address, "--dialect", "auto")
    assert (result.returncode, result.stderr) == (1, "")
    assert f"cannot be reached at {address}: Connection refused" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (("--prometheus-url", "http://p:9090", "--dialect", "isto"), 'there is no dialect "isto"'),
        (("--config", "/no/such/file"), "cannot be read"),
        ((), "no source is configured"),
        (("-o", "yaml"), "invalid choice"),
    ],
    ids=["dialect", "file", "nothing", "form"],
)
def test_what_cannot_be_run_is_exit_code_2(arguments: tuple[str, ...], what: str):
    result = doctor(*arguments)
    assert (result.returncode, result.stdout) == (2, "")
    assert what in result.stderr


def test_json_is_for_programs(url: str, tmp_path: Path):
    config = tmp_path / "config.yaml"
    config.write_text(
        f"metrics: {{window: 1m}}\n"
        f"backends:\n- {{name: mesh, type: prometheus, url: {url!r}, dialect: istio}}\n"
        f'- {{name: edge, type: scrape, dialect: envoy, targets: ["127.0.0.1:1"]}}\n'
    )
    result = doctor("--config", str(config), "-o", "json")
    assert (result.returncode, result.stderr) == (1, "")
    document = json.loads(result.stdout)
    assert (document["ok"], document["window"], document["problems"]) == (False, "1m0s", 1)
    assert [(source["name"], source["level"], source["facts"]["type"]) for source in document["sources"]] == [
        ("mesh", "ok", "prometheus"),
        ("edge", "problem", "scrape"),
    ]


def test_what_shows_only_when_sources_are_seen_together_is_told_and_json_has_their_places(url: str, tmp_path: Path):
    config = tmp_path / "config.yaml"
    config.write_text(
        f"metrics: {{window: 1m}}\n"
        f"kubernetes: {{clusterName: east}}\n"
        f"backends:\n- {{name: mesh, type: prometheus, url: {url!r}, dialect: istio, covers: {{namespaces: [sh*, shpo]}}}}\n"
        f"- {{name: twin, type: prometheus, url: {url!r}, dialect: istio, covers: {{cluster: east}}}}\n"
        f"- {{name: west, type: prometheus, url: {url!r}, dialect: istio, covers: {{cluster: west}}}}\n"
    )
    result = doctor("--config", str(config), "-o", "json")
    assert (result.returncode, result.stderr) == (0, "")
    mesh, twin, west = json.loads(result.stdout)["sources"]
    assert [(finding["level"], finding["check"]) for finding in mesh["findings"]] == [("warning", "coverage")]
    assert mesh["findings"][0]["what"] == "it covers shpo, and no series of it names such a namespace"
    assert [(finding["level"], finding["check"]) for finding in twin["findings"]] == [("ok", "overlap")]
    assert [(finding["level"], finding["check"]) for finding in west["findings"]] == [("ok", "cluster")]
    assert (mesh["covers"], west["covers"]) == (
        {"cluster": "", "namespaces": ["sh*", "shpo"]},
        {"cluster": "west", "namespaces": []},
    )
    assert mesh["meshes"] == [{"name": "Istio", "dialect": "istio", "versions": [], "versionOf": ""}]
