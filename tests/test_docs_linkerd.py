"""The page about Linkerd viz stays true: its examples are read, its keys and defaults are those there are, and its manifests fit."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml

from apiservice.settings import read_settings
from backends.linkerd.backend import LinkerdBackend
from backends.linkerd.rows import PERCENTILES
from backends.linkerd.settings import KEYS, LinkerdSettings
from backends.registry import configured
from metrics_api import Window, format_duration
from metrics_api.document import Problems, parse_document
from metrics_api.provenance import CLIENT_IDENTITY, NO_IDENTITY, SERVER_IDENTITY
from tests.backends.linkerd.agreement import DIFFERENCES

ROOT = Path(__file__).parent.parent
BASE = ROOT / "deploy" / "base"
DEPLOY = ROOT / "deploy" / "linkerd"
PAGE = (ROOT / "docs" / "linkerd.md").read_text(encoding="utf-8")
EXAMPLES = [block for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL) if "backends:" in block]
KEY_TABLE = re.search(r"^## Keys\n(.*?)(?=^##|\Z)", PAGE, re.DOTALL | re.MULTILINE)


def documents(path: Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(path.read_text(encoding="utf-8")))


def policies() -> dict[tuple[str, str], dict[str, Any]]:
    """What the files of policies make, by kind and name, whether they are named in the kustomization or not."""
    found = [document for path in DEPLOY.glob("policy-*.yaml") for document in documents(path)]
    return {(one["kind"], one["metadata"]["name"]): one for one in found}


(SERVER,) = documents(BASE / "deployment.yaml")
(CONTAINER,) = SERVER["spec"]["template"]["spec"]["containers"]
(PATCH,) = documents(DEPLOY / "deployment.yaml")
ANNOTATIONS = PATCH["spec"]["template"]["metadata"]["annotations"]


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_is_read(example: str):
    problems = Problems()
    entries = parse_document(example, "example", problems).mapping()["backends"].items()
    assert len(configured(entries)) == len(entries), problems.found
    assert problems.found == []


def test_the_keys_and_their_defaults_are_those_there_are():
    table = KEY_TABLE
    assert table is not None
    written = dict(re.findall(r"^\| `(\w+)` \| ?([^|]*) \|", table[1], re.MULTILINE))
    assert written == {
        "address": "required",
        "timeout": f"`{LinkerdSettings('', '').timeout}s`",
        "concurrency": f"`{LinkerdSettings('', '').concurrency}`",
        "tls": "",
        "identities": f"`{str(LinkerdSettings('', '').identities).lower()}`",
        "edgeListLimit": f"`{LinkerdSettings('', '').edge_list_limit}`",
        "scrapeInterval": f"`{LinkerdSettings('', '').scrape_interval}s`",
    }
    assert written.keys() == set(KEYS) - {"name", "type"}
    assert len(fields(LinkerdSettings)) == len(set(KEYS) - {"type"})


def test_the_percentiles_are_those_there_are():
    (row,) = re.findall(r"^\| workloads, pods, namespaces \|.*\| ([\d, ]+) \|$", PAGE, re.MULTILINE)
    assert row.split(", ") == [f"{100 * quantile:g}" for quantile in PERCENTILES]


def test_the_annotations_are_those_that_are_written():
    written = re.findall(r"^\| `(metrics\.smi-spec\.io/[\w-]+)` \|", PAGE, re.MULTILINE)
    assert written == [CLIENT_IDENTITY, SERVER_IDENTITY, NO_IDENTITY]


def test_the_example_of_metrics_has_the_five_in_their_order_and_p95_behind_them():
    (block,) = (block for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL) if block.startswith("metrics:"))
    rows = yaml.safe_load(block)["metrics"]
    assert [row["name"].removesuffix("_response_latency") for row in rows] == [
        *("p99", "p90", "p50", "success_count", "failure_count"),
        "p95",
    ]
    assert [row["name"] for row in rows if row["value"] is None] == ["p90_response_latency"]


def test_the_checks_are_those_that_are_made():
    source = "".join((ROOT / "backends" / "linkerd" / name).read_text(encoding="utf-8") for name in ("diagnosis.py", "findings.py"))
    said = set(re.findall(r'(?:(?:Level\.\w+|level), source, |settings\.name, |say\(Level\.\w+, |fail\()"(\w+)"', source))
    said |= {"kubernetes", "prometheus", "labels", "access", "reach"}
    table = PAGE[PAGE.index("| check | of the metrics-api |") :].partition("\n\n")[0]
    assert {check for cell in re.findall(r"^\| (`[^|]*) \|", table, re.MULTILINE) for check in re.findall(r"`(\w+)`", cell)} == said


def test_the_differences_to_prometheus_are_those_that_are_tested():
    table = PAGE[PAGE.index("| difference |") :].partition("\n\n")[0]
    assert re.findall(r"^\| (viz .*?|percentiles .*?) \|", table, re.MULTILINE) == [difference.why for difference in DIFFERENCES]


def test_messages_in_the_table_of_failures_are_said_by_the_code():
    table = PAGE[PAGE.index("| you see | it means | try |") :].partition("\n\n")[0]
    quoted = re.findall(r"^\| (?:503|504|410) `([^`]*)`", table, re.MULTILINE)
    code = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "backends" / "linkerd").glob("*.py"))
    assert len(quoted) == 9
    assert [text for text in quoted if not all(part in code for part in text.split(" … "))] == []


def test_the_configuration_of_the_manifests_is_read():
    (configmap,) = documents(DEPLOY / "configmap.yaml")
    text = configmap["data"]["config.yaml"]
    problems = Problems()
    settings = read_settings(text, "config.yaml", {}, {}, problems)
    (source,) = configured(settings.backends)
    assert problems.found == []
    assert isinstance(source.backend, LinkerdBackend)
    assert settings.metrics.window == Window(60)
    assert f"`refresh: {format_duration(settings.metrics.refresh)}`" in PAGE


def test_the_configuration_that_is_commented_out_is_read_as_well():
    text = (DEPLOY / "configmap.yaml").read_text(encoding="utf-8")
    both = yaml.safe_load(re.sub(r"^    # (?=- name: mesh|  \w+: )", "    ", text, flags=re.MULTILINE))["data"]["config.yaml"]
    problems = Problems()
    sources = configured(read_settings(both, "config.yaml", {}, {}, problems).backends)
    assert [(source.name, source.type) for source in sources] == [("mesh", "prometheus"), ("viz", "linkerd")]
    assert problems.found == []


def test_the_port_that_goes_past_the_proxy_is_the_one_that_is_served():
    (port,) = CONTAINER["ports"]
    assert ANNOTATIONS["config.linkerd.io/skip-inbound-ports"] == str(port["containerPort"])
    assert {CONTAINER[probe]["httpGet"]["port"] for probe in CONTAINER if probe.endswith("Probe")} == {port["name"]}
    admitted = policies()["Server", "trafficmetrics-https"]["spec"]
    assert (admitted["port"], admitted["proxyProtocol"]) == (port["name"], "TLS")
    assert admitted["podSelector"] == SERVER["spec"]["selector"]


def test_the_proxy_outlives_the_server_and_not_the_pod():
    wait = int(ANNOTATIONS["config.alpha.linkerd.io/proxy-wait-before-exit-seconds"])
    (delay,) = (int(arg.partition("=")[2].removesuffix("s")) for arg in CONTAINER["args"] if "shutdown-delay" in arg)
    assert delay < wait < SERVER["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]


def test_kubectl_speaks_to_the_server_and_not_to_its_proxy():
    assert ANNOTATIONS["linkerd.io/inject"] == "enabled"
    assert ANNOTATIONS["kubectl.kubernetes.io/default-container"] == CONTAINER["name"]


def test_policies_are_about_our_service_account():
    (account,) = documents(BASE / "serviceaccount.yaml")
    assert SERVER["spec"]["template"]["spec"]["serviceAccountName"] == account["metadata"]["name"]
    (ref,) = policies()["MeshTLSAuthentication", "trafficmetrics"]["spec"]["identityRefs"]
    assert ref == {"kind": "ServiceAccount", **{key: account["metadata"][key] for key in ("namespace", "name")}}


@pytest.mark.parametrize("name", ["trafficmetrics-metrics-api", "trafficmetrics-prometheus", "trafficmetrics-https"])
def test_each_policy_leads_to_what_it_is_about(name: str):
    """Fields as linkerd/linkerd2, charts/linkerd-crds/templates/policy has them; names of Servers as viz/charts/linkerd-viz/templates."""
    policy = policies()["AuthorizationPolicy", name]
    assert policy["apiVersion"] == "policy.linkerd.io/v1alpha1"
    target, (who,) = policy["spec"]["targetRef"], policy["spec"]["requiredAuthenticationRefs"]
    assert (target["group"], target["kind"]) == ("policy.linkerd.io", "Server")
    assert {**who, "group": "policy.linkerd.io"} == who
    authentication = policies()[who["kind"], who["name"]]
    assert authentication["apiVersion"] == "policy.linkerd.io/v1alpha1"
    assert authentication["metadata"]["namespace"] == policy["metadata"]["namespace"]
    own = {one["metadata"]["name"]: one for (kind, _), one in policies().items() if kind == "Server"}
    if target["name"] in own:
        assert own[target["name"]]["metadata"]["namespace"] == policy["metadata"]["namespace"]
    else:
        assert policy["metadata"]["namespace"] == "linkerd-viz"
        assert target["name"] in ("metrics-api", "prometheus-admin")


def test_the_address_of_the_manifests_is_in_the_namespace_of_the_policy():
    text = (DEPLOY / "configmap.yaml").read_text(encoding="utf-8")
    hosts = re.findall(r"(metrics-api|prometheus)\.([\w-]+)\.svc:\d+", text)
    assert set(hosts) == {("metrics-api", "linkerd-viz"), ("prometheus", "linkerd-viz")}


def test_the_page_names_every_file_and_the_kustomization_every_policy():
    kustomization = (DEPLOY / "kustomization.yaml").read_text(encoding="utf-8")
    files = {path.name for path in DEPLOY.iterdir()}
    assert {name for name in files if name.startswith("policy-") and f"- {name}" not in kustomization} == set()
    assert set(re.findall(r"`([\w-]+\.yaml)`", PAGE)) <= files
    assert {name for name in files if name.startswith(("policy-", "namespace"))} <= set(re.findall(r"`([\w-]+\.yaml)`", PAGE))


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not on the PATH")
def test_the_kustomization_puts_linkerd_into_the_manifests():
    built = subprocess.run(["kubectl", "kustomize", str(DEPLOY)], capture_output=True, text=True, check=True).stdout
    objects = {(one["kind"], one["metadata"]["name"]): one for one in yaml.safe_load_all(built)}
    assert "type: linkerd" in objects["ConfigMap", "trafficmetrics"]["data"]["config.yaml"]
    pod = objects["Deployment", "trafficmetrics"]["spec"]["template"]
    assert pod["metadata"]["annotations"] == ANNOTATIONS
    assert pod["metadata"]["labels"] == SERVER["spec"]["template"]["metadata"]["labels"]
    assert pod["spec"] == SERVER["spec"]["template"]["spec"]
    labels = objects["Namespace", "trafficmetrics"]["metadata"]["labels"]
    assert (labels["pod-security.kubernetes.io/enforce"], labels["pod-security.kubernetes.io/warn"]) == ("privileged", "restricted")
    assert objects["RoleBinding", "trafficmetrics-auth-reader"]["metadata"]["namespace"] == "kube-system"
    there = {
        name
        for kind, name in objects
        if kind in ("AuthorizationPolicy", "MeshTLSAuthentication", "Server", "NetworkAuthentication")
    }
    assert there == {"trafficmetrics-metrics-api", "trafficmetrics"}
