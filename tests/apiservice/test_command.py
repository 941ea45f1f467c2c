"""The command ``trafficmetrics``, run as people run it."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pytest

COMMAND = [sys.executable, "-m", "apiservice.main"]
GROUP = "/apis/metrics.smi-spec.io/v1alpha1"


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def read_until(stream: IO[str], pattern: str) -> str:
    for line in stream:
        if match := re.search(pattern, line):
            return match[0]
    raise AssertionError(f"the output ended before {pattern}")


@contextmanager
def running(*arguments: str, stream: str = "stderr") -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The command, running, and the URL it says it serves at; killed at the end if it still runs."""
    pipes: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, stream: subprocess.PIPE}
    with subprocess.Popen([*COMMAND, *arguments], text=True, **pipes) as process:
        try:
            output = getattr(process, stream)
            yield process, read_until(output, r"https?://127\.0\.0\.1:\d+")
        finally:
            process.kill()


def get(url: str) -> tuple[int, dict[str, Any]]:
    try:
        with urllib.request.urlopen(url, timeout=10) as response:  # noqa: S310 our own server
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def standalone(*more: str) -> list[str]:
    return [
        "serve",
        *("--prometheus-url", "http://127.0.0.1:1"),
        *("--dialect", "linkerd"),
        *("--kubernetes-enabled", "false"),
        *("--insecure-port", str(free_port())),
        *more,
    ]


def test_a_server_without_a_file_serves_and_ends_in_order():
    with running(*standalone()) as (process, url):
        assert get(f"{url}{GROUP}")[0] == 200
        code, status = get(f"{url}{GROUP}/trafficmetrics")
        assert (code, status["reason"]) == (503, "ServiceUnavailable")
        assert 'source "prometheus": cannot be reached' in status["message"]
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0


def test_readiness_does_not_follow_a_source():
    with running(*standalone()) as (_, url):
        get(f"{url}{GROUP}/trafficmetrics")
        with urllib.request.urlopen(f"{url}/readyz?verbose", timeout=10) as response:  # noqa: S310 our own server
            text = response.read().decode()
        assert response.status == 200
        assert "source-prometheus failed: not required" in text


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_demonstration_ends_with_a_signal(number: signal.Signals):
    with running("demo", "--simulate", stream="stdout") as (process, url):
        deadline = time.monotonic() + 30
        names: set[str] = set()
        while "deployment.web" not in names and time.monotonic() < deadline:
            code, answer = get(f"{url}{GROUP}/trafficmetrics")
            names = {item["metadata"]["name"] for item in answer["items"]} if code == 200 else set()
            time.sleep(0.5)
        assert "deployment.web" in names
        process.send_signal(number)
        assert process.wait(15) == 0


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, timeout=60, check=False)


def test_every_mistake_of_a_configuration_is_printed_and_the_exit_code_is_not_zero(tmp_path: Path):
    file = tmp_path / "server.yaml"
    file.write_text("server: {securePort: high}\nbackends:\n- {name: a, type: prometheus, url: x, dialect: nosuch}\n")
    for arguments in (["config", "check", str(file)], ["serve", "--config", str(file)]):
        result = run(*arguments)
        assert result.returncode == 2
        assert len(result.stderr.strip().splitlines()) == 3
        assert f"{file}:1: server.securePort" in result.stderr
        assert f"{file}:3: backends[0].url" in result.stderr
        assert f"{file}:3: backends[0].dialect" in result.stderr


def test_a_good_configuration_is_said_to_be_good(tmp_path: Path):
    file = tmp_path / "server.yaml"
    file.write_text('backends: [{name: mesh, type: prometheus, url: "http://p:9090", dialect: istio}]\n')
    result = run("config", "check", str(file))
    assert (result.returncode, result.stdout) == (0, f"{file}: no problems found\n")


def test_a_missing_file_is_said_to_be_missing(tmp_path: Path):
    result = run("config", "check", str(tmp_path / "none.yaml"))
    assert result.returncode == 2
    assert "cannot be read: No such file or directory" in result.stderr


def test_an_occupied_port_is_said_to_be_occupied():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        result = run(*standalone()[:-1], port)
    assert result.returncode == 2
    assert f"cannot listen on 127.0.0.1 port {port}" in result.stderr


def test_an_unreadable_kubeconfig_is_an_error_and_no_traceback(tmp_path: Path):
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text("not: [a kubeconfig")
    arguments = ["serve", "--kubeconfig", str(kubeconfig), "--cert-dir", str(tmp_path), "--prometheus-url", "http://127.0.0.1:1"]
    result = run(*arguments, "--dialect", "linkerd")
    assert result.returncode != 0
    assert "Traceback" not in result.stderr
    assert str(kubeconfig) in result.stderr


@pytest.mark.parametrize(("refresh", "code"), [("1m", 0), ("61s", 2)], ids=["now", "past"])
def test_a_refresh_must_not_be_longer_ago_than_a_source_can_tell(refresh: str, code: int, tmp_path: Path):
    """Linkerd viz tells of now alone, and answers are of an instant that may be a refresh ago."""
    file = tmp_path / "config.yaml"
    file.write_text(
        f"metrics: {{refresh: {refresh}}}\nbackends: [{{name: viz, type: linkerd, address: 'viz:8085'}}]\n", encoding="utf-8"
    )
    checked = run("config", "check", str(file))
    assert checked.returncode == code
    told = 'metrics.refresh: source "viz" cannot be asked about more than 60s ago: make it 60s at most'
    assert (told in checked.stderr) is bool(code)


@pytest.mark.parametrize(("name", "told"), [("west", False), ("wset", True)], ids=["known", "mistyped"])
def test_a_cluster_that_no_source_tells_of_is_told_of_at_the_start(name: str, *, told: bool, tmp_path: Path):
    file = tmp_path / "config.yaml"
    source = "{name: mesh, type: prometheus, url: 'http://127.0.0.1:1', dialect: istio, covers: {cluster: west}}"
    kubernetes = f"{{enabled: false, clusterName: {name}}}"
    file.write_text(f"kubernetes: {kubernetes}\nserver: {{insecurePort: {free_port()}}}\nbackends: [{source}]\n", encoding="utf-8")
    process = subprocess.Popen([*COMMAND, "serve", "--config", str(file)], text=True, stderr=subprocess.PIPE)
    try:
        assert process.stderr is not None
        lines = []
        while not re.search(r"http://127\.0\.0\.1:\d+", line := process.stderr.readline()):
            lines.append(line)
    finally:
        process.kill()
        process.communicate()
    assert any("no source tells of cluster" in line and "wset" in line for line in lines) is told
