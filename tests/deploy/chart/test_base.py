"""The chart and the kustomizations install the same: the same objects, the same rights, the same pods."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import pytest
import yaml

from tests.deploy.chart.helm import CHART, Helm
from tests.deploy.rendering import render

pytestmark = pytest.mark.real

_OF_HELM = {
    "helm.sh/chart",
    "app.kubernetes.io/instance",
    "app.kubernetes.io/version",
    "app.kubernetes.io/managed-by",
    # Rolls pods for what kustomize rolls them for with a generator, in overlays that have one.
    "metrics.smi-spec.io/read-at-start",
}
_README = (CHART / "README.md").read_text()


def told(heading: str) -> dict[str, Any]:
    """The values that the chart's README gives under a heading."""
    (block,) = re.findall(rf"^### {heading}\n\n```yaml\n(.*?)^```", _README, re.DOTALL | re.MULTILINE)
    return dict(yaml.safe_load(block))


SAME: dict[str, tuple[str, dict[str, Any]]] = {
    "base": ("base", {}),
    "cert-manager": ("cert-manager", {"certificate": {"mode": "cert-manager"}}),
    "prometheus-operator": (
        "prometheus-operator",
        {
            "serviceMonitor": {
                "enabled": True,
                "interval": "30s",
                "prometheus": {"name": "prometheus-k8s", "namespace": "monitoring"},
            },
            "prometheusRule": {"enabled": True},
        },
    ),
    "autoscaling": ("autoscaling", {"config": {"surfaces": {"customMetrics": True}}}),
    "high-availability": (
        "high-availability",
        {
            "replicas": 3,
            "podAntiAffinity": "hard",
            # The chart would start no pod that has to wait for a node; the component lets one wait.
            "updateStrategy": {"rollingUpdate": {"maxUnavailable": 1, "maxSurge": 1}},
        },
    ),
    "istio": ("istio", told("Istio")),
    "linkerd": ("linkerd", told("Linkerd")),
    "cloudwatch": ("cloudwatch", told("CloudWatch")),
}


def stripped(value: Any) -> Any:
    """Without what Helm adds to every object, and without mappings that this leaves empty."""
    if isinstance(value, Mapping):
        inner = {key: stripped(each) for key, each in value.items() if key not in _OF_HELM}
        return {key: each for key, each in inner.items() if each != {} or value[key] == {}}
    return [stripped(each) for each in value] if isinstance(value, list) else value


def comparable(each: dict[str, Any]) -> dict[str, Any]:
    """An object without what may differ: the order of rules, flags and keys, defaults that are written out or not."""
    each = stripped(each)
    for rule in each.get("rules", []):
        for entries in rule.values():
            entries.sort()
    each.get("rules", []).sort(key=json.dumps)
    if each["kind"] == "ConfigMap":
        each["data"] = {key: yaml.safe_load(text) for key, text in each["data"].items()}
        each["data"]["config.yaml"].pop("surfaces", None)
    if each["kind"] == "ServiceMonitor":
        # What Prometheus calls the job by itself is the name of the Service, which a release of another name changes.
        assert each["spec"]["endpoints"][0].pop("relabelings", []) in (
            [],
            [{"targetLabel": "job", "replacement": "trafficmetrics"}],
        )
    if each["kind"] == "PrometheusRule":
        # Kustomize puts an empty line before an indented one of a folded text.
        for rule in (rule for group in each["spec"]["groups"] for rule in group["rules"]):
            rule["expr"] = " ".join(rule["expr"].split())
    if each["kind"] == "Deployment":
        assert each["spec"].pop("revisionHistoryLimit", 10) == 10
        template = each["spec"]["template"]["spec"]
        (container,) = template["containers"]
        container["args"] = sorted({*container["args"], "--service-name=trafficmetrics", "--service-namespace=trafficmetrics"})
        # A surface is switched on in the configuration file there, and by an overlay in the environment here.
        container["env"] = [each for each in container.get("env", []) if not each["name"].startswith("TRAFFICMETRICS_SURFACE_")]
        for named in (template["volumes"], container["volumeMounts"]):
            named.sort(key=lambda entry: str(entry["name"]))
        for volume in template["volumes"]:
            volume.get("secret", {}).pop("items", None)
    return dict(each)


def by_name(objects: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The objects under their kinds and names."""
    return {f"{each['kind']} {each['metadata']['name']}": comparable(each) for each in objects}


@pytest.mark.parametrize(("overlay", "values"), SAME.values(), ids=SAME.keys())
async def test_the_chart_installs_what_the_kustomization_does(helm: Helm, overlay: str, values: dict[str, Any]):
    ours = by_name(await helm.template(values))
    theirs = by_name(deepcopy(render(overlay)))
    # A chart does not make the namespace it is put into, and has a pod for "helm test".
    assert theirs.keys() - ours.keys() == {"Namespace trafficmetrics"}
    assert ours.keys() - theirs.keys() == {"Pod trafficmetrics-doctor"}
    for name in ours.keys() & theirs.keys():
        assert ours[name] == theirs[name], name


@pytest.mark.parametrize("folder", sorted({overlay for overlay, _ in SAME.values()}))
def test_the_readme_has_a_row_for_each(folder: str):
    (rows,) = re.findall(r"^\| in `deploy/` \| here \|\n(.*?)\n\n", _README, re.DOTALL | re.MULTILINE)
    assert re.search(rf"^\| [^|]*`{folder}`", rows, re.MULTILINE), f"say which values are {folder}"
