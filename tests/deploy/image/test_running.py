"""The image's folder, run as a cluster runs it: as process 1, as nobody, with no capability, on a root nothing can be written to."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.deploy.image.conftest import Built
from tests.deploy.image.sandbox import NOBODY, Sandbox
from tests.doubles.authority import SERVER, Authority
from tests.doubles.kube import TOKEN_REVIEWS, running_kube

pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]

CONFIGURATION = """\
backends:
- {name: mesh, type: prometheus, url: "http://127.0.0.1:1", dialect: istio}
"""
STANDALONE = "--config=/etc/trafficmetrics/standalone.yaml"
ENVIRONMENT = {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1"}


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextmanager
def serving(root: Sandbox, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """The server as process 1 of its root, listening, and the lines it has logged; killed at the end if it still runs."""
    command = root.command(["/app/bin/trafficmetrics", "serve", *arguments], user=NOBODY, network=True, environment=ENVIRONMENT)
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        lines: list[str] = []
        listening = threading.Event()

        def read() -> None:
            assert process.stderr is not None
            for line in process.stderr:
                lines.append(line)
                if re.search(r"https?://127\.0\.0\.1:\d+", line):
                    listening.set()
            listening.set()

        reader = threading.Thread(target=read)
        reader.start()
        try:
            assert listening.wait(30), "".join(lines)
            assert process.poll() is None, "".join(lines)
            yield process, lines
        finally:
            process.kill()
            reader.join()


def inside(process: subprocess.Popen[str]) -> int:
    """The number by which this machine knows the root's process 1."""
    (child,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text(encoding="ascii").split()
    return int(child)


def get(url: str, context: ssl.SSLContext | None = None) -> tuple[int, bytes]:
    with urllib.request.urlopen(url, timeout=10, context=context) as response:  # noqa: S310 our own server
        return response.status, response.read()


@pytest.fixture
def authority() -> Authority:
    return Authority("serving-ca")


@pytest.fixture
def mounted(image: Sandbox, authority: Authority, tmp_path: Path) -> Sandbox:
    """The root with a configuration and a serving certificate mounted into it, as a cluster does."""
    config, pair = tmp_path / "config", tmp_path / "serving"
    for folder in (config, pair):
        folder.mkdir()
    (config / "config.yaml").write_text(CONFIGURATION, encoding="utf-8")
    (config / "standalone.yaml").write_text(f"kubernetes: {{enabled: false}}\n{CONFIGURATION}", encoding="utf-8")
    for path in authority.issue("trafficmetrics", usage=(SERVER,), names=["127.0.0.1"]).save(pair, "tls"):
        path.chmod(0o644)
    tmp_path.chmod(0o755)
    readable = {**image.readable, "/etc/trafficmetrics": config, "/etc/trafficmetrics-serving": pair}
    return Sandbox(image.root, image.python, readable)


def test_it_tells_its_version(image: Sandbox, built: Built):
    done = image.run("/app/bin/trafficmetrics", "--version", user=NOBODY)
    (wheel,) = (built.fetched / "dist").glob("*.whl")
    assert done.stdout == f"trafficmetrics {wheel.name.split('-')[1]}\n", done.stderr


def test_it_checks_a_configuration(mounted: Sandbox):
    done = mounted.run("/app/bin/trafficmetrics", "config", "check", "/etc/trafficmetrics/config.yaml", user=NOBODY)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_plugin_is_in_it(image: Sandbox):
    done = image.run("/app/bin/kubectl-traffic", "--help", user=NOBODY)
    assert done.returncode == 0, done.stderr
    assert "topology" in done.stdout


def test_it_serves_as_nobody_on_a_root_that_is_read_only_and_ends_when_told(mounted: Sandbox):
    port = free_port()
    with serving(mounted, STANDALONE, f"--insecure-port={port}", "--shutdown-delay-duration=1s") as (process, lines):
        url = f"http://127.0.0.1:{port}"
        assert [get(f"{url}/{each}") for each in ("livez", "readyz")] == [(200, b"ok")] * 2
        status, body = get(f"{url}/apis/metrics.smi-spec.io/v1alpha1")
        assert (status, json.loads(body)["kind"]) == (200, "APIResourceList")
        server = inside(process)
        told = dict(re.findall(r"^(\w+):\t(.*)$", Path(f"/proc/{server}/status").read_text(encoding="utf-8"), re.MULTILINE))
        assert (told["NSpid"].split()[-1], told["Uid"].split(), told["Groups"].split()) == ("1", [str(NOBODY)] * 4, [])
        assert [int(told[each], 16) for each in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs")] == [0] * 5 + [1]
        os.kill(server, signal.SIGTERM)
        assert process.wait(30) == 0, "".join(lines)
    assert [line for line in lines if "Traceback" in line or "Read-only" in line] == []


async def test_it_serves_a_cluster_with_the_flags_of_the_deployment(mounted: Sandbox, authority: Authority, tmp_path: Path):
    """The client for Kubernetes is one of the packages that are not whole: here it lists, reads and asks."""
    folder = tmp_path / "kube"
    folder.mkdir()
    async with running_kube(folder) as kube:
        for path in folder.iterdir():
            path.chmod(0o644)
        root = Sandbox(mounted.root, mounted.python, {**mounted.readable, str(folder): folder})
        status, log = await asyncio.to_thread(rejected, root, authority, f"--kubeconfig={kube.kubeconfig}")
        assert status == 401, log
        assert "Traceback" not in log
        assert kube.calls[TOKEN_REVIEWS] == 1


def rejected(root: Sandbox, authority: Authority, *arguments: str) -> tuple[int, str]:
    """What somebody whom nobody knows is answered by a server of a cluster, and the server's log."""
    port = free_port()
    pair = [
        f"--tls-{name}=/etc/trafficmetrics-serving/tls.{end}" for name, end in (("cert-file", "crt"), ("private-key-file", "key"))
    ]
    more = ["--config=/etc/trafficmetrics/config.yaml", f"--secure-port={port}", "--bind-address=127.0.0.1", *pair]
    with serving(root, *arguments, *more, "--shutdown-delay-duration=1s") as (process, lines):
        context = ssl.create_default_context(cadata=authority.pem)
        url = f"https://127.0.0.1:{port}"
        assert get(f"{url}/livez", context) == (200, b"ok")
        request = urllib.request.Request(f"{url}/readyz/ping", headers={"Authorization": "Bearer unknown"})  # noqa: S310 our own server
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request, timeout=10, context=context)  # noqa: S310 our own server
        refused.value.close()
        os.kill(inside(process), signal.SIGTERM)
        assert process.wait(30) == 0, "".join(lines)
    return refused.value.code, "".join(lines)


TRY_TO_WRITE = """
import errno, os
allowed, refused = [], set()
for folder, folders, _ in os.walk("/"):
    folders[:] = [each for each in folders if os.path.join(folder, each) not in ("/proc", "/tmp")]
    if folder.count("/") > 4 and not folder.startswith("/app/lib/python"):
        folders.clear()
    try:
        os.close(os.open(os.path.join(folder, ".written"), os.O_CREAT | os.O_WRONLY))
        allowed.append(folder)
    except OSError as error:
        refused.add(errno.errorcode[error.errno])
open("/tmp/written", "w").close()
print(allowed, sorted(refused))
"""


@pytest.mark.parametrize(
    ("user", "refusals"), [pytest.param(NOBODY, {"EACCES", "EROFS"}, id="nobody"), pytest.param(0, {"EROFS"}, id="root")]
)
def test_nothing_can_be_written_but_in_tmp(user: int, refusals: set[str], image: Sandbox):
    done = image.run("/app/bin/python", "-B", "-c", TRY_TO_WRITE, user=user)
    assert done.stdout.startswith("[] "), done.stdout + done.stderr
    assert set(re.findall(r"E[A-Z]+", done.stdout)) <= refusals


@pytest.mark.parametrize("name", ["pip", "setuptools", "wheel"])
def test_there_is_no_installer_in_it(name: str, image: Sandbox):
    done = image.run("/app/bin/python", "-c", "import importlib.util, sys; print(importlib.util.find_spec(sys.argv[1]))", name)
    assert done.stdout == "None\n", done.stderr
