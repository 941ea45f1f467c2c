"""Plays the kubelet: runs a pod's container as a process here, with what the cluster says should be around it.

There are no nodes behind a control plane of the tests. What a node would do is done as it does it: ConfigMaps and Secrets become files
that are replaced as a whole, probes are asked without verifying anything, and a process is told to end before it is made to.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import ssl
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp

from tests.controlplane.commands import LOOPBACK
from tests.controlplane.daemon import Daemon
from tests.controlplane.plane import ControlPlane

__all__ = ["Pod", "get", "token_kubeconfig"]


async def get(plane: ControlPlane, kind: str, name: str, namespace: str = "") -> dict[str, Any] | None:
    """An object of the cluster, as admin; None where there is none."""
    scope = ("-n", namespace) if namespace else ()
    run = await plane.kubectl("get", kind, name, *scope, "--ignore-not-found", "-o", "json")
    if run.code:
        raise RuntimeError(run.stderr)
    return json.loads(run.stdout) if run.stdout else None


async def token_kubeconfig(plane: ControlPlane, account: str, namespace: str) -> str:
    """A kubeconfig that holds a token of this ServiceAccount, and nothing else that would open a door."""
    run = await plane.kubectl("create", "token", account, "-n", namespace, "--duration=1h")
    if run.code:
        raise RuntimeError(run.stderr)
    authority = base64.b64encode(plane.cluster_ca.certificate).decode()
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "pod",
        "clusters": [{"name": "pod", "cluster": {"server": plane.url, "certificate-authority-data": authority}}],
        "users": [{"name": "pod", "user": {"token": run.stdout.strip()}}],
        "contexts": [{"name": "pod", "context": {"cluster": "pod", "user": "pod"}}],
    }
    return json.dumps(config)


class Pod:
    """A pod of one container that runs ``trafficmetrics``; ``directory`` is its own, ``template`` a pod template.

    The container has no network of its own: it listens on loopback, at the port its template says, which has to be a free one.
    """

    def __init__(self, plane: ControlPlane, namespace: str, template: Mapping[str, Any], directory: Path) -> None:
        self._plane = plane
        self._namespace = namespace
        self._spec: Mapping[str, Any] = template["spec"]
        (self._container,) = self._spec["containers"]
        self._directory = directory
        self._versions = 0
        self._daemon: Daemon | None = None

    @property
    def daemon(self) -> Daemon:
        """The process, once it was started."""
        assert self._daemon is not None
        return self._daemon

    @property
    def port(self) -> int:
        """The port the container says it has."""
        return int(self._container["ports"][0]["containerPort"])

    async def start(self) -> None:
        """Starts the container; returns at once.

        Raises:
            RuntimeError: when a ConfigMap or a Secret it mounts is not there. A kubelet would go on waiting for it.

        """
        self._directory.mkdir(parents=True, exist_ok=True)
        await self.mount()
        kubeconfig = self._directory / "kubeconfig"
        account = self._spec.get("serviceAccountName", "default")
        kubeconfig.write_text(await token_kubeconfig(self._plane, account, self._namespace))
        variables = {each["name"]: each.get("value", "") for each in self._container.get("env", [])}
        around = {
            "PATH": os.environ.get("PATH", os.defpath),
            "TMPDIR": str(self._directory),
            "TRAFFICMETRICS_KUBECONFIG": str(kubeconfig),
            "TRAFFICMETRICS_BIND_ADDRESS": LOOPBACK,
        }
        command = [str(Path(sys.executable).parent / "trafficmetrics"), *map(self._located, self._container["args"])]
        self._daemon = Daemon("trafficmetrics", command, self._directory / "container.log", around | variables)

    async def mount(self) -> None:
        """Writes the files of all volumes as they are in the cluster now; a kubelet does so about once a minute.

        Each volume is replaced as a whole, so that no reader meets half of a change.
        """
        self._versions += 1
        for volume in self._spec.get("volumes", []):
            place = self._directory / "volumes" / volume["name"]
            written = place.with_name(f".{volume['name']}-{self._versions}")
            if "emptyDir" in volume:
                place.mkdir(parents=True, exist_ok=True)
                continue
            written.mkdir(parents=True)
            for name, content in (await self._files(volume)).items():
                (written / name).write_bytes(content)
            link = place.with_name(f".{volume['name']}-link")
            link.symlink_to(written)
            link.replace(place)

    async def until_ready(self, patience: float = 30) -> None:
        """Waits until the readiness probe succeeds.

        Raises:
            RuntimeError: with the end of its log, when it does not in ``patience`` seconds.

        """
        probe = self._container["readinessProbe"]["httpGet"]
        assert probe["port"] == self._container["ports"][0]["name"]
        url = f"{probe['scheme'].lower()}://{LOOPBACK}:{self.port}{probe['path']}"
        deadline = asyncio.get_running_loop().time() + patience
        while asyncio.get_running_loop().time() < deadline and self.daemon.exit_code() is None:
            if await _succeeds(url):
                return
            await asyncio.sleep(0.05)
        raise RuntimeError(f"the pod did not get ready; its log ends:\n{self.daemon.tail()}")

    async def stop(self) -> None:
        """Ends the container, in the time its template gives it; one that was never started is fine."""
        if self._daemon is not None:
            await self._daemon.stop(self._spec["terminationGracePeriodSeconds"])

    async def certificate(self, authorities: str, host: str) -> bytes:
        """The certificate (DER) that a new connection is shown; ``authorities`` (PEM) have to verify it for ``host``.

        Raises:
            ssl.SSLCertVerificationError: when they do not.

        """
        context = ssl.create_default_context(cadata=authorities)
        _, writer = await asyncio.open_connection(LOOPBACK, self.port, ssl=context, server_hostname=host)
        try:
            shown: bytes = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        finally:
            writer.transport.abort()
        return shown

    def _located(self, text: str) -> str:
        """A text with the mount paths in it replaced by where the volumes are here."""
        mounts = {each["mountPath"]: each["name"] for each in self._container.get("volumeMounts", [])}
        paths = "|".join(re.escape(path) for path in sorted(mounts, key=len, reverse=True))
        places = self._directory / "volumes"
        return re.sub(rf"(?<![\w/.-])({paths})(?=/)", lambda found: str(places / mounts[found[1]]), text)

    async def _files(self, volume: Mapping[str, Any]) -> dict[str, bytes]:
        kind = "configMap" if "configMap" in volume else "secret"
        name = volume[kind].get("name") or volume[kind]["secretName"]
        found = await get(self._plane, kind, name, self._namespace)
        if found is None:
            if volume[kind].get("optional"):
                return {}
            raise RuntimeError(f"the pod waits for the {kind} {name} of namespace {self._namespace}")
        entries: dict[str, str] = found.get("data", {})
        if kind == "secret":
            files = {key: base64.b64decode(value) for key, value in entries.items()}
        else:
            files = {key: self._located(value).encode() for key, value in entries.items()}
        items = volume[kind].get("items")
        return files if items is None else {item["path"]: files[item["key"]] for item in items}


async def _succeeds(url: str) -> bool:
    try:
        async with aiohttp.ClientSession() as session, session.get(url, ssl=False) as response:
            return response.status == 200
    except (aiohttp.ClientError, OSError):
        return False
