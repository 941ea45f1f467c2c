"""docs/installing.md and deploy/README.md: what they show can be applied, and what they list is there, and all of it."""

from __future__ import annotations

import os
import re
import textwrap
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.commands.pages import Block, blocks
from tests.controlplane.plane import DEPLOY
from tests.deploy.rendering import COMPONENTS, OVERLAYS, combine, find, render

ROOT = DEPLOY.parent
INSTALLING = (ROOT / "docs" / "installing.md").read_text(encoding="utf-8")
MAP = (DEPLOY / "README.md").read_text(encoding="utf-8")
CHART = DEPLOY / "charts" / "trafficmetrics"
README = (CHART / "README.md").read_text(encoding="utf-8")


def files(page: str) -> dict[str, str]:
    """The YAML blocks that begin with the name of a file."""
    blocks = re.findall(r"^( *)```yaml\n\1# (\S+\.yaml)\n(.*?)^\1```", page, re.DOTALL | re.MULTILINE)
    return {name: re.sub(rf"^{indent}", "", text, flags=re.MULTILINE) for indent, name, text in blocks}


def mine(folder: Path, page: str, *more: str) -> list[dict[str, Any]]:
    """The objects of a kustomization that a page shows, in a folder of the reader's own; ``more`` are patches it shows as well."""
    shown = files(page)
    for name in ("configmap.yaml", *more):
        if name in shown:
            (folder / name).write_text(shown[name])
    content = yaml.safe_load(shown["kustomization.yaml"].replace("path/to/deploy", os.path.relpath(DEPLOY, folder)))
    content["patches"] = [*content.get("patches", []), *({"path": name} for name in more)]
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(content))
    return render(folder)


def test_the_folder_of_ones_own_is_what_it_is_said_to_be(tmp_path: Path):
    objects = mine(tmp_path, INSTALLING)
    assert "prometheus.monitoring.svc" in find(objects, "ConfigMap")["data"]["config.yaml"]
    (container,) = find(objects, "Deployment")["spec"]["template"]["spec"]["containers"]
    assert container["image"] == f"registry.example.com/trafficmetrics:{version()}"
    assert find(objects, "NetworkPolicy")["spec"]["ingress"][0].keys() == {"ports"}
    assert find(objects, "RoleBinding", "trafficmetrics-auth-reader")["metadata"]["namespace"] == "kube-system"


def test_the_policy_of_the_network_can_be_narrowed_by_a_patch(tmp_path: Path):
    (rule,) = find(mine(tmp_path, INSTALLING, "networkpolicy.yaml"), "NetworkPolicy")["spec"]["ingress"]
    assert rule["ports"] == [{"port": 6443, "protocol": "TCP"}]
    assert [list(each) for each in rule["from"]] == [["ipBlock"], ["namespaceSelector"]]


def test_the_policy_of_the_network_can_let_ambient_mode_through(tmp_path: Path):
    """Port and address are Istio's (istio/istio, pkg/config/constants/constants.go and cni/pkg/ipset)."""
    mesh, served = find(mine(tmp_path, INSTALLING, "networkpolicy-ambient.yaml"), "NetworkPolicy")["spec"]["ingress"]
    assert (mesh, served["ports"]) == ({"ports": [{"port": 15008, "protocol": "TCP"}]}, [{"port": 6443, "protocol": "TCP"}])
    assert {"ipBlock": {"cidr": "169.254.7.127/32"}} in served["from"]


def test_what_the_server_may_reach_is_limited_alike_by_kustomize_and_by_helm(tmp_path: Path):
    policy = find(mine(tmp_path, INSTALLING, "networkpolicy-egress.yaml"), "NetworkPolicy")["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    values = yaml.safe_load(files(INSTALLING)["values-network.yaml"])["networkPolicy"]
    assert (values.pop("enabled"), values.pop("limitEgress"), values) == (True, True, {"egress": policy["egress"]})
    assert [{port["port"] for port in rule["ports"]} for rule in policy["egress"]] == [{6443}, {53}, {9090}]


@pytest.mark.parametrize("page", ["deploy/README.md", "docs/linkerd.md", "docs/cloudwatch.md", "docs/autoscaling.md"])
def test_the_folder_of_another_page_is_one(page: str, tmp_path: Path):
    shown = (ROOT / page).read_text(encoding="utf-8")
    (tmp_path / "configmap.yaml").write_text(files(INSTALLING)["configmap.yaml"])
    (container,) = find(mine(tmp_path, shown), "Deployment")["spec"]["template"]["spec"]["containers"]
    assert container["image"] == f"registry.example.com/trafficmetrics:{version()}"


BLOCKS = [block for block in blocks() if block.language == "sh" and "kubectl " in block.text]


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.place)
def test_what_is_applied_and_deleted_is_ones_own_folder(block: Block):
    """The folders here name an image that no registry has, and a source that is somebody else's."""
    applied = re.findall(r"kubectl (?:apply|delete|kustomize) (?:-k )?(\S*deploy/\S*)", block.text)
    assert [folder for folder in applied if folder != "deploy/grafana"] == []


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.place)
def test_whoever_waits_says_for_how_long(block: Block):
    """What kubectl waits by itself, 30 s, is less than two pods take to start."""
    assert [line for line in block.text.splitlines() if "kubectl" in line and " wait " in line and "--timeout=" not in line] == []


def test_the_values_for_meshes_are_in_one_place_and_every_part_of_them_is_explained():
    """Those of the chart's page install what the overlays do (tests/deploy/chart/test_base.py): a second copy would lack something."""
    section = INSTALLING[INSTALLING.index("### In a mesh, with Helm") : INSTALLING.index("### Over an installation with kustomize")]
    assert "```" not in section
    reasons = " ".join(re.findall(r"^\| (.*?) \| .* \|$", section, re.MULTILINE))
    values: dict[str, dict[str, Any]] = {}
    for mesh in ("Istio", "Linkerd"):
        assert f"(../deploy/charts/trafficmetrics/README.md#{mesh.lower()})" in section
        (block,) = re.findall(rf"^### {mesh}\n\n```yaml\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
        values[mesh] = yaml.safe_load(block)
        objects = [each["kind"] for each in values[mesh]["extraObjects"]]
        assert [name for name in (*values[mesh]["podAnnotations"], *objects) if name not in reasons] == []
        overlay = render(mesh.lower())
        assert values[mesh]["podAnnotations"] == find(overlay, "Deployment")["spec"]["template"]["metadata"]["annotations"]
        assert values[mesh]["config"] == yaml.safe_load(find(overlay, "ConfigMap")["data"]["config.yaml"])
    proxy = yaml.safe_load(values["Istio"]["podAnnotations"]["proxy.istio.io/config"])
    assert (proxy["holdApplicationUntilProxyStarts"], proxy["terminationDrainDuration"]) == (True, "70s")
    assert values["Linkerd"]["config"]["metrics"] == {"window": "1m", "refresh": "10s"}


def test_every_folder_and_component_has_its_values():
    section = INSTALLING[INSTALLING.index("### Overlays and components as values") : INSTALLING.index("### In a mesh, with Helm")]
    rows = dict(re.findall(r"^\| ([a-z]+(?:-[a-z]+)*) \| (.*) \|$", section, re.MULTILINE))
    assert set(rows) == {*OVERLAYS, *COMPONENTS} - {"base"}
    known = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    named = re.findall(r"`([A-Za-z.]+)(?:: |`)", " ".join(rows.values()))
    for path in named:
        value: Any = {"config": {"surfaces": {"customMetrics": False}, "backends": []}, "externalMetrics": False}
        value = known | {key: value[key] for key in value if path.startswith(key)}
        for key in path.split("."):
            assert key in value, path
            value = value[key]
    assert len(named) > 10


def test_labels_of_the_objects_of_prometheus_operator_can_be_patched(tmp_path: Path):
    (shown,) = re.findall(r"^  ```yaml\n(  patches:.*?)^  ```", INSTALLING, re.DOTALL | re.MULTILINE)
    content = yaml.safe_load((combine(tmp_path, "base", ["prometheus-operator"]) / "kustomization.yaml").read_text())
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(content | yaml.safe_load(textwrap.dedent(shown))))
    objects = render(tmp_path)
    labelled = [each["kind"] for each in objects if "release" in each["metadata"].get("labels", {})]
    assert sorted(labelled) == ["PrometheusRule", "ServiceMonitor"]


def test_every_folder_and_component_is_listed():
    rows = re.findall(r"^\| \[([\w/-]+)\]\(\.\./deploy/([\w/-]+)\) \|", INSTALLING, re.MULTILINE)
    assert sorted(folder for name, folder in rows if name.startswith("deploy/")) == sorted(OVERLAYS)
    assert sorted(name for name, _ in rows if not name.startswith("deploy/")) == sorted(COMPONENTS)
    assert {folder for name, folder in rows if not name.startswith("deploy/")} == {f"components/{name}" for name in COMPONENTS}


@pytest.mark.parametrize("path", sorted(path.name for path in DEPLOY.iterdir() if not path.name.startswith(".")))
def test_the_map_names_all_there_is(path: str):
    hidden = {"README.md", "Containerfile.dockerignore"}
    assert path in hidden or re.search(rf"`{re.escape(path)}[/`]", MAP)


def test_the_map_names_every_manifest_of_the_base():
    named = set(re.findall(r"`([\w-]+\.yaml)`", MAP[MAP.index("In `base/`") : MAP.index("## By hand")]))
    assert named == {path.name for path in (DEPLOY / "base").glob("*.yaml")} - {"kustomization.yaml"}


def test_the_values_are_values_of_the_chart():
    values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    for key, chosen in yaml.safe_load(files(INSTALLING)["values.yaml"]).items():
        assert key in values
        assert key == "config" or set(chosen) <= set(values[key])
    assert values["certificate"]["mode"] == "server"


@pytest.mark.parametrize(
    "page", ["docs/installing.md", "deploy/README.md", "docs/linkerd.md", "docs/cloudwatch.md", "docs/autoscaling.md"]
)
def test_versions_are_those_of_the_package(page: str):
    shown = (ROOT / page).read_text(encoding="utf-8")
    assert set(re.findall(r"(?:trafficmetrics:|newTag: )(\d[\w.]*)", shown)) == {version()}


def test_links_within_the_page_lead_to_headings():
    headings = {
        re.sub(r"[^\w -]", "", line.lower()).strip().replace(" ", "-")
        for line in re.findall(r"^#+ (.*)$", INSTALLING, re.MULTILINE)
    }
    wanted = set(re.findall(r"\]\(#([\w-]+)\)", INSTALLING)) | set(re.findall(r"installing\.md#([\w-]+)", MAP))
    assert wanted - headings == set()


def version() -> str:
    return str(tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"])
