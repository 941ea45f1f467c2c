"""Install, upgrade twice, roll back, uninstall: after each step kube-apiserver verifies the server, in every certificate mode."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.controlplane.commands import free_ports
from tests.controlplane.pki import Authority
from tests.controlplane.plane import API_SERVICE, ControlPlane
from tests.deploy.chart.helm import CHART, Helm
from tests.deploy.kubelet import Pod, get

pytestmark = pytest.mark.real

GROUP_VERSION = "/apis/metrics.smi-spec.io/v1alpha1"
RELEASE = "round"
NAME = "round-trafficmetrics"


class Installation:
    """A release of the chart in a namespace of its own, and the one pod that serves it."""

    def __init__(self, plane: ControlPlane, helm: Helm, mode: str, directory: Path) -> None:
        self.plane = plane
        self.helm = helm
        self.mode = mode
        self.namespace = f"round-{mode}"
        self.host = f"{NAME}.{self.namespace}.svc"
        self._directory = directory
        self._pods = 0
        self._steps = itertools.count()
        self._template: dict[str, Any] = {}
        self.left = ""
        """The caBundle as Helm left it, before anybody could have mended it."""
        self.pod: Pod | None = None
        self.issuer = Authority("issuer-ca")
        port = free_ports(1)[0]
        self.values: dict[str, Any] = {
            "certificate": {"mode": mode},
            "service": {"port": port},
            "server": {"port": port, "shutdownDelay": 0},
            "config": {"backends": [{"name": "mesh", "type": "prometheus", "url": "http://127.0.0.1:1", "dialect": "linkerd"}]},
        }

    async def run(self, *args: str, **changed: Any) -> None:
        """Runs helm with the values of the installation, and what is changed of them; then what a cluster would do, happens."""
        target = ("-n", self.namespace)
        values = self.values | changed if args[0] in ("install", "upgrade") else None
        chart = (str(CHART),) if values is not None else ()
        await self.helm.done(args[0], RELEASE, *args[1:], *chart, *target, values=values)
        self.left = await self.bundle()
        await self._play_cert_manager()
        await self._roll_out()
        # kube-apiserver finds no pods behind a Service here: it dials this name, with the port of the APIService. It looks at once
        # whether the API answers now, since this is a change each time.
        external = {"type": "ExternalName", "externalName": "localhost"}
        seen = {"annotations": {"example.com/rolled-out": str(next(self._steps))}}
        change = json.dumps({"metadata": seen, "spec": external})
        await self._kubectl("patch", "service", NAME, *target, "--type=merge", "-p", change)

    async def _kubectl(self, *args: str, stdin: str = "") -> str:
        run = await self.plane.kubectl(*args, stdin=stdin)
        if run.code:
            raise RuntimeError(run.stderr)
        return run.stdout

    async def provide(self) -> None:
        """What has to be there before: the namespace, and in mode "secret" the Secret."""
        await self._kubectl("create", "namespace", self.namespace)
        if self.mode == "secret":
            self.values["certificate"]["caBundle"] = self.issuer.certificate.decode()
            await self._put_secret(f"{NAME}-serving", [self.host])

    async def _put_secret(self, name: str, hosts: list[str]) -> None:
        pair = self.issuer.server(*hosts)
        entries = {"tls.crt": pair.certificate, "tls.key": pair.key, "ca.crt": self.issuer.certificate}
        data = {key: base64.b64encode(content).decode() for key, content in entries.items()}
        metadata = {"name": name, "namespace": self.namespace}
        await self.plane.apply(
            {"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls", "metadata": metadata, "data": data}
        )

    async def _play_cert_manager(self) -> None:
        """Issues what Certificates ask for that have no Secret yet, and fills in caBundle where an annotation asks for it."""
        if self.mode != "cert-manager":
            return
        asked = await get(self.plane, "certificate", f"{NAME}-serving", self.namespace)
        assert asked is not None
        if await get(self.plane, "secret", asked["spec"]["secretName"], self.namespace) is None:
            await self._put_secret(asked["spec"]["secretName"], asked["spec"]["dnsNames"])
        registered = await get(self.plane, "apiservice", API_SERVICE)
        assert registered is not None
        source = registered["metadata"]["annotations"]["cert-manager.io/inject-ca-from"]
        assert source == f"{self.namespace}/{asked['metadata']['name']}"
        bundle = base64.b64encode(self.issuer.certificate).decode()
        if registered["spec"].get("caBundle") != bundle:
            patch = json.dumps({"spec": {"caBundle": bundle}})
            await self._kubectl("patch", "apiservice", API_SERVICE, "--type=merge", "-p", patch)

    async def _roll_out(self) -> None:
        """A new pod for a new template; otherwise the files of the old one as they are now."""
        deployment = await get(self.plane, "deployment", NAME, self.namespace)
        assert deployment is not None
        template = deployment["spec"]["template"]
        if self.pod is not None and template == self._template:
            await self.pod.mount()
            return
        await self.end()
        self._template = template
        self._pods += 1
        self.pod = Pod(self.plane, self.namespace, template, self._directory / f"pod-{self._pods}")
        await self.pod.start()
        await self.pod.until_ready()

    async def bundle(self) -> str:
        """The APIService's caBundle, PEM."""
        registered = await get(self.plane, "apiservice", API_SERVICE)
        assert registered is not None
        assert "insecureSkipTLSVerify" not in registered["spec"]
        return base64.b64decode(registered["spec"].get("caBundle", "")).decode()

    async def served(self, patience: float = 40) -> bytes:
        """The certificate that is shown, once it is verified by the APIService's caBundle, and kube-apiserver serves the API."""
        assert self.pod is not None
        shown = await self.pod.certificate(await self.bundle(), self.host)
        deadline = asyncio.get_running_loop().time() + patience
        while (answer := await self.plane.kubectl("get", "--raw", GROUP_VERSION)).code:
            assert asyncio.get_running_loop().time() < deadline, answer.stderr
            await asyncio.sleep(0.1)
        assert json.loads(answer.stdout)["kind"] == "APIResourceList"
        return shown

    async def uninstall(self) -> None:
        """Helm's part of it; the pod ends as it would."""
        await self.helm.done("uninstall", RELEASE, "-n", self.namespace, "--wait")
        await self.end()
        self.plane.forget_discovery()

    async def end(self) -> None:
        """Ends the pod, if there is one."""
        if self.pod is not None:
            await self.pod.stop()
            self.pod = None


@pytest.fixture
async def installation(
    custom_resources: ControlPlane, cluster_helm: Helm, request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[Installation]:
    made = Installation(custom_resources, cluster_helm, request.param, tmp_path)
    await made.provide()
    try:
        yield made
    finally:
        await made.end()
        await cluster_helm.run("uninstall", RELEASE, "-n", made.namespace, "--ignore-not-found")
        await custom_resources.kubectl("delete", "secret,namespace", "--all", "-n", made.namespace, "--wait=false")


@pytest.mark.parametrize("installation", ["helm", "cert-manager", "secret", "server"], indirect=True)
async def test_the_served_certificate_is_verified_after_every_step(installation: Installation):
    await installation.run("install")
    shown, bundle = await installation.served(), await installation.bundle()

    # Other labels are another pod, which has to go on with what the one before had.
    await installation.run("upgrade", commonLabels={"team": "platform"})
    assert await installation.served() == shown
    assert (installation.left, await installation.bundle()) == (bundle, bundle)

    await installation.run("upgrade", commonLabels={"team": "platform"}, replicas=3)
    assert await installation.served() == shown
    assert (installation.left, await installation.bundle()) == (bundle, bundle)

    await installation.run("rollback", "2")
    assert await installation.served() == shown
    assert (installation.left, await installation.bundle()) == (bundle, bundle)

    await installation.uninstall()
    assert await left_over(installation) == ({f"secret/{NAME}-issued"} if installation.mode == "server" else set())


async def left_over(installation: Installation) -> set[str]:
    """What is still there of the release, but the Secrets that were there before or are somebody else's."""
    everywhere = "apiservices,clusterroles,clusterrolebindings"
    ours = f"app.kubernetes.io/instance={RELEASE}"
    cluster = await installation.plane.kubectl("get", everywhere, "-l", ours, "-o", "name")
    system = await installation.plane.kubectl("get", "rolebindings", "-n", "kube-system", "-l", ours, "-o", "name")
    kinds = "all,secrets,configmaps,serviceaccounts,roles,rolebindings,poddisruptionbudgets"
    inside = await installation.plane.kubectl("get", kinds, "-n", installation.namespace, "-o", "name")
    assert (cluster.stderr, system.stderr, inside.stderr) == ("", "", "")
    names = set(f"{cluster.stdout}{system.stdout}{inside.stdout}".split())
    foreign = {f"secret/{NAME}-serving", "configmap/kube-root-ca.crt", "serviceaccount/default"}
    return names - foreign
