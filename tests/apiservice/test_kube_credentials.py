"""Credentials for kube-apiserver that are made by a command, or stand in the kubeconfig: loaded in time, once, and not left behind."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import tempfile
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from apiservice import kubesession
from apiservice.kube import KubeClient, KubeError
from metrics_api.errors import BadConfiguration
from tests.doubles.clock import ManualClock
from tests.doubles.kube import CONFIG_MAPS, Failure, KubeDouble, running_kube

PODS = "/api/v1/pods"
VERSION = "client.authentication.k8s.io/v1"


@pytest.fixture
async def kube(tmp_path: Path) -> AsyncIterator[KubeDouble]:
    async with running_kube(tmp_path) as double:
        double.objects[PODS] = {"kind": "PodList"}
        yield double


class Plugin:
    """A command that makes credentials: it notes its process, does what ``before`` says, and tells ``status``."""

    def __init__(self, kube: KubeDouble) -> None:
        self._directory = kube.kubeconfig.parent
        self._file = self._directory / "plugin"
        self._pids = self._directory / "pids"
        self.tell({"token": kube.credential})
        kube.write_kubeconfig(exec={"apiVersion": VERSION, "command": str(self._file), "interactiveMode": "Never"})

    def tell(self, status: dict[str, Any], before: str = "", version: str = VERSION) -> None:
        said = self._directory / "said"
        said.write_text(json.dumps({"apiVersion": version, "kind": "ExecCredential", "status": status}))
        # Another file in its place: one that is being run cannot be written.
        fresh = self._file.with_suffix(".new")
        fresh.write_text(f"#!/bin/sh\necho $$ >> {self._pids}\n{before}\ncat {said}\n")
        fresh.chmod(0o755)
        fresh.replace(self._file)

    @property
    def started(self) -> list[int]:
        """The processes so far."""
        return [int(pid) for pid in self._pids.read_text().split()]

    async def until_gone(self) -> None:
        """Return once nothing is left of them; TimeoutError when that does not happen."""
        await until(lambda: not any(_runs(pid) for pid in self.started))


async def until(condition: Callable[[], bool]) -> None:
    """Return once it holds; TimeoutError when it does not."""
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise TimeoutError


def _runs(process: int) -> bool:
    """Whether there is anything left of a process that has a session of its own, or of what it has started."""
    try:
        os.killpg(process, 0)
    except ProcessLookupError:
        return False
    return True


HANGS = "sleep 600 & wait"
"""It has a child, which would hold its output open."""


async def refused(client: KubeClient) -> KubeError:
    with pytest.raises(KubeError) as caught:
        await client.get_json(PODS)
    return caught.value


async def test_a_command_that_hangs_takes_no_call_longer_than_it_may_and_runs_once(kube: KubeDouble) -> None:
    plugin, clock = Plugin(kube), ManualClock()
    async with KubeClient.connect(str(kube.kubeconfig), call_timeout=1.0, clock=clock.monotonic) as client:
        plugin.tell({}, HANGS)
        clock.advance(60)
        kube.credential = "renewed"
        before = time.monotonic()
        errors = await asyncio.gather(*(refused(client) for _ in range(5)))
        assert [error.status for error in errors] == [401] * 5
        clock.advance(60)
        assert (await refused(client)).status == 401
        assert time.monotonic() - before < 5
        assert len(plugin.started) == 2
    await plugin.until_gone()


async def test_a_watch_is_not_held_up_by_a_command_that_hangs(kube: KubeDouble) -> None:
    plugin, clock = Plugin(kube), ManualClock()
    async with KubeClient.connect(str(kube.kubeconfig), call_timeout=0.5, clock=clock.monotonic) as client:
        plugin.tell({}, HANGS)
        clock.advance(60)
        kube.fail(CONFIG_MAPS, Failure(401))
        with pytest.raises(KubeError, match="401"):
            async with asyncio.timeout(5), client.watching(CONFIG_MAPS, {}, 60):
                pass


async def test_what_a_command_makes_after_the_calls_that_waited_for_it_is_for_the_next(kube: KubeDouble) -> None:
    plugin, clock = Plugin(kube), ManualClock()
    go = kube.kubeconfig.with_name("go")
    async with KubeClient.connect(str(kube.kubeconfig), call_timeout=0.3, clock=clock.monotonic) as client:
        plugin.tell({"token": "renewed"}, f"while [ ! -e {go} ]; do sleep 0.05; done")
        clock.advance(60)
        kube.credential = "renewed"
        assert (await refused(client)).status == 401
        go.touch()
        await until(lambda: client._renewal is None)
        assert await client.get_json(PODS) == {"kind": "PodList"}
        assert len(plugin.started) == 2


async def test_a_command_that_fails_leaves_the_credentials_there_are(kube: KubeDouble, caplog: pytest.LogCaptureFixture) -> None:
    plugin, clock = Plugin(kube), ManualClock()
    async with KubeClient.connect(str(kube.kubeconfig), clock=clock.monotonic) as client:
        plugin.tell({}, "echo the cloud is away >&2; exit 3")
        clock.advance(60)
        kube.fail(PODS, *[Failure(401)] * 2)
        assert [(await refused(client)).status for _ in range(2)] == [401, 401]
        assert len(plugin.started) == 2, "it is not run for each call"
        assert "exit code 3: the cloud is away" in caplog.text
        assert "could not be loaded again" in caplog.text
        assert client.identified
        plugin.tell({"token": "renewed"})
        kube.credential = "renewed"
        clock.advance(60)
        assert await client.get_json(PODS) == {"kind": "PodList"}


@pytest.mark.parametrize(
    ("status", "before", "version", "told"),
    [
        ({}, "", VERSION, "neither a token nor a certificate"),
        ({"clientCertificateData": "x"}, "", VERSION, "neither a token nor a certificate"),
        ({"token": "x"}, "", "client.authentication.k8s.io/v1beta1", "it speaks client.authentication.k8s.io/v1beta1"),
        ({}, "echo nonsense", VERSION, "malformed"),
        ({"token": 7}, "", VERSION, "Expected `str | null`, got `int`"),
    ],
    ids=["nothing", "half", "version", "text", "number"],
)
async def test_what_is_wrong_with_what_a_command_says_is_in_the_log(
    kube: KubeDouble, caplog: pytest.LogCaptureFixture, status: dict[str, Any], before: str, version: str, told: str
) -> None:
    Plugin(kube).tell(status, before, version)
    async with KubeClient.connect(str(kube.kubeconfig)) as client:
        assert not client.identified
    assert told in caplog.text


async def test_a_command_may_complain_at_length(kube: KubeDouble) -> None:
    Plugin(kube).tell({"token": kube.credential}, "head -c 1000000 /dev/zero >&2")
    async with asyncio.timeout(20), KubeClient.connect(str(kube.kubeconfig)) as client:
        assert await client.get_json(PODS) == {"kind": "PodList"}


async def test_a_command_that_hangs_at_the_start_is_told_of_and_given_up(
    kube: KubeDouble, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kubesession, "_NOTABLE", 0.2)
    monkeypatch.setattr(kubesession, "_LONGEST", 1.0)
    plugin = Plugin(kube)
    plugin.tell({}, HANGS)
    with pytest.raises(BadConfiguration, match=r"was not loaded within 1 s; does the command hang"):
        async with KubeClient.connect(str(kube.kubeconfig)):
            pass
    assert [(record.levelno, record.message) for record in caplog.records if record.name == kubesession.__name__] == [
        (
            logging.WARNING,
            f"kubeconfig {kube.kubeconfig} is still being loaded after 0.2 s: does the command hang that makes its credentials?",
        )
    ]
    await plugin.until_gone()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files go."""
    place = tmp_path / "tmp"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    return place


def _inside(folder: Path) -> list[Path]:
    return list(folder.iterdir())


def _in_base_64(file: Path) -> str:
    return b64encode(file.read_bytes()).decode()


@pytest.mark.parametrize("made", [False, True], ids=["in-the-file", "by-a-command"])
async def test_keys_are_not_left_behind(kube: KubeDouble, folder: Path, *, made: bool) -> None:
    from kubernetes.aio.config import kube_config  # noqa: PLC0415 - as late as the product does

    for name in ("first", "second", "second"):
        certificate, key = kube.authority.issue(name).save(kube.kubeconfig.parent, name)
        if made:
            Plugin(kube).tell(
                {"token": kube.credential, "clientCertificateData": certificate.read_text(), "clientKeyData": key.read_text()}
            )
        else:
            pair = {"client-certificate-data": _in_base_64(certificate), "client-key-data": _in_base_64(key)}
            kube.write_kubeconfig(None, **pair, token=kube.credential)
        async with KubeClient.connect(str(kube.kubeconfig)) as client:
            assert _inside(folder) == []
            assert kube_config._temp_files == {}
            assert await client.get_json(PODS) == {"kind": "PodList"}


async def test_a_kubeconfig_without_keys_needs_no_place_for_them(
    kube: KubeDouble, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "absent"))
    async with KubeClient.connect(str(kube.kubeconfig)) as client:
        assert await client.get_json(PODS) == {"kind": "PodList"}
