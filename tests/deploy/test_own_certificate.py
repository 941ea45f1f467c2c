"""A certificate that somebody brings: the component first, whose pods wait for it, and ``deploy/issue-certificate`` after that."""

from __future__ import annotations

import asyncio
import base64
import re
import shutil
from pathlib import Path

import pytest

from tests.controlplane.plane import API_SERVICE, DEPLOY, NAMESPACE, SERVICE_HOST, ControlPlane
from tests.deploy.installation import answered, installed
from tests.deploy.kubelet import get
from tests.deploy.pods import run_pod, send_to
from tests.deploy.rendering import combine, find
from tests.deploy.showing import run_shown

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(shutil.which("openssl") is None, reason="deploy/issue-certificate needs openssl"),
]


async def issue(plane: ControlPlane, command: str = "deploy/issue-certificate 7") -> None:
    process = await asyncio.create_subprocess_exec(
        *command.split(),
        cwd=DEPLOY.parent,
        env=plane.environment(),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()


async def authority(plane: ControlPlane) -> str:
    """What others find beside the certificate."""
    secret = await get(plane, "secret", "trafficmetrics-serving", NAMESPACE)
    assert secret is not None
    return base64.b64decode(secret["data"]["ca.crt"]).decode()


async def test_the_pods_wait_for_it_and_the_api_is_verified_with_it(control_plane: ControlPlane, tmp_path: Path):
    plane = control_plane
    async with installed(plane, combine(tmp_path, "base", ("own-certificate",))) as objects:
        assert await get(plane, "secret", "trafficmetrics-serving", NAMESPACE) is None
        issuing = asyncio.create_task(issue(plane))
        async with run_pod(plane, find(objects, "Deployment"), tmp_path / "pod") as pod:
            await issuing
            await send_to(plane, pod.port, API_SERVICE, namespace=NAMESPACE)
            assert "APIResourceList" in await answered(plane)
            assert await pod.certificate(await authority(plane), SERVICE_HOST)
    await plane.kubectl("delete", "secret", "trafficmetrics-serving", "-n", NAMESPACE)


async def test_a_key_that_has_leaked_is_good_for_nothing_after_two_runs(control_plane: ControlPlane, tmp_path: Path):
    """As docs/certificates.md has it done: each run of the script there, and what kube-apiserver trusts after it."""
    plane = control_plane
    page = (DEPLOY.parent / "docs" / "certificates.md").read_text(encoding="utf-8")
    test = "test_a_key_that_has_leaked_is_good_for_nothing_after_two_runs"
    (block,) = re.findall(rf"<!-- tested: \S+::{test} -->\n```sh\n(.*?)```", page, re.DOTALL)
    commands = block.splitlines()
    assert [re.findall(r"^deploy/[\w-]+|rollout \w+", command) for command in commands] == [
        ["deploy/issue-certificate"],
        ["rollout restart"],
        ["rollout status"],
        ["deploy/issue-certificate"],
    ]
    async with installed(plane, combine(tmp_path, "base", ("own-certificate",))):
        await issue(plane)
        leaked = (await authority(plane)).strip()
        trusted = []
        for command in (commands[0], commands[-1]):
            await issue(plane, command)
            registered = await get(plane, "apiservice", API_SERVICE)
            assert registered is not None
            bundle = base64.b64decode(registered["spec"]["caBundle"]).decode()
            trusted.append((leaked in bundle, bundle.count("BEGIN CERTIFICATE")))
        assert trusted == [(True, 2), (False, 2)]
    await plane.kubectl("delete", "secret", "trafficmetrics-serving", "-n", NAMESPACE)


async def test_what_the_server_needed_for_its_own_is_taken_away(control_plane: ControlPlane, tmp_path: Path):
    """What the pages show does it: a folder that no longer names an object leaves it where it is."""
    plane = control_plane
    test = "test_what_the_server_needed_for_its_own_is_taken_away"
    async with installed(plane, "base") as objects, installed(plane, combine(tmp_path, "base", ("own-certificate",))):
        issuing = [each["kind"] for each in objects if each["metadata"]["name"] == "trafficmetrics-issuing"]
        assert len(issuing) == 4
        assert None not in [await get(plane, kind, "trafficmetrics-issuing", NAMESPACE) for kind in issuing]
        await plane.kubectl("create", "secret", "generic", "trafficmetrics-issued", "-n", NAMESPACE)
        for page in ("installing.md", "certificates.md"):
            assert await run_shown(plane, page, test) == 0
        assert [await get(plane, kind, "trafficmetrics-issuing", NAMESPACE) for kind in issuing] == [None] * 4
        assert await get(plane, "secret", "trafficmetrics-issued", NAMESPACE) is None
