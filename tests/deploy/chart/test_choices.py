"""What people choose beside the defaults: which alerts, which labels, which pods a drain may take, and whatever else belongs to it."""

from __future__ import annotations

import re
from collections.abc import Hashable
from typing import Any

import pytest
import yaml
from yaml.nodes import MappingNode

from tests.deploy.chart.helm import CHART, Helm
from tests.deploy.chart.test_rendering import Objects, of_kind, the

pytestmark = pytest.mark.real


async def alerts(helm: Helm, values: dict[str, Any]) -> dict[str, str]:
    """The expression of each alert, by its name."""
    objects = await helm.template(values | {"prometheusRule": {"enabled": True} | values.get("prometheusRule", {})})
    groups = the(objects, "PrometheusRule")["spec"]["groups"]
    assert all(group["rules"] for group in groups)
    return {rule["alert"]: rule["expr"] for group in groups for rule in group["rules"] if "alert" in rule}


LATE, LATER = "TrafficMetricsServingCertificateExpiresSoon", "TrafficMetricsServingCertificateExpires"


def renewed(before: str) -> dict[str, Any]:
    return {"certificate": {"mode": "cert-manager", "certManager": {"renewBefore": before}}}


@pytest.mark.parametrize(
    ("values", "missing"),
    [
        pytest.param({}, set(), id="nothing"),
        pytest.param({"prometheusRule": {"disabled": ["TrafficMetricsSourceCost"]}}, {"TrafficMetricsSourceCost"}, id="by name"),
        pytest.param({"replicas": 1}, {"TrafficMetricsTooFewReplicas"}, id="that one replica is few, where one is wanted"),
        pytest.param(renewed("168h"), set(), id="nothing of a certificate that is renewed a week before its end"),
        pytest.param(renewed("167h"), {LATE}, id="that the certificate ends within a week, where it may"),
        pytest.param(renewed("23h59m"), {LATE, LATER}, id="that it ends within a day, where it may"),
        pytest.param({"certificate": {"certManager": {"renewBefore": "1h"}}}, set(), id="nothing where cert-manager is not asked"),
    ],
)
async def test_alerts_are_left_out(helm: Helm, values: dict[str, Any], missing: set[str]):
    rules = yaml.safe_load((CHART / "files" / "trafficmetrics.rules.yaml").read_text())
    every = {rule["alert"] for group in rules["groups"] for rule in group["rules"] if "alert" in rule}
    assert every - (await alerts(helm, values)).keys() == missing


async def test_a_group_without_an_alert_is_none(helm: Helm):
    rules = yaml.safe_load((CHART / "files" / "trafficmetrics.rules.yaml").read_text())
    *_, last = rules["groups"]
    disabled = [rule["alert"] for rule in last["rules"]]
    objects = await helm.template({"prometheusRule": {"enabled": True, "disabled": disabled}})
    names = [group["name"] for group in the(objects, "PrometheusRule")["spec"]["groups"]]
    assert names == [group["name"] for group in rules["groups"][:-1]]


@pytest.mark.parametrize(
    ("off", "kinds"),
    [
        pytest.param(["jobs"], "Job|CronJob", id="jobs"),
        pytest.param(["nodes", "splits"], "Node|TrafficSplit", id="nodes and splits"),
        pytest.param(
            ["nodes", "jobs", "replicationControllers", "endpointSlices", "splits", "routes"],
            "EndpointSlice|Job|CronJob|Node|ReplicationController|HTTPRoute|GRPCRoute|TrafficSplit",
            id="all",
        ),
    ],
)
async def test_nobody_is_told_of_kinds_that_are_left_out_on_purpose(helm: Helm, off: list[str], kinds: str):
    expression = (await alerts(helm, {"inventory": dict.fromkeys(off, False)}))["TrafficMetricsInventoryNotSynced"]
    before = (await alerts(helm, {}))["TrafficMetricsInventoryNotSynced"]
    assert before == expression.replace(f'kind!~"{kinds}",', "")
    assert before != expression


async def test_the_pod_of_helm_test_ends_and_leaves_its_log(helm: Helm):
    metadata = the(await helm.template(), "Pod")["metadata"]
    # Helm reads the log after it has deleted what is to be deleted: cmd/helm/release_testing.go of helm/helm.
    assert metadata["annotations"]["helm.sh/hook-delete-policy"] == "before-hook-creation"
    assert metadata["annotations"]["linkerd.io/inject"] == "disabled"
    assert metadata["labels"]["sidecar.istio.io/inject"] == "false"


async def test_the_pod_of_helm_test_asks_for_what_the_server_does(helm: Helm):
    # A namespace with a ResourceQuota admits no container that does not say what it needs.
    limited = {"resources": {"limits": {"cpu": 1, "memory": "512Mi"}}}
    objects = await helm.template(limited)
    (container,) = the(objects, "Pod")["spec"]["containers"]
    assert container["resources"] == {"requests": {"cpu": "100m", "memory": "256Mi"}, **limited["resources"]}
    (server,) = the(objects, "Deployment")["spec"]["template"]["spec"]["containers"]
    assert server["resources"] == container["resources"]


@pytest.mark.parametrize("length", [57, 63, 70])
async def test_labels_are_such_as_labels_may_be(helm: Helm, length: int):
    objects = await helm.template({"nameOverride": f"{'m' * 55}-{'m' * (length - 56)}"}, release="blue")
    for value in (value for each in objects for value in each["metadata"]["labels"].values()):
        assert len(value) <= 63
        assert "--" not in value
    name = the(objects, "Pod")["metadata"]["labels"]["app.kubernetes.io/name"]
    assert name.endswith("-doctor")
    assert name not in the(objects, "Service")["spec"]["selector"].values()


@pytest.mark.parametrize(
    ("namespace", "name"),
    [
        pytest.param("trafficmetrics", "trafficmetrics.trafficmetrics.svc", id="the one kube-apiserver asks for"),
        pytest.param("n" * 45, f"trafficmetrics.{'n' * 45}.svc", id="which just fits"),
        pytest.param("n" * 46, "trafficmetrics", id="which is too long for a common name"),
    ],
)
async def test_a_common_name_is_one_that_cert_manager_takes(helm: Helm, namespace: str, name: str):
    objects = await helm.template({"certificate": {"mode": "cert-manager"}}, namespace=namespace)
    (asked,) = (each["spec"] for each in of_kind(objects, "Certificate") if each["metadata"]["name"].endswith("-serving"))
    assert asked["commonName"] == name
    assert f"trafficmetrics.{namespace}.svc" in asked["dnsNames"]


class _Strict(yaml.SafeLoader):
    """Refuses a key that a mapping has twice, of which others take the last."""

    def construct_mapping(self, node: MappingNode, *args: Any, **kwargs: Any) -> dict[Hashable, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        assert len(set(keys)) == len(keys), f"twice: {keys}"
        return super().construct_mapping(node, *args, **kwargs)


CLASHING: dict[str, Any] = {
    "commonLabels": {"app.kubernetes.io/name": "mine", "helm.sh/chart": "mine", "team": "platform", "release": "mine"},
    "podLabels": {"app.kubernetes.io/instance": "mine", "app.kubernetes.io/version": "2", "team": "mesh"},
    "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus", "app.kubernetes.io/version": "3"}},
    "prometheusRule": {"enabled": True, "labels": {"release": "prometheus", "app.kubernetes.io/name": "rules"}},
}


async def test_no_label_is_there_twice(helm: Helm):
    text = await helm.done("template", "blue", str(CHART), values=CLASHING)
    objects: Objects = [each for each in yaml.load_all(text, Loader=_Strict) if each is not None]
    assert (
        the(objects, "Service")["metadata"]["labels"].items()
        >= {"app.kubernetes.io/name": "trafficmetrics", "team": "platform"}.items()
    )
    deployment = the(objects, "Deployment")["spec"]
    labels = deployment["template"]["metadata"]["labels"]
    assert labels.items() >= deployment["selector"]["matchLabels"].items()
    assert labels.items() >= {"team": "mesh", "app.kubernetes.io/version": "2"}.items()
    for kind in ("ServiceMonitor", "PrometheusRule"):
        assert the(objects, kind)["metadata"]["labels"].items() >= CLASHING[f"{kind[0].lower()}{kind[1:]}"]["labels"].items()


async def test_labels_that_are_not_given_do_no_harm(helm: Helm):
    nothing = {"commonLabels": None, "podLabels": None, "affinity": None, "apiService": {"annotations": None}}
    assert await helm.template(nothing) == await helm.template()


@pytest.mark.parametrize("most", [1, "25%"])
async def test_a_budget_may_say_how_many_a_drain_takes(helm: Helm, most: int | str):
    values = {"replicas": 3, "podDisruptionBudget": {"maxUnavailable": most}}
    spec = the(await helm.template(values), "PodDisruptionBudget")["spec"]
    assert spec["maxUnavailable"] == most
    assert "minAvailable" not in spec


@pytest.mark.parametrize("least", [2, "50%"])
async def test_a_budget_may_say_how_many_a_drain_leaves(helm: Helm, least: int | str):
    values = {"replicas": 3, "podDisruptionBudget": {"minAvailable": least}}
    spec = the(await helm.template(values), "PodDisruptionBudget")["spec"]
    assert spec["minAvailable"] == least
    assert "maxUnavailable" not in spec


async def test_the_numbers_of_users_can_be_left_to_the_cluster(helm: Helm):
    numbers = dict.fromkeys(("runAsUser", "runAsGroup", "fsGroup"))
    objects = await helm.template({"podSecurityContext": numbers})
    for spec in (the(objects, "Deployment")["spec"]["template"]["spec"], the(objects, "Pod")["spec"]):
        assert spec["securityContext"] == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
        assert not spec["containers"][0]["securityContext"].keys() & numbers.keys()


async def test_further_objects_have_templates_filled_in(helm: Helm):
    labels = {"metadata": {"name": "{{ .Release.Name }}-a", "labels": {"port": "{{ .Values.server.port }}"}}}
    one = {"apiVersion": "v1", "kind": "ConfigMap", **labels}
    other = 'apiVersion: v1\nkind: Secret\nmetadata:\n  name: {{ include "trafficmetrics.fullname" . }}-b\n'
    objects = await helm.template({"extraObjects": [one, other]}, release="blue")
    made = [each["metadata"] for each in objects if each["metadata"]["name"] in ("blue-a", "blue-trafficmetrics-b")]
    assert made == [{"name": "blue-trafficmetrics-b"}, {"name": "blue-a", "labels": {"port": "6443"}}]


@pytest.mark.parametrize("as_text", [False, True], ids=["a manifest", "a text"])
async def test_braces_of_others_in_further_objects_are_kept_as_the_values_tell(helm: Helm, *, as_text: bool):
    (escaped,) = re.findall(r"``(\{\{`.*?`\}\})``", (CHART / "values.yaml").read_text())
    given = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "rule"},
        "data": {"told": f"{escaped} of {{{{ .Release.Name }}}}"},
    }
    objects = await helm.template({"extraObjects": [yaml.safe_dump(given) if as_text else given]}, release="blue")
    (made,) = (each for each in objects if each["metadata"]["name"] == "rule")
    assert made["data"]["told"] == "{{ $labels.pod }} of blue"
