"""``trafficmetrics doctor``, run as people run it: what it prints, and what its exit code says."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from tests.backends.prometheus.cases import EVERY, history, mesh, store_of
from tests.unit.apiservice.checkup.documents import served
from tests.unit.apiservice.checkup.test_certificate import serving

pytestmark = pytest.mark.real

COMMAND = [sys.executable, "-m", "apiservice.main", "doctor"]
NO_CLUSTER = "no cluster was looked at: give --kubeconfig FILE, or run this in a pod of it"
NOWHERE = {
    "current-context": "one",
    "clusters": [{"name": "one", "cluster": {"server": "https://127.0.0.1:1"}}],
    "users": [{"name": "one", "user": {"token": "a-secret-token"}}],
    "contexts": [{"name": "one", "context": {"cluster": "one", "user": "one"}}],
}


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
    assert lines[-2] == NO_CLUSTER
    assert len(lines) <= 7


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
        (("--only", "cluster"), NO_CLUSTER),
        (("--only", "cluster", "--kubernetes-enabled", "false", "--insecure-port", "8080"), NO_CLUSTER),
        (("--only", "mesh"), "invalid choice"),
        (("--only", "cluster", "--server-address", "nowhere"), '"nowhere" is not an address: HOST:PORT'),
        (("-o", "yaml"), "invalid choice"),
    ],
    ids=["dialect", "file", "nothing", "no-cluster", "standalone", "part", "address", "form"],
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


@pytest.fixture(scope="module")
def nowhere(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A kubeconfig that leads to nobody."""
    file = tmp_path_factory.mktemp("nowhere") / "kubeconfig"
    file.write_text(json.dumps(NOWHERE))
    return str(file)


def test_a_cluster_that_does_not_answer_is_one_problem_and_the_sources_are_told_of_all_the_same(url: str, nowhere: str):
    result = doctor("--prometheus-url", url, "--window", "1m", "--kubeconfig", nowhere, "-o", "json")
    document = json.loads(result.stdout)
    assert (result.returncode, result.stderr, document["problems"]) == (1, "", 1)
    assert [finding["check"] for finding in document["cluster"]["findings"]] == ["reach"]
    assert [source["level"] for source in document["sources"]] == ["ok"]
    assert "a-secret-token" not in result.stdout


def test_the_sources_alone_are_looked_at_where_that_is_asked_for(url: str, nowhere: str):
    result = doctor("--prometheus-url", url, "--window", "1m", "--kubeconfig", nowhere, "--only", "sources")
    assert (result.returncode, result.stderr) == (0, "")
    assert "cluster" not in result.stdout


def test_the_cluster_alone_needs_no_source(nowhere: str):
    result = doctor("--kubeconfig", nowhere, "--only", "cluster")
    assert (result.returncode, result.stderr) == (1, "")
    assert result.stdout.splitlines()[0] == "cluster: kube-apiserver at https://127.0.0.1:1"
    assert result.stdout.splitlines()[-1] == "1 problem"


def test_what_a_plugin_for_credentials_says_is_not_shown(tmp_path: Path):
    user = {
        "exec": {
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": "sh",
            "args": ["-c", "echo a-secret-token >&2; exit 3"],
            "interactiveMode": "Never",
        }
    }
    file = tmp_path / "kubeconfig"
    file.write_text(json.dumps({**NOWHERE, "users": [{"name": "one", "user": user}]}))
    result = doctor("--kubeconfig", str(file), "--only", "cluster")
    assert (result.returncode, result.stderr) == (1, "")
    assert "a-secret-token" not in result.stdout


def test_a_standalone_server_has_no_cluster_and_nothing_is_said_of_one(url: str):
    result = doctor("--prometheus-url", url, "--window", "1m", "--kubernetes-enabled", "false", "--insecure-port", "8080")
    assert (result.returncode, result.stderr) == (0, "")
    assert "cluster" not in result.stdout


async def test_a_source_whose_certificate_ends_soon_is_told_of(tmp_path: Path):
    soon = served("localhost", lifetime=(timedelta(days=-1), timedelta(days=9.5)))
    async with serving(soon, tmp_path) as port:
        result = await asyncio.to_thread(doctor, "--prometheus-url", f"https://localhost:{port}", "--only", "sources", "-o", "json")
    (source,) = json.loads(result.stdout)["sources"]
    assert ("warning", "certificate") in [(finding["level"], finding["check"]) for finding in source["findings"]]
