"""A real control plane for tests: etcd and kube-apiserver on loopback, and the kubectl that talks to it.

There are no nodes and no controller manager. So nothing runs pods, nothing fills in aggregated ClusterRoles, and a
deleted namespace stays ``Terminating``; everything a kube-apiserver does itself, it does for real here.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import os
import shutil
import ssl
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple, Self

import aiohttp
import yaml

from tests.controlplane.audit import AuditLog
from tests.controlplane.commands import (
    LOOPBACK,
    etcd_command,
    free_ports,
    kube_apiserver_command,
    write_front_proxy_keys,
    write_keys,
)
from tests.controlplane.daemon import Daemon
from tests.controlplane.parts import Parts
from tests.controlplane.people import ADMIN, NAMESPACE, SERVER, Person, move_in
from tests.controlplane.pki import Authority

__all__ = [
    "ADMIN",
    "API_SERVICE",
    "DEPLOY",
    "NAMESPACE",
    "SERVER",
    "SERVICE_HOST",
    "ControlPlane",
    "Person",
    "Run",
    "manifest",
    "manifests",
]

DEPLOY = Path(__file__).parents[2] / "deploy"
API_SERVICE = "v1alpha1.metrics.smi-spec.io"
SERVICE_HOST = "trafficmetrics.trafficmetrics.svc"
"""The name kube-apiserver checks in the serving certificate, whatever address it dials."""

_PATIENCE = 2.0
"""Seconds a server gets to end by itself. kube-apiserver may wait much longer for open watches, and has nothing to save."""
_GROUP = "metrics.smi-spec.io"
_GROUP_VERSION_PATH = f"/apis/{_GROUP}/v1alpha1"


class Run(NamedTuple):
    """How a command ended."""

    code: int
    stdout: str
    stderr: str


class ControlPlane:
    """A running control plane; use it as an async context manager.

    ``cluster_ca`` signs clients and the server's own certificate, ``front_proxy_ca`` the aggregator's client certificate.
    ``directory`` holds everything it writes, ``daemons`` are its two servers, ``audit`` is the log of the second.
    """

    def __init__(self, parts: Parts, directory: Path) -> None:
        self._parts = parts
        self.directory = directory
        self.cluster_ca = Authority("cluster-ca")
        self.front_proxy_ca = Authority("front-proxy-ca")
        self.url = ""
        self.daemons: list[Daemon] = []
        self.audit = AuditLog(directory / "audit.log")
        self._kube_apiserver: list[str] = []
        self._homes: dict[Person, Path] = {}
        self._numbers = itertools.count()

    async def __aenter__(self) -> Self:
        try:
            await self._start()
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stop()

    # Talking to it

    async def kubectl(self, *args: str, user: Person = ADMIN, stdin: str = "", patience: float = 60) -> Run:
        """Runs kubectl as this person, with a home and a discovery cache of the person's own.

        Raises:
            TimeoutError: when it runs longer than ``patience`` seconds; it is then killed.

        """
        home = self._home(user)
        process = await asyncio.create_subprocess_exec(
            self._parts.kubectl,
            *args,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=self.environment(user),
            cwd=home,
        )
        try:
            async with asyncio.timeout(patience):
                stdout, stderr = await process.communicate(stdin.encode())
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        return Run(process.returncode or 0, stdout.decode(), stderr.decode())

    @asynccontextmanager
    async def following(self, *args: str, user: Person = ADMIN) -> AsyncIterator[Daemon]:
        """Runs kubectl as this person for something that does not end, ``get -w`` say; it is gone afterwards."""
        log = self.directory / f"kubectl-{next(self._numbers)}.log"
        daemon = Daemon(f"kubectl {' '.join(args)}", [self._parts.kubectl, *args], log, self.environment(user))
        try:
            yield daemon
        finally:
            await daemon.stop(2)

    def environment(self, user: Person = ADMIN) -> dict[str, str]:
        """For any command that runs kubectl as this person; its PATH also has the commands installed beside this Python."""
        home = self._home(user)
        commands = [self.directory / "bin", Path(sys.executable).parent, os.environ.get("PATH", os.defpath)]
        path = os.pathsep.join(map(str, commands))
        return {"PATH": path, "HOME": str(home), "KUBECONFIG": str(home / "kubeconfig"), "KUBECACHEDIR": str(home / "cache")}

    def kubeconfig(self, user: Person = ADMIN) -> Path:
        """A kubeconfig of this person."""
        return self._home(user) / "kubeconfig"

    def tls(self, user: Person = ADMIN) -> ssl.SSLContext:
        """For requests to ``url`` as this person, trusting the cluster's CA only."""
        home = self._home(user)
        context = ssl.create_default_context(cadata=self.cluster_ca.certificate.decode())
        context.load_cert_chain(home / "client.crt", home / "client.key")
        return context

    async def apply(self, *documents: Mapping[str, Any]) -> None:
        """Creates or updates these objects, as admin.

        Raises:
            RuntimeError: with kubectl's words, when kube-apiserver refuses one.

        """
        run = await self.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=yaml.safe_dump_all(documents))
        if run.code:
            raise RuntimeError(f"kubectl apply failed: {run.stderr}")

    def forget_discovery(self) -> None:
        """Empties every kubectl's discovery cache, which otherwise holds for six hours."""
        for home in self._homes.values():
            shutil.rmtree(home / "cache", ignore_errors=True)

    def _home(self, user: Person) -> Path:
        if user not in self._homes:
            home = self.directory / "people" / str(len(self._homes))
            move_in(user, home, self.url, self.cluster_ca)
            self._homes[user] = home
        return self._homes[user]

    def log_mark(self) -> int:
        """The place kube-apiserver's log has reached."""
        return self.daemons[-1].printed()

    def log_since(self, mark: int = 0, lines: int = 40) -> str:
        """The last lines kube-apiserver logged after that place."""
        return self.daemons[-1].tail(lines, mark)

    async def audited(self, since: int = 0, *, audit_id: str = "", resource: str = "", patience: float = 5) -> list[dict[str, Any]]:
        """The audit events after a mark (``audit.mark()``) that match: of a request's ID, of a resource such as ``pods/edges``.

        Recorded are SubjectAccessReviews with their bodies, and TokenReviews and requests to the extension API without; a watch
        is recorded when it begins and when it ends. kube-apiserver writes an event before it completes the response. While there
        is none that matches this waits for one, up to ``patience`` seconds: give 0 to find out that there is none.
        """
        deadline = asyncio.get_running_loop().time() + patience
        while True:
            events = self.audit.matching(since, audit_id=audit_id, resource=resource)
            if events or asyncio.get_running_loop().time() >= deadline:
                return events
            await asyncio.sleep(0.05)

    # The extension API

    async def register(self, port: int, ca_bundle: bytes, patience: float = 30) -> None:
        """Makes kube-apiserver serve the API group from ``https://localhost:port``, verified with ``ca_bundle`` (PEM).

        The Service is of type ExternalName, for which kube-apiserver asks for no endpoints: it dials that name with the
        APIService's port, and expects SERVICE_HOST in the certificate. Returns when a request went through and discovery
        lists the resources; the condition alone means neither (before 1.36 its probe even skipped the verification).

        Raises:
            RuntimeError: when it is not served after ``patience`` seconds; says what kube-apiserver reports.

        """
        await self.unregister()
        service: dict[str, Any] = {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "trafficmetrics", "namespace": NAMESPACE},
            "spec": {"type": "ExternalName", "externalName": "localhost"},
        }
        api_service = manifest("apiservice.yaml")
        api_service["spec"]["service"]["port"] = port
        api_service["spec"]["caBundle"] = base64.b64encode(ca_bundle).decode()
        await self.apply(manifest("namespace.yaml"), service, api_service)

        deadline = asyncio.get_running_loop().time() + patience
        while True:
            waited = await self.kubectl("wait", "--for=condition=Available", "--timeout=1s", f"apiservice/{API_SERVICE}")
            answer = await self.kubectl("get", "--raw", _GROUP_VERSION_PATH)
            if waited.code == 0 and answer.code == 0 and await self._discovered():
                self.forget_discovery()
                return
            if asyncio.get_running_loop().time() >= deadline:
                seen = await self.kubectl("get", "apiservice", API_SERVICE, "-o", "jsonpath={.status.conditions}")
                raise RuntimeError(f"{API_SERVICE} is not served. Conditions: {seen.stdout} Request: {answer.stderr}")
            await asyncio.sleep(0.1)

    async def _discovered(self) -> bool:
        """Whether the discovery document kubectl reads lists the group's resources; it follows the condition a little later."""
        accept = {"Accept": "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"}
        async with aiohttp.ClientSession(headers=accept) as session, session.get(f"{self.url}/apis", ssl=self.tls()) as response:
            groups = (await response.json(content_type=None))["items"]
        versions = [version for group in groups if group["metadata"]["name"] == _GROUP for version in group["versions"]]
        return any(version.get("freshness") == "Current" and version.get("resources") for version in versions)

    async def unregister(self) -> None:
        """Takes the API group away; kube-apiserver also forgets what it had learnt of its OpenAPI documents."""
        await self.kubectl("delete", "apiservice", API_SERVICE, "--ignore-not-found")
        await self.kubectl("delete", "service", "trafficmetrics", "-n", NAMESPACE, "--ignore-not-found")
        self.forget_discovery()

    # Its own affairs

    async def restart(self, *, front_proxy_ca: Authority | None = None) -> None:
        """Stops kube-apiserver and starts it again, with the same ports, data and logs; for a plane of a test's own.

        ``front_proxy_ca`` takes the place of the authority the aggregator's client certificate was from. kube-apiserver publishes
        the new one beside those already in the ConfigMap: an old certificate stays good, as long as somebody has its key.

        Raises:
            RuntimeError: when it does not get ready.

        """
        await self.daemons.pop().stop(_PATIENCE)
        if front_proxy_ca is not None:
            self.front_proxy_ca = front_proxy_ca
            write_front_proxy_keys(self.directory / "pki", front_proxy_ca)
        await self._start_kube_apiserver()

    async def _start(self) -> None:
        etcd_port, peer_port, secure_port = free_ports(3)
        self.url = f"https://{LOOPBACK}:{secure_port}"
        (self.directory / "bin").mkdir()
        (self.directory / "bin" / "kubectl").symlink_to(self._parts.kubectl)
        self._spawn("etcd", etcd_command(self._parts.etcd, self.directory / "etcd", etcd_port, peer_port))
        await self._answers(f"http://{LOOPBACK}:{etcd_port}/health", None)
        keys, audit_log = self.directory / "pki", self.directory / "audit.log"
        write_keys(keys, self.cluster_ca, self.front_proxy_ca)
        self._kube_apiserver = await kube_apiserver_command(self._parts.kube_apiserver, keys, audit_log, etcd_port, secure_port)
        await self._start_kube_apiserver()

    async def _start_kube_apiserver(self) -> None:
        self._spawn("kube-apiserver", self._kube_apiserver)
        await self._answers(f"{self.url}/readyz", self.tls())

    def _spawn(self, name: str, command: list[str]) -> None:
        env = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(self.directory)}
        self.daemons.append(Daemon(name, command, self.directory / f"{name}.log", env))

    async def _answers(self, url: str, tls: ssl.SSLContext | None, patience: float = 60) -> None:
        """Waits until the last daemon started answers this URL with 200."""
        daemon = self.daemons[-1]
        deadline = asyncio.get_running_loop().time() + patience
        answer = "nothing yet"
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session:
            while daemon.exit_code() is None and asyncio.get_running_loop().time() < deadline:
                try:
                    async with session.get(url, ssl=tls or True) as response:
                        if response.status == 200:
                            return
                        answer = f"{response.status}: {await response.text()}"
                except (aiohttp.ClientError, TimeoutError) as error:
                    answer = str(error)
                await asyncio.sleep(0.1)
        state = "still runs" if daemon.exit_code() is None else f"ended with code {daemon.exit_code()}"
        raise RuntimeError(f"{daemon.name} did not get ready and {state}. Last answer: {answer}\nIts log ends:\n{daemon.tail()}")

    async def _stop(self) -> None:
        for daemon in reversed(self.daemons):
            await daemon.stop(_PATIENCE)


def manifests(name: str) -> list[dict[str, Any]]:
    """The documents of this file of ``deploy/base``."""
    return list(yaml.safe_load_all((DEPLOY / "base" / name).read_text()))


def manifest(name: str) -> dict[str, Any]:
    """The document of a file that holds one."""
    (document,) = manifests(name)
    return document
