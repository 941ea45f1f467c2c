"""What an extension API that is down does to the deletion of any namespace, and that one replica of two is enough to prevent it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import NamedTuple

import pytest
import yaml

from tests.controlplane.controllers import run_controllers
from tests.controlplane.plane import API_SERVICE, DEPLOY, NAMESPACE, ControlPlane
from tests.controlplane.served.balancer import Balancer
from tests.deploy.installation import answered, installed
from tests.deploy.pods import run_pod, send_to
from tests.deploy.rendering import find, render
from tests.deploy.replicas import Replica

pytestmark = pytest.mark.real


class Site(NamedTuple):
    """The API with two replicas, in a cluster that deletes namespaces."""

    plane: ControlPlane
    balancer: Balancer

    async def delete(self, name: str) -> None:
        """Makes a namespace and has it deleted; does not wait."""
        for command in (("create",), ("delete", "--wait=false")):
            run = await self.plane.kubectl(command[0], "namespace", name, *command[1:])
            assert run.code == 0, run.stderr

    async def conditions(self, name: str) -> dict[str, str] | None:
        """The reasons for which it is still there, by condition; None when it is gone."""
        run = await self.plane.kubectl("get", "namespace", name, "--ignore-not-found", "-o", "json")
        if not run.stdout:
            return None
        found = json.loads(run.stdout)["status"].get("conditions", [])
        return {each["type"]: each["reason"] for each in found if each["status"] == "True"}

    async def gone(self, name: str, patience: float = 45) -> float:
        """Waits until it is gone; after how many seconds."""
        began = time.monotonic()
        while await self.conditions(name) is not None:
            assert time.monotonic() - began < patience, await self.conditions(name)
            await asyncio.sleep(0.1)
        return time.monotonic() - began

    async def held_up(self, name: str) -> str:
        """Waits until it is known that not every API could be asked; the reason given."""
        for _ in range(300):
            reason = (await self.conditions(name) or {}).get("NamespaceDeletionDiscoveryFailure")
            if reason is not None:
                return reason
            await asyncio.sleep(0.1)
        raise AssertionError(await self.conditions(name))

    async def look_again(self) -> None:
        """Has kube-apiserver probe the API now, which it does when the registration is changed, and every half a minute anyway."""
        note = f"tests/looked-at={time.monotonic()}"
        await self.plane.kubectl("annotate", "--overwrite", "apiservice", API_SERVICE, note)

    async def until_available(self, status: str) -> None:
        """Waits until kube-apiserver says so of the API."""
        for _ in range(60):
            await self.look_again()
            command = ("wait", f"--for=condition=Available={status}", "--timeout=1s", f"apiservice/{API_SERVICE}")
            if (await self.plane.kubectl(*command)).code == 0:
                return
        pytest.fail(f"the API never becomes Available={status}")


@pytest.fixture(scope="module")
async def site(
    control_plane: ControlPlane, kube_controller_manager: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Site]:
    """Two replicas of ``deploy/base``."""
    plane, balancer = control_plane, Balancer()
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(balancer.running())
        objects = await stack.enter_async_context(installed(plane, "base"))
        deployment = find(objects, "Deployment")
        for _ in range(deployment["spec"]["replicas"]):
            pod = await stack.enter_async_context(run_pod(plane, deployment, tmp_path_factory.mktemp("pod")))
            balancer.replicas.append(Replica(pod))
        await balancer.until_ready(2)
        await send_to(plane, balancer.port, API_SERVICE, namespace=NAMESPACE)
        await answered(plane)
        await stack.enter_async_context(run_controllers(kube_controller_manager, plane, "namespace-controller"))
        yield Site(plane, balancer)


async def test_with_one_of_two_replicas_killed_nothing_is_delayed(site: Site):
    victim = site.balancer.replicas[0]
    os.kill(victim.pod.daemon.pid, signal.SIGKILL)
    await site.look_again()
    await site.delete("while-one-is-down")
    assert await site.gone("while-one-is-down") < 20
    assert victim.pod.daemon.exit_code() == -signal.SIGKILL


async def test_with_the_api_down_a_namespace_stays_until_one_replica_is_back(site: Site):
    replicas, site.balancer.replicas = site.balancer.replicas, []
    await site.balancer.until_ready(0)
    await site.until_available("False")
    await site.delete("while-all-are-down")
    assert await site.held_up("while-all-are-down") == "DiscoveryFailed"

    site.balancer.replicas = replicas[1:]
    await site.balancer.until_ready(1)
    await site.until_available("True")
    await site.gone("while-all-are-down")


async def test_everything_is_taken_away_with_one_command(site: Site):
    """The last one here. Names are those of the manifests, wherever they are; the namespace goes with all that others put into it."""
    objects = render("base")
    run = await site.plane.kubectl("delete", "-k", str(DEPLOY / "base"), "--timeout=45s")
    assert run.code == 0, run.stderr
    left = await site.plane.kubectl("get", "--ignore-not-found", "-o", "name", "-f", "-", stdin=yaml.safe_dump_all(objects))
    assert (left.stdout, left.stderr) == ("", "")
