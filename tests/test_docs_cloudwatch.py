"""The page about CloudWatch stays true: its examples are read, its policies allow what is called, and its prices are those charged."""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from apiservice.settings import read_settings
from backends.cloudwatch.backend import CloudWatchBackend
from backends.cloudwatch.cost import DOLLARS_PER_METRIC, HOURS_PER_MONTH
from backends.cloudwatch.settings import COMMON_KEYS, SOURCES, CloudWatchSettings
from backends.registry import configured
from metrics_api import Window
from metrics_api.document import Problems, parse_document

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "cloudwatch.md").read_text(encoding="utf-8")
DEPLOY = ROOT / "deploy" / "cloudwatch"
EXAMPLES = [block for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL) if "backends:" in block]
POLICIES = {path.name: json.loads(path.read_text(encoding="utf-8")) for path in DEPLOY.glob("*.json")}


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_is_read(example: str):
    problems = Problems()
    entries = parse_document(example, "example", problems).mapping()["backends"].items()
    assert len(configured(entries)) == len(entries), problems.found
    assert problems.found == []


def test_there_is_an_example_of_every_source():
    entries = [entry for example in EXAMPLES for entry in yaml.safe_load(example)["backends"]]
    assert {entry.get("source", "application-signals") for entry in entries} == set(SOURCES)
    used = {key for entry in entries for key in entry}
    assert used >= {key for keys in SOURCES.values() for key in keys} - {
        *("delay", "budget", "discoveryInterval"),
        *("params", "scrapeInterval"),
    }


def test_every_key_is_explained():
    keys = {*COMMON_KEYS, *(key for keys in SOURCES.values() for key in keys)}
    assert sorted(key for key in keys - {"name", "type"} if f"`{key}`" not in PAGE) == []


def test_the_defaults_are_the_defaults():
    made = CloudWatchSettings(name="signals", source="application-signals")
    written = dict(re.findall(r"^\| `(\w+)` \| `([^`]+)` \|", PAGE, re.MULTILINE))
    assert written["timeout"] == f"{made.timeout}s"
    assert written["concurrency"] == str(made.concurrency)
    assert written["delay"] == f"{made.delay // 60}m"
    assert written["budget"] == str(made.budget)
    assert written["discoveryInterval"] == f"{made.discovery_interval // 60}m"
    assert written["source"] == next(iter(SOURCES))


def test_the_configuration_of_the_manifests_is_read():
    document = yaml.safe_load((DEPLOY / "configmap.yaml").read_text(encoding="utf-8"))["data"]["config.yaml"]
    problems = Problems()
    settings = read_settings(document, "config.yaml", {}, {}, problems)
    (source,) = configured(settings.backends)
    assert problems.found == []
    assert isinstance(source.backend, CloudWatchBackend)
    assert settings.metrics.window == Window(60)


def actions(policy: dict[str, Any]) -> set[str]:
    """The actions of a policy."""
    found: set[str] = set()
    for statement in policy["Statement"]:
        assert statement["Effect"] == "Allow"
        found |= {statement["Action"]} if isinstance(statement["Action"], str) else set(statement["Action"])
    return found


ALLOWED = {action for name, policy in POLICIES.items() if name.startswith("policy-") for action in actions(policy)}


def test_the_policies_allow_what_is_called_and_nothing_else():
    called = {action for path in (ROOT / "backends" / "cloudwatch").glob("*.py") for action in calls_of(path)}
    # Whoever has credentials at all may ask who they are.
    assert called - {"sts:GetCallerIdentity"} == ALLOWED
    assert "sts:GetCallerIdentity" in called


def calls_of(path: Path) -> set[str]:
    """The actions of the calls ``….call("service", "operation", …)`` in a module."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) in ("call", "_call"):
            names = [argument.value for argument in node.args if isinstance(argument, ast.Constant)]
            if len(names) == 2:
                found.add(f"{names[0]}:{''.join(map(str.capitalize, names[1].split('_')))}")
    return found


def test_the_page_names_the_policies_and_their_actions():
    for name, policy in POLICIES.items():
        if name.startswith("policy-"):
            (row,) = re.findall(
                rf"^\|[^|]*\| \[{re.escape(name)}\]\(\.\./deploy/cloudwatch/{re.escape(name)}\) \|(.*)\|$", PAGE, re.MULTILINE
            )
            assert set(re.findall(r"`([a-z-]+:\w+)`", row)) == actions(policy)


def test_the_trust_policies_trust_the_account_of_the_server_alone():
    (pod,) = POLICIES["trust-pod-identity.json"]["Statement"]
    assert (pod["Principal"], set(pod["Action"])) == ({"Service": "pods.eks.amazonaws.com"}, {"sts:AssumeRole", "sts:TagSession"})
    association = POLICIES["pod-identity-association.json"]
    (web,) = POLICIES["trust-irsa.json"]["Statement"]
    (account,) = yaml.safe_load_all((DEPLOY / "serviceaccount.yaml").read_text(encoding="utf-8"))
    base = yaml.safe_load((ROOT / "deploy" / "base" / "serviceaccount.yaml").read_text(encoding="utf-8"))["metadata"]
    place = {key: account["metadata"][key] for key in ("namespace", "name")}
    assert place == {key: base[key] for key in place}
    assert (association["namespace"], association["serviceAccount"]) == (place["namespace"], place["name"])
    assert account["metadata"]["annotations"]["eks.amazonaws.com/role-arn"] == association["roleArn"]
    issuer = web["Principal"]["Federated"].partition(":oidc-provider/")[2]
    assert web["Condition"]["StringEquals"] == {
        f"{issuer}:aud": "sts.amazonaws.com",
        f"{issuer}:sub": f"system:serviceaccount:{place['namespace']}:{place['name']}",
    }


def test_files_that_commands_name_are_there():
    named = set(re.findall(r"file://([\w.-]+)", PAGE))
    assert named == {name for name in POLICIES if name.startswith(("trust", "pod", "policy-metrics"))}


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not on the PATH")
def test_the_kustomization_puts_cloudwatch_into_the_manifests():
    built = subprocess.run(["kubectl", "kustomize", str(DEPLOY)], capture_output=True, text=True, check=True).stdout
    objects = {(one["kind"], one["metadata"]["name"]): one for one in yaml.safe_load_all(built)}
    assert "type: cloudwatch" in objects["ConfigMap", "trafficmetrics"]["data"]["config.yaml"]
    assert "type: prometheus" not in built
    assert "eks.amazonaws.com/role-arn" in objects["ServiceAccount", "trafficmetrics"]["metadata"]["annotations"]
    (container,) = objects["Deployment", "trafficmetrics"]["spec"]["template"]["spec"]["containers"]
    assert container["env"] == [{"name": "AWS_EC2_METADATA_DISABLED", "value": "true"}]
    assert container["args"][0] == "serve"


def test_the_prices_are_those_that_are_charged():
    (metrics, dollars) = re.search(r"= ([\d ]+) metrics a month = \$([\d.]+)", PAGE).groups()  # type: ignore[union-attr]
    count = (20 + 60) * 2 * 60 * HOURS_PER_MONTH
    assert int(metrics.replace(" ", "")) == count
    assert float(dollars) == pytest.approx(count * DOLLARS_PER_METRIC)
    (most,) = re.findall(r"at most \$(\d+) a month", PAGE)
    assert int(most) == pytest.approx(CloudWatchSettings("", "").budget * 60 * HOURS_PER_MONTH * DOLLARS_PER_METRIC)
    assert round(720_000 * DOLLARS_PER_METRIC, 2) == 7.20


def test_the_metrics_are_those_that_are_exposed():
    exposed = (ROOT / "apiservice" / "telemetry" / "spending.py").read_text(encoding="utf-8")
    named = set(re.findall(r"^\| `(trafficmetrics_\w+)` \|", PAGE, re.MULTILINE))
    assert {name.removesuffix("_total") for name in named} == set(re.findall(r'"(trafficmetrics_\w+)"', exposed))
