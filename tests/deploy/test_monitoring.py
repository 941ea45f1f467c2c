"""The ServiceMonitor, as a real Prometheus scrapes by it: verified, as the account of the manifests, and with no more than that may.

What prometheus-operator makes of it is put into a configuration here (prometheus-operator/prometheus-operator,
pkg/prometheus/promcfg.go): files for what is in Secrets, and the pod's address for what the Service would lead to.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import pytest
import yaml

from tests.controlplane.commands import LOOPBACK
from tests.controlplane.controllers import run_controllers
from tests.controlplane.plane import NAMESPACE, ControlPlane
from tests.deploy.installation import installed
from tests.deploy.kubelet import Pod, get
from tests.deploy.pods import run_pod
from tests.deploy.rendering import find
from tests.deploy.scraping import run_prometheus

pytestmark = pytest.mark.real


class Scraping(NamedTuple):
    """A Prometheus at ``url`` with a job for each account that asks."""

    url: str

    async def target(self, job: str) -> dict[str, Any]:
        """The one target of a job, once it was scraped."""
        async with asyncio.timeout(30), aiohttp.ClientSession() as session:
            while True:
                async with session.get(f"{self.url}/api/v1/targets") as response:
                    targets = (await response.json())["data"]["activeTargets"]
                found = [each for each in targets if each["scrapePool"] == job and each["health"] != "unknown"]
                if found:
                    return dict(found[0])
                await asyncio.sleep(0.1)

    async def value(self, query: str) -> list[dict[str, Any]]:
        async with aiohttp.ClientSession() as session, session.get(f"{self.url}/api/v1/query", params={"query": query}) as response:
            return list((await response.json())["data"]["result"])


@pytest.fixture(scope="module")
async def scraping(
    custom_resources: ControlPlane, kube_controller_manager: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Scraping]:
    """``deploy/prometheus-operator`` at work: jobs "account", "stranger" (without the role) and "misled" (another authority)."""
    plane, folder = custom_resources, tmp_path_factory.mktemp("prometheus")
    await plane.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "monitoring"}})
    keys = plane.directory / "pki"
    flags = (f"--service-account-private-key-file={keys}/tokens.key", f"--root-ca-file={keys}/cluster-ca.crt")
    async with (
        run_controllers(kube_controller_manager, plane, "serviceaccount-token-controller", flags=flags),
        installed(plane, "prometheus-operator") as objects,
        run_pod(plane, find(objects, "Deployment"), tmp_path_factory.mktemp("pod")) as pod,
    ):
        account = await job(plane, find(objects, "ServiceMonitor"), pod, folder)
        run = await plane.kubectl("create", "token", "trafficmetrics", "-n", NAMESPACE)
        (folder / "stranger").write_text(run.stdout)
        (folder / "misled").write_bytes(plane.cluster_ca.certificate)
        jobs = [
            account,
            account | {"job_name": "stranger", "authorization": {"credentials_file": str(folder / "stranger")}},
            account | {"job_name": "misled", "tls_config": account["tls_config"] | {"ca_file": str(folder / "misled")}},
        ]
        (folder / "prometheus.yaml").write_text(yaml.safe_dump({"scrape_configs": jobs}))
        async with run_prometheus(folder) as url:
            yield Scraping(url)


async def job(plane: ControlPlane, monitor: dict[str, Any], pod: Pod, folder: Path) -> dict[str, Any]:
    """The endpoint of a ServiceMonitor as an entry of ``scrape_configs``, its Secrets in files of ``folder``."""
    (endpoint,) = monitor["spec"]["endpoints"]
    tls, authorization = endpoint["tlsConfig"], endpoint["authorization"]
    return {
        "job_name": "account",
        "scrape_interval": "1s",
        "scheme": endpoint["scheme"],
        "metrics_path": endpoint["path"],
        "tls_config": {
            "server_name": tls["serverName"],
            "ca_file": str(await kept(plane, tls["ca"]["secret"]["name"], tls["ca"]["secret"]["key"], folder)),
        },
        "authorization": {
            "type": authorization["type"],
            "credentials_file": str(
                await kept(plane, authorization["credentials"]["name"], authorization["credentials"]["key"], folder)
            ),
        },
        "static_configs": [{"targets": [f"{LOOPBACK}:{pod.port}"]}],
    }


async def kept(plane: ControlPlane, secret: str, key: str, folder: Path) -> Path:
    """An entry of a Secret as a file; waits for whoever fills it in."""
    path = folder / f"{secret}-{key}"
    async with asyncio.timeout(20):
        while True:
            data = (await get(plane, "secret", secret, NAMESPACE) or {}).get("data", {})
            if key in data:
                path.write_bytes(base64.b64decode(data[key]))
                return path
            await asyncio.sleep(0.1)


async def test_the_account_of_the_manifests_is_answered(scraping: Scraping):
    target = await scraping.target("account")
    assert (target["health"], target["lastError"]) == ("up", "")
    (series,) = await scraping.value('kubernetes_build_info{job="account"}')
    assert series["value"][1] == "1"


async def test_who_lacks_the_role_is_refused(scraping: Scraping):
    target = await scraping.target("stranger")
    assert (target["health"], target["lastError"]) == ("down", "server returned HTTP status 403 Forbidden")


async def test_the_certificate_is_verified(scraping: Scraping):
    target = await scraping.target("misled")
    assert target["health"] == "down"
    assert "certificate signed by unknown authority" in target["lastError"]


@pytest.mark.usefixtures("scraping")
@pytest.mark.parametrize(
    ("verb", "what", "allowed"),
    [
        pytest.param("get", "/metrics", True, id="metrics"),
        pytest.param("get", "/readyz/ping", False, id="other paths"),
        pytest.param("list", "trafficmetrics.metrics.smi-spec.io", False, id="traffic"),
        pytest.param("list", "pods", False, id="pods"),
    ],
)
async def test_the_account_may_read_metrics_and_nothing_else(
    custom_resources: ControlPlane, verb: str, what: str, *, allowed: bool
):
    account = f"--as=system:serviceaccount:{NAMESPACE}:trafficmetrics-scraper"
    run = await custom_resources.kubectl("auth", "can-i", verb, what, "-n", NAMESPACE, account)
    assert run.stdout.strip() == ("yes" if allowed else "no"), run.stderr


@pytest.mark.usefixtures("scraping")
@pytest.mark.parametrize("resource", ["pods", "services", "endpoints", "endpointslices.discovery.k8s.io"])
async def test_prometheus_finds_the_replicas_and_no_other_pods(custom_resources: ControlPlane, resource: str):
    for namespace, expected in ((NAMESPACE, "yes"), ("default", "no")):
        account = "--as=system:serviceaccount:monitoring:prometheus-k8s"
        run = await custom_resources.kubectl("auth", "can-i", "list", resource, "-n", namespace, account)
        assert run.stdout.strip() == expected, run.stderr
