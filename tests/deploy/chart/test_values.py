"""The values of the chart: each is described and checked, and its versions are those of the project."""

from __future__ import annotations

import asyncio
import json
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.chart.helm import CASES, CHART, Helm

pytestmark = pytest.mark.real

ROOT = Path(__file__).parents[3]


async def test_the_reference_is_what_the_values_say():
    script = ROOT / "scripts" / "chart-reference"
    process = await asyncio.create_subprocess_exec(sys.executable, script, "--check", stderr=asyncio.subprocess.PIPE)
    _, stderr = await process.communicate()
    assert (process.returncode, stderr.decode()) == (0, "")


def test_the_schema_describes_every_value():
    schema = json.loads((CHART / "values.schema.json").read_text())
    assert sorted(undescribed(schema, schema["definitions"])) == []


def undescribed(schema: Mapping[str, Any], definitions: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """Values without a description, and mappings that take anything although it is known what they may hold."""
    for name, place in schema.get("properties", {}).items():
        inner = definitions[place["$ref"].rpartition("/")[2]] if "$ref" in place else place
        if "description" not in place and "description" not in inner and "properties" not in inner:
            yield f"{path}.{name}"
        if "properties" in inner and inner.get("additionalProperties") is not False and "requests" not in inner["properties"]:
            yield f"{path}.{name} is open"
        yield from undescribed(inner, definitions, f"{path}.{name}")


def test_the_schema_knows_every_value():
    schema = json.loads((CHART / "values.schema.json").read_text())
    assert schema["additionalProperties"] is False
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    assert values.keys() == schema["properties"].keys() - {"global", "enabled"}


def version() -> str:
    """That of the project."""
    return str(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"])


def test_its_version_is_that_of_the_project():
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert (chart["version"], chart["appVersion"]) == (version(), version())


def test_its_alerts_are_those_of_the_project():
    assert (CHART / "files" / "trafficmetrics.rules.yaml").read_text() == (
        ROOT / "deploy" / "alerts" / "trafficmetrics.rules.yaml"
    ).read_text(), "copy deploy/alerts/trafficmetrics.rules.yaml"


@pytest.mark.parametrize("case", ["", *CASES], ids=lambda case: case or "defaults")
async def test_helm_has_nothing_against_it(helm: Helm, case: str):
    files = ("-f", str(CHART / "ci" / f"{case}-values.yaml")) if case else ()
    run = await helm.run("lint", "--strict", "--quiet", str(CHART), *files)
    assert run.code == 0, run.stdout + run.stderr


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "a certificate mode there is none of": (
        {"certificate": {"mode": "self-signed"}},
        "at '/certificate/mode': value must be one of 'server', 'helm', 'cert-manager', 'secret'",
    ),
    "a misspelt value": ({"replica": 3}, "additional properties 'replica' not allowed"),
    "a misspelt value further in": ({"serviceMonitor": {"enable": True}}, "at '/serviceMonitor': additional properties 'enable'"),
    "a number as text": ({"replicas": "two"}, "at '/replicas': got string, want integer"),
    "a port for root": ({"server": {"port": 443}}, "at '/server/port': minimum: got 443"),
    "a bundle that is no PEM": ({"certificate": {"mode": "secret", "caBundle": "LS0t"}}, "at '/certificate/caBundle'"),
    "a kind of issuer without its name": (
        {"certificate": {"certManager": {"issuerRef": {"kind": "ClusterIssuer"}}}},
        "'/certificate/certManager/issuerRef'",
    ),
    "a digest that is none": ({"image": {"digest": "latest"}}, "at '/image/digest'"),
    "an argument that is no flag": ({"server": {"extraArgs": ["serve"]}}, "at '/server/extraArgs/0'"),
    "a lone key of credentials": ({"serviceMonitor": {"credentials": {"key": "token"}}}, "'/serviceMonitor/credentials'"),
    "what the chart passes itself": (
        {"config": {"server": {"securePort": 8443}}},
        "config.server.securePort: the chart passes this as a flag, which would beat it; set server.port",
    ),
    "a certificate that is always due": (
        {"certificate": {"mode": "helm", "helm": {"renewDays": 1095}}},
        "certificate.helm.renewDays must be less than certificate.helm.days",
    ),
    "a certificate that cert-manager would always find due": (
        {"certificate": {"mode": "cert-manager", "certManager": {"duration": "24h"}}},
        "certificate.certManager.renewBefore must be less than certificate.certManager.duration",
    ),
    "an authority that cert-manager would always find due": (
        {"certificate": {"mode": "cert-manager", "certManager": {"authorityRenewBefore": "87600h0m"}}},
        "certificate.certManager.authorityRenewBefore must be less than certificate.certManager.authorityDuration",
    ),
    "a name that no Service can have": (
        {"fullnameOverride": "1tm"},
        '"1tm" is no name for a Service: it has to begin with a letter',
    ),
    "a name that no Secret can have": ({"certificate": {"secretName": "Foo_Bar"}}, "at '/certificate/secretName'"),
    "a name that no ServiceAccount can have": ({"serviceAccount": {"name": "-me"}}, "at '/serviceAccount/name'"),
    "a unit there is none of": ({"resources": {"limits": {"memory": "400mb"}}}, "at '/resources/limits/memory'"),
    "less than nothing": ({"resources": {"requests": {"cpu": -1}}}, "at '/resources/requests/cpu'"),
    "a strategy in the wrong place": ({"updateStrategy": {"maxSurge": 2}}, "additional properties 'maxSurge' not allowed"),
    "an address that nobody else reaches": (
        {"config": {"server": {"bindAddress": "127.0.0.1"}}},
        "config.server.bindAddress: nobody but the pod itself reaches 127.0.0.1, so it would never be ready; leave it out",
    ),
    "the same in the other family, as a flag": (
        {"server": {"extraArgs": ["--bind-address=::1"]}},
        "server.extraArgs: --bind-address: nobody but the pod itself reaches ::1",
    ),
    "a server without a cluster": (
        {"config": {"kubernetes": {"enabled": False}}},
        "config.kubernetes.enabled: without a cluster nobody can be authenticated, and the server does not start",
    ),
    "the same as a flag": (
        {"server": {"extraArgs": ["--kubernetes-enabled=false"]}},
        "server.extraArgs: --kubernetes-enabled: without",
    ),
    "no configuration": ({"config": None}, "missing property 'config'"),
    "a budget that keeps every pod": (
        {"podDisruptionBudget": {"minAvailable": 2}},
        "podDisruptionBudget.minAvailable: 2 of 2 replicas lets no pod be evicted, and no node be drained; set less",
    ),
    "a budget of which every pod is left when it is rounded up": (
        {"replicas": 3, "podDisruptionBudget": {"minAvailable": "67%"}},
        "podDisruptionBudget.minAvailable: 67% of 3 replicas",
    ),
    "a budget that lets all go": (
        {"podDisruptionBudget": {"maxUnavailable": 2}},
        "podDisruptionBudget.maxUnavailable: 2 of 2 replicas lets all of them be evicted at once; set less",
    ),
    "a budget that lets all go when it is rounded up": (
        {"replicas": 3, "podDisruptionBudget": {"maxUnavailable": "67%"}},
        "podDisruptionBudget.maxUnavailable: 67% of 3 replicas",
    ),
    "a budget that leaves none": ({"podDisruptionBudget": {"minAvailable": 0}}, "at '/podDisruptionBudget/minAvailable'"),
    "a budget that says nothing": (
        {"podDisruptionBudget": {"maxUnavailable": ""}},
        "podDisruptionBudget: give minAvailable or maxUnavailable",
    ),
    "a budget that lets none go": ({"podDisruptionBudget": {"maxUnavailable": "0%"}}, "at '/podDisruptionBudget/maxUnavailable'"),
    "pods that may reach nothing": (
        {"networkPolicy": {"enabled": True, "limitEgress": True}},
        "networkPolicy.limitEgress: networkPolicy.egress is empty, so the pods could reach nothing; list DNS, kube-apiserver and",
    ),
    "a policy for pods that it does not concern": (
        {"networkPolicy": {"enabled": True}, "hostNetwork": True},
        "networkPolicy.enabled: a NetworkPolicy has no effect on pods with hostNetwork",
    ),
    "an alert there is none of, to leave out": (
        {"prometheusRule": {"enabled": True, "disabled": ["TrafficMetricsSourceDown", "TrafficMetricsRain"]}},
        "prometheusRule.disabled: there is no alert TrafficMetricsRain; docs/alerts.md has them all",
    ),
    "an authority that is always due": (
        {"certificate": {"mode": "helm", "helm": {"authorityDays": 1095}}},
        "certificate.helm.days must be less than certificate.helm.authorityDays",
    ),
}


@pytest.mark.parametrize(("values", "told"), REFUSED.values(), ids=REFUSED.keys())
async def test_bad_values_are_refused_with_the_reason(helm: Helm, values: dict[str, Any], told: str):
    run = await helm.run("template", "probe", str(CHART), values=values)
    assert run.code != 0
    assert told in run.stderr


@pytest.mark.parametrize("mode", ["server", "secret"])
async def test_no_flag_is_given_beside_the_charts_own(helm: Helm, mode: str):
    values: dict[str, Any] = {"certificate": {"mode": mode}, "server": {"verbosity": 2}}
    (deployment,) = (each for each in await helm.template(values) if each["kind"] == "Deployment")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    command, *flags = container["args"]
    assert command == "serve"
    assert flags
    for flag in flags:
        name = flag.partition("=")[0]
        run = await helm.run(
            "template", "probe", str(CHART), values=values | {"server": {"extraArgs": ["--logging-format=json", flag]}}
        )
        assert f"server.extraArgs: the chart passes {name} itself; set " in run.stderr


@pytest.mark.parametrize("given", ["0.5", "100m", "1Gi", "1e3", "128974848", "1.5G", ".5", 0.5, 2, 128974848, 1e3, 0])
async def test_a_quantity_is_taken_in_each_of_its_forms(helm: Helm, given: str | float):
    objects = await helm.template({"resources": {"limits": {"memory": given}}})
    (deployment,) = (each for each in objects if each["kind"] == "Deployment")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    taken = container["resources"]["limits"]["memory"]
    assert taken == given or float(taken) == float(given)


@pytest.mark.parametrize(
    "strategy",
    [
        pytest.param({"type": "Recreate"}, id="of another type"),
        pytest.param({"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "50%", "maxSurge": 2}}, id="in other numbers"),
    ],
)
async def test_a_strategy_is_taken_as_it_is(helm: Helm, strategy: dict[str, Any]):
    (deployment,) = (each for each in await helm.template({"updateStrategy": strategy}) if each["kind"] == "Deployment")
    assert deployment["spec"]["strategy"] == strategy


@pytest.mark.parametrize("wanted", [True, False])
async def test_another_chart_switches_it_on_and_off_by_a_condition(helm: Helm, tmp_path: Path, *, wanted: bool):
    readme = (CHART / "README.md").read_text()
    (told,) = re.findall(r"^```yaml\n# Chart.yaml\n(.*?)^```", readme, re.DOTALL | re.MULTILINE)
    (asked,) = re.findall(r"^```yaml\n# values.yaml\n(trafficmetrics:.*?)^```", readme, re.DOTALL | re.MULTILINE)
    (tmp_path / "Chart.yaml").write_text(f"apiVersion: v2\nname: platform\nversion: 1.0.0\n{told}")
    (tmp_path / "charts").mkdir()
    (tmp_path / "charts" / "trafficmetrics").symlink_to(CHART)
    values = yaml.safe_load(asked)
    assert values["trafficmetrics"]["enabled"] is True
    values["trafficmetrics"]["enabled"] = wanted
    shown = await helm.done("template", "probe", str(tmp_path), values=values)
    assert ("image: registry.example.com/trafficmetrics:" in shown) is wanted


def test_no_block_of_the_readme_takes_away_what_it_has_made():
    blocks = re.findall(r"^```sh\n(.*?)^```", (CHART / "README.md").read_text(), re.DOTALL | re.MULTILINE)
    steps = [set(re.findall(r"^helm (\w+)", block, re.MULTILINE)) for block in blocks]
    for step in ("install", "upgrade", "rollback", "uninstall"):
        assert {step} in steps
    assert all(len(step) == 1 for step in steps)


async def test_a_cluster_that_is_too_old_is_told_so(helm: Helm):
    run = await helm.run("template", "probe", str(CHART), "--kube-version=1.26")
    assert "chart requires kubeVersion: >=1.27" in run.stderr


async def test_the_value_files_of_the_tests_are_not_packed(helm: Helm, tmp_path: Path):
    await helm.done("package", str(CHART), "-d", str(tmp_path))
    packed = tmp_path / f"trafficmetrics-{version()}.tgz"
    shown = await helm.done("template", "probe", str(packed), values={"prometheusRule": {"enabled": True}})
    assert "kind: PrometheusRule" in shown
    process = await asyncio.create_subprocess_exec("tar", "-tzf", packed, stdout=asyncio.subprocess.PIPE)
    listed, _ = await process.communicate()
    assert b"values.schema.json" in listed
    assert b"/ci/" not in listed
