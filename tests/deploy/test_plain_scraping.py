"""What docs/installing.md shows for a Prometheus without its operator: rights that suffice, and labels as the alerts want them.

Prometheus of Debian is built without its part for Kubernetes. What that part would find is written down here instead
(prometheus/prometheus, discovery/kubernetes/pod.go: one target for each port of each container), and a real Prometheus goes on from there.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from tests.controlplane.commands import LOOPBACK
from tests.controlplane.plane import DEPLOY, NAMESPACE, ControlPlane
from tests.deploy.rendering import find, render
from tests.deploy.scraping import run_prometheus
from tests.deploy.test_installing import INSTALLING, files

pytestmark = pytest.mark.real

SHOWN = files(INSTALLING)
PREFIX = "__meta_kubernetes"


async def test_the_one_port_of_each_pod_is_kept_and_named_as_the_alerts_name_it(control_plane: ControlPlane, tmp_path: Path):
    (tmp_path / "ca.crt").write_bytes(control_plane.cluster_ca.certificate)
    template = find(render("base"), "Deployment")["spec"]["template"]
    stranger = template | {"metadata": {"labels": {"app.kubernetes.io/name": "other"}}}
    kept, dropped = await scraped([*ports("one", template), *ports("stranger", stranger)], tmp_path)
    labels = {"job": "trafficmetrics", "instance": f"{LOOPBACK}:6443", "namespace": NAMESPACE, "pod": "one"}
    assert [each["labels"] for each in kept] == [labels]
    assert len(dropped) == 3


def ports(pod: str, template: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """What is found of a pod of that template with a proxy beside the server, as a mesh puts it there."""
    of_pod = {f"{PREFIX}_namespace": NAMESPACE, f"{PREFIX}_pod_name": pod}
    for name, value in template["metadata"]["labels"].items():
        of_pod[f"{PREFIX}_pod_label_{name.replace('.', '_').replace('/', '_')}"] = value
    (server,) = template["spec"]["containers"]
    for port in (*server["ports"], {"name": "proxy-admin", "containerPort": 4191}):
        labels = of_pod | {f"{PREFIX}_pod_container_port_name": port["name"]}
        yield {"targets": [f"{LOOPBACK}:{port['containerPort']}"], "labels": labels}


async def scraped(found: list[dict[str, Any]], folder: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The targets that a Prometheus of the page's configuration keeps of these, and those that it drops; waits until there are any.

    ``folder`` has the authority.
    """
    shutil.copy(DEPLOY / "alerts" / "trafficmetrics.rules.yaml", folder)
    content = yaml.safe_load(SHOWN["prometheus.yaml"])
    (job,) = content["scrape_configs"]
    assert job.pop("kubernetes_sd_configs") == [{"role": "pod", "namespaces": {"names": [NAMESPACE]}}]
    job["static_configs"] = found
    job["tls_config"]["ca_file"] = str(folder / "ca.crt")
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(content))
    async with run_prometheus(folder) as url, asyncio.timeout(30), aiohttp.ClientSession() as session:
        while True:
            async with session.get(f"{url}/api/v1/targets") as response:
                targets = (await response.json())["data"]
            if targets["activeTargets"]:
                return targets["activeTargets"], targets["droppedTargets"]
            await asyncio.sleep(0.1)


async def test_the_rights_let_it_find_the_pods_and_read_their_metrics(control_plane: ControlPlane):
    rights = list(yaml.safe_load_all(SHOWN["prometheus-rights.yaml"]))
    await control_plane.apply(find(render("base"), "Namespace"), *rights)
    try:
        for verb, what, allowed in (
            ("list", "pods", "yes"),
            ("watch", "pods", "yes"),
            ("get", "/metrics", "yes"),
            ("list", "secrets", "no"),
        ):
            account = "--as=system:serviceaccount:monitoring:prometheus"
            run = await control_plane.kubectl("auth", "can-i", verb, what, "-n", NAMESPACE, account)
            assert run.stdout.strip() == allowed, (verb, what, run.stderr)
    finally:
        await control_plane.kubectl("delete", "--ignore-not-found", "-f", "-", stdin=yaml.safe_dump_all(rights))
