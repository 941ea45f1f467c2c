"""The command ``kubectl traffic dashboard``: how it begins, and how it ends."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import stat
import time
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.page.serving import COMMAND, address, dashboard, starting

pytestmark = [pytest.mark.real, pytest.mark.usefixtures("kubectl")]

DEAD = "--server=http://127.0.0.1:1"


async def ended(process: asyncio.subprocess.Process) -> tuple[int, str, str]:
    """Exit code and output, to the end."""
    out, err = await asyncio.wait_for(process.communicate(), 20)
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def session(url: str) -> dict[str, str]:
    """What the page is told of its beginning."""
    async with aiohttp.ClientSession() as client, client.get(f"{url}session") as response:
        found: dict[str, str] = await response.json()
        return found


def children(process: asyncio.subprocess.Process) -> list[int]:
    """The processes it has started."""
    return [int(each) for each in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]


def command_line(number: int) -> list[str]:
    """The words of a running command; none when it does not run."""
    file = Path(f"/proc/{number}/cmdline")
    return file.read_bytes().decode().split("\0") if file.exists() else []


def guarded(path: Path) -> bool:
    """Whether there is a socket, in a directory that only its owner may enter."""
    return path.is_socket() and stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def written(file: Path) -> str:
    """What is written to a file, as soon as it is there."""
    deadline = time.monotonic() + 10
    while not file.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    return file.read_text().strip()


@pytest.mark.parametrize(
    ("arguments", "place"),
    [
        pytest.param((), "#/topology", id="nothing said"),
        pytest.param(("-n", "shop", "--window", "5m"), "#/topology?ns=shop&window=5m0s", id="a namespace and a window"),
        pytest.param(("pods", "-A"), "#/pods", id="a kind"),
        pytest.param(("deploy/web", "-n", "shop"), "#/deployments/shop/web", id="a workload"),
        pytest.param(("ns/shop",), "#/namespaces/shop", id="a namespace as a resource"),
    ],
)
async def test_where_the_page_begins(arguments: tuple[str, ...], place: str):
    async with dashboard(1, *arguments) as url:
        told = await session(url)
    assert (told["place"], told["server"]) == (place, "http://127.0.0.1:1")


async def test_the_context_and_its_namespace_are_those_of_kubectl(tmp_path: Path):
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "other",
        "clusters": [{"name": "west", "cluster": {"server": "http://127.0.0.1:1"}}],
        "users": [{"name": "ann", "user": {}}],
        "contexts": [{"name": "prod", "context": {"cluster": "west", "user": "ann", "namespace": "shop"}}],
    }
    file = tmp_path / "kubeconfig"
    file.write_text(json.dumps(config))
    async with starting(f"--kubeconfig={file}", "--context=prod", "--no-browser") as process:
        told = await session(await address(process))
    assert told == {"context": "prod", "server": "http://127.0.0.1:1", "namespace": "shop", "place": "#/topology?ns=shop"}


async def test_a_cluster_behind_a_path_is_asked_below_it():
    async def answer(request: web.Request) -> web.Response:
        return web.json_response({"asked": request.path_qs})

    app = web.Application()
    app.router.add_get("/k8s/clusters/c-1/{rest:.*}", answer)
    question = "apis/metrics.smi-spec.io/v1alpha1/namespaces/shop/pods?window=5m"
    async with TestServer(app, host="127.0.0.1") as server:
        flag = f"--server=http://127.0.0.1:{server.port}/k8s/clusters/c-1"
        async with starting(flag, "--no-browser") as process, aiohttp.ClientSession() as client:
            response = await client.get((await address(process)) + question)
            assert await response.json() == {"asked": f"/k8s/clusters/c-1/{question}"}


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        pytest.param(("--port", "many"), 2, '"many" is no port', id="no port"),
        pytest.param(("--window", "5x"), 2, "is not a duration", id="no window"),
        pytest.param(("wheels",), 2, '"wheels" is not a kind', id="no kind"),
        pytest.param(("--prot=8001",), 2, "(--port?)", id="a mistyped option"),
        pytest.param(("--context=nowhere",), 1, "nowhere", id="no context"),
    ],
)
async def test_a_line_that_makes_no_sense(arguments: tuple[str, ...], code: int, said: str):
    async with starting(*arguments, "--no-browser") as process:
        told = await ended(process)
    assert (told[0], said in told[2], "Traceback" in told[2]) == (code, True, False), told


async def test_without_a_kubectl_it_says_so(tmp_path: Path):
    process = await asyncio.create_subprocess_exec(
        *(*COMMAND, "--no-browser"),
        env={"PATH": str(tmp_path), "HOME": str(tmp_path)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    _, err = await process.communicate()
    assert (process.returncode, err.decode()) == (1, "kubectl traffic: there is no kubectl on the PATH\n")


async def test_a_port_that_is_taken_is_named():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        async with starting(DEAD, f"--port={port}", "--no-browser") as process:
            code, _, err = await ended(process)
    assert (code, f"port {port} of 127.0.0.1 cannot be used" in err, "--port 0" in err) == (1, True, True), err


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, 143), (signal.SIGHUP, 129)], ids=["int", "term", "hup"]
)
async def test_a_signal_ends_it_and_leaves_nothing_behind(number: signal.Signals, code: int):
    async with starting(DEAD, "--no-browser") as process:
        await address(process)
        (proxy,) = children(process)
        (path,) = (Path(word.partition("=")[2]) for word in command_line(proxy) if word.startswith("--unix-socket="))
        assert guarded(path)
        process.send_signal(number)
        told = await ended(process)
    assert (told[0], told[2], guarded(path), command_line(proxy)) == (code, "", False, [])


async def test_it_ends_with_kubectl_and_says_so():
    async with starting(DEAD, "--no-browser") as process:
        await address(process)
        (proxy,) = children(process)
        os.kill(proxy, signal.SIGKILL)
        code, _, err = await ended(process)
    assert (code, "kubectl proxy has ended" in err) == (1, True)


async def test_the_secret_is_on_no_command_line(tmp_path: Path):
    opened = tmp_path / "opened"
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {opened}.new\nmv {opened}.new {opened}\n')
    browser.chmod(0o755)
    async with starting(DEAD, browser=f"{browser} %s") as process:
        url = await address(process)
        ticket = await asyncio.to_thread(written, opened)
        secret = url.rstrip("/").rpartition("/")[2]
        assert not [each for each in (process.pid, *children(process)) if secret in "".join(command_line(each))]
        assert secret not in ticket
        async with aiohttp.ClientSession() as client, client.get(ticket) as response:
            assert str(response.url.with_fragment(None)) == url
