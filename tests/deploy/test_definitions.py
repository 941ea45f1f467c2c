"""The custom resources the tests rely on are there as their projects publish them: unknown fields of an object are found."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.controlplane.plane import ControlPlane

pytestmark = pytest.mark.real

MONITOR = {
    "apiVersion": "monitoring.coreos.com/v1",
    "kind": "ServiceMonitor",
    "metadata": {"name": "probe", "namespace": "default"},
    "spec": {"selector": {}, "endpoints": [{"port": "https"}]},
}


@pytest.mark.parametrize(
    "kind",
    [
        "servicemonitors.monitoring.coreos.com",
        "prometheusrules.monitoring.coreos.com",
        "certificates.cert-manager.io",
        "issuers.cert-manager.io",
        "peerauthentications.security.istio.io",
    ],
)
async def test_they_are_served(custom_resources: ControlPlane, kind: str):
    run = await custom_resources.kubectl("get", kind, "-A")
    assert run.code == 0, run.stderr


async def test_they_are_validated(custom_resources: ControlPlane):
    command = ("apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", "-")
    run = await custom_resources.kubectl(*command, stdin=json.dumps(MONITOR))
    assert run.code == 0, run.stderr
    misspelt = MONITOR | {"spec": {"selector": {}, "endpoints": [{"prot": "https"}]}}
    run = await custom_resources.kubectl(*command, stdin=json.dumps(misspelt))
    assert ".spec.endpoints[0].prot: field not declared in schema" in run.stderr


def test_cert_manager_is_of_one_release():
    """Its controllers and the definitions of its resources are pinned in two places."""
    modules = (Path(__file__).parents[1] / folder / "go.mod" for folder in ("certmanager", "customresources"))
    releases = {re.findall(r"github\.com/cert-manager/cert-manager (\S+)$", each.read_text(), re.MULTILINE)[0] for each in modules}
    assert len(releases) == 1
