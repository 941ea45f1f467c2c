"""A real kube-apiserver takes every object the chart renders, field by field, and admits its pods at Pod Security level restricted."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from tests.controlplane.plane import ControlPlane, Run
from tests.deploy.chart.helm import CASES, Helm

pytestmark = pytest.mark.real

NAMESPACE = "chart"
WATCHED: dict[str, Any] = {"serviceMonitor": {"enabled": True}, "prometheusRule": {"enabled": True}}
SCALED: dict[str, Any] = {"config": {"surfaces": {"customMetrics": True, "externalMetrics": True}}}
RENDERED = [
    *(pytest.param(case, {}, id=case or "defaults") for case in ["", *CASES] if case != "host-network"),
    pytest.param("", WATCHED, id="defaults, watched"),
    *(
        pytest.param(case, WATCHED | SCALED, id=f"{case}, watched and for autoscalers")
        for case in ("helm", "cert-manager", "secret")
    ),
]


@pytest.fixture(scope="module")
async def cluster(custom_resources: ControlPlane) -> ControlPlane:
    """With a namespace that admits restricted pods alone; there is no controller to make its default account."""
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    await custom_resources.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": labels}})
    return custom_resources


async def dry_run(cluster: ControlPlane, objects: list[dict[str, Any]]) -> Run:
    command = ("apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", "-")
    return await cluster.kubectl(*command, stdin=yaml.safe_dump_all(objects))


@pytest.mark.parametrize(("case", "values"), RENDERED)
async def test_every_object_is_taken(cluster: ControlPlane, helm: Helm, case: str, values: dict[str, Any]):
    objects = await helm.template(values, case=case, namespace=NAMESPACE)
    run = await dry_run(cluster, objects)
    assert (run.code, run.stderr) == (0, "")
    assert len(run.stdout.splitlines()) == len(objects)


async def test_a_field_that_kubernetes_does_not_know_is_found(cluster: ControlPlane, helm: Helm):
    run = await dry_run(cluster, await helm.template({"podSecurityContext": {"runAsRoot": False}}, namespace=NAMESPACE))
    assert run.code != 0
    assert ".spec.template.spec.securityContext.runAsRoot: field not declared in schema" in run.stderr


def pods(objects: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """That of the Deployment, and the one of ``helm test``."""
    (deployment,) = (each for each in objects if each["kind"] == "Deployment")
    template = deployment["spec"]["template"]
    metadata = template["metadata"] | {"name": "probe", "namespace": NAMESPACE}
    made = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}
    return [made, *(each for each in objects if each["kind"] == "Pod")]


@pytest.mark.parametrize("case", ["", *CASES], ids=lambda case: case or "defaults")
async def test_pods_are_admitted_at_level_restricted(cluster: ControlPlane, helm: Helm, case: str):
    for pod in pods(await helm.template(case=case, namespace=NAMESPACE)):
        run = await cluster.kubectl("create", "--dry-run=server", "-f", "-", stdin=json.dumps(pod))
        if case == "host-network" and pod["metadata"]["name"] == "probe":
            assert "violates PodSecurity" in run.stderr
            assert "hostNetwork=true" in run.stderr
        else:
            assert (run.code, run.stderr) == (0, "")
