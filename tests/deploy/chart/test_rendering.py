"""What the chart renders, by its values: names, labels, certificate modes, and what comes and goes with a switch."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import yaml

from apiservice.main import _parser
from apiservice.settings import read_settings
from backends.registry import configured
from metrics_api.document import Problems
from tests.deploy.chart.helm import CASES, CHART, Helm

pytestmark = pytest.mark.real

Objects = list[dict[str, Any]]


def of_kind(objects: Objects, kind: str) -> Objects:
    return [each for each in objects if each["kind"] == kind]


def the(objects: Objects, kind: str) -> dict[str, Any]:
    (found,) = of_kind(objects, kind)
    return found


def container(objects: Objects) -> dict[str, Any]:
    (found,) = the(objects, "Deployment")["spec"]["template"]["spec"]["containers"]
    return dict(found)


def nulls(value: object, path: str = "") -> Iterator[str]:
    """Where a value is null. GitOps tools take that for a difference for ever."""
    if value is None:
        yield path
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from nulls(inner, f"{path}.{key}")
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from nulls(inner, f"{path}[{number}]")


@pytest.mark.parametrize("case", ["", *CASES], ids=lambda case: case or "defaults")
class TestEveryRendering:
    async def test_says_nothing_twice_and_nothing_empty(self, helm: Helm, case: str):
        objects = await helm.template(case=case)
        assert [path for each in objects for path in nulls(each, each["kind"])] == []
        assert "insecureSkipTLSVerify" not in yaml.safe_dump(objects)
        names = [(each["kind"], each["metadata"].get("namespace"), each["metadata"]["name"]) for each in objects]
        assert len(set(names)) == len(names)

    async def test_is_the_same_each_time_unless_helm_makes_the_certificate(self, helm: Helm, case: str):
        first, second = await helm.template(case=case), await helm.template(case=case, anew=True)
        assert (first == second) is (case != "helm")

    async def test_carries_the_labels_by_which_helm_and_people_find_it(self, helm: Helm, case: str):
        objects = await helm.template(case=case, release="blue", namespace="mesh")
        for each in objects:
            labels = each["metadata"]["labels"]
            assert labels["app.kubernetes.io/instance"] == "blue"
            assert labels["app.kubernetes.io/managed-by"] == "Helm"
            assert labels.get("team") == ("platform" if case == "everything" else None)
            kube_system = each["metadata"]["name"].endswith("-auth-reader")
            assert each["metadata"].get("namespace", "mesh") == ("kube-system" if kube_system else "mesh")

    async def test_has_a_service_that_finds_the_pods_and_no_others(self, helm: Helm, case: str):
        objects = await helm.template(case=case)
        selector = the(objects, "Service")["spec"]["selector"].items()
        deployment = the(objects, "Deployment")["spec"]
        assert deployment["selector"]["matchLabels"].items() == selector
        assert selector <= deployment["template"]["metadata"]["labels"].items()
        assert not selector <= the(objects, "Pod")["metadata"]["labels"].items()
        for registered in of_kind(objects, "APIService"):
            asked = registered["spec"]["service"]
            assert asked["name"] == the(objects, "Service")["metadata"]["name"]
            assert asked["port"] == the(objects, "Service")["spec"]["ports"][0]["port"]

    async def test_has_a_configuration_and_flags_the_server_takes(self, helm: Helm, case: str):
        objects = await helm.template(case=case)
        problems = Problems()
        for runs in (container(objects), the(objects, "Pod")["spec"]["containers"][0]):
            options = _parser().parse_args(runs["args"])
            flags = {name.replace("_", "-"): value for name, value in vars(options).items() if isinstance(value, str)}
            text = the(objects, "ConfigMap")["data"]["config.yaml"]
            # Files of certificates and tokens are in the pod, not here.
            read = read_settings(text, "config.yaml", {k: v for k, v in flags.items() if "file" not in k}, {}, problems)
            assert read.server.service_name == the(objects, "Service")["metadata"]["name"]
            assert read.server.secure_port == container(objects)["ports"][0]["containerPort"]
            configured(read.backends)
        assert problems.found == []

    async def test_gives_a_pod_the_time_to_answer_everybody(self, helm: Helm, case: str):
        objects = await helm.template(case=case)
        (delay,) = (flag for flag in container(objects)["args"] if flag.startswith("--shutdown-delay-duration="))
        seconds = int(delay.partition("=")[2].removesuffix("s"))
        grace = the(objects, "Deployment")["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
        assert grace >= seconds + 60 + 5


@pytest.mark.parametrize(
    ("release", "values", "name"),
    [
        pytest.param("trafficmetrics", {}, "trafficmetrics", id="a release of that name"),
        pytest.param("my-trafficmetrics", {}, "my-trafficmetrics", id="a release with the name in it"),
        pytest.param("blue", {}, "blue-trafficmetrics", id="another release"),
        pytest.param("blue", {"nameOverride": "tm"}, "blue-tm", id="another name of the chart"),
        pytest.param("blue", {"fullnameOverride": "traffic"}, "traffic", id="a whole name"),
        pytest.param("b" * 53, {}, "b" * 47, id="a long one"),
        pytest.param("mesh.blue", {}, "mesh-blue-trafficmetrics", id="a release with a dot"),
        pytest.param("trafficmetrics.blue", {}, "trafficmetrics-blue", id="a release with a dot and the name in it"),
    ],
)
async def test_objects_are_named_for_the_release(helm: Helm, release: str, values: dict[str, Any], name: str):
    objects = await helm.template(values, release=release)
    assert the(objects, "Service")["metadata"]["name"] == name
    assert container(objects)["args"][3] == f"--service-name={name}"
    assert all(each["metadata"]["name"].startswith(name) for each in objects if each["kind"] != "APIService")
    assert all(len(each["metadata"]["name"]) <= 63 for each in objects if "system:" not in each["metadata"]["name"])


@pytest.mark.parametrize(
    ("mode", "bundled", "annotation", "flags"),
    [
        pytest.param("server", False, None, ["--cert-secret=trafficmetrics-issued"], id="server"),
        pytest.param("helm", True, None, ["--tls-cert-file", "--tls-private-key-file"], id="helm"),
        pytest.param(
            "cert-manager",
            False,
            "trafficmetrics/trafficmetrics-serving",
            ["--tls-cert-file", "--tls-private-key-file"],
            id="cert-manager",
        ),
        pytest.param("secret", False, None, ["--tls-cert-file", "--tls-private-key-file"], id="secret"),
    ],
)
async def test_the_mode_says_who_makes_the_certificate_and_who_vouches(
    helm: Helm, mode: str, *, bundled: bool, annotation: str | None, flags: list[str]
):
    objects = await helm.template({"certificate": {"mode": mode}, "config": {"surfaces": {"customMetrics": True}}})
    registered = of_kind(objects, "APIService")
    assert len(registered) == 3
    for each in registered:
        assert ("caBundle" in each["spec"]) is bundled
        annotations = each["metadata"].get("annotations", {})
        assert annotations.get("cert-manager.io/inject-ca-from") == annotation
        assert (annotations.get("metrics.smi-spec.io/ca-bundle") == "given") is (mode != "server")
    args = container(objects)["args"]
    assert [flag for flag in args if flag.startswith(tuple(flags))] != []
    assert sum(flag.startswith(("--tls-", "--cert-secret")) for flag in args) == len(flags)
    assert bool([each for each in objects if each["metadata"]["name"].endswith("-issuing")]) is (mode == "server")


async def test_a_bundle_of_your_own_is_registered(helm: Helm):
    objects = await helm.template(case="secret")
    text = base64.b64decode(the(objects, "APIService")["spec"]["caBundle"])
    assert text.startswith(b"-----BEGIN CERTIFICATE-----\n")
    (serving,) = (each for each in the(objects, "Deployment")["spec"]["template"]["spec"]["volumes"] if each["name"] == "serving")
    assert serving["secret"]["secretName"] == "from-the-pipeline"


async def test_an_issuer_that_is_there_needs_no_authority_of_the_release(helm: Helm):
    objects = await helm.template(case="issuer")
    assert of_kind(objects, "Issuer") == []
    asked = the(objects, "Certificate")["spec"]
    assert asked["issuerRef"] == {"name": "corporate", "kind": "ClusterIssuer", "group": "cert-manager.io"}
    assert "trafficmetrics.trafficmetrics.svc" in asked["dnsNames"]


async def test_the_server_may_touch_only_the_apis_it_serves(helm: Helm):
    objects = await helm.template({"config": {"surfaces": {"externalMetrics": True}}})
    (role,) = (each for each in of_kind(objects, "ClusterRole") if each["metadata"]["name"].endswith("-issuing"))
    assert sorted(role["rules"][0]["resourceNames"]) == sorted(each["metadata"]["name"] for each in of_kind(objects, "APIService"))
    assert len(role["rules"]) == 1


async def test_the_later_version_for_autoscalers_is_the_preferred_one(helm: Helm):
    objects = await helm.template({"config": {"surfaces": {"customMetrics": True}}, "apiService": {"versionPriority": 50}})
    priorities = {each["metadata"]["name"]: each["spec"]["versionPriority"] for each in of_kind(objects, "APIService")}
    assert priorities["v1beta2.custom.metrics.k8s.io"] > priorities["v1beta1.custom.metrics.k8s.io"]


@pytest.mark.parametrize(
    ("config", "rolls"),
    [
        pytest.param({"backends": [{"name": "other", "type": "prometheus", "url": "http://p:9090"}]}, False, id="a source"),
        pytest.param({"metrics": {"window": "1m"}}, True, id="anything else"),
    ],
)
async def test_pods_are_rolled_for_what_is_read_at_start_alone(helm: Helm, config: dict[str, Any], *, rolls: bool):
    before, after = await helm.template(), await helm.template({"config": config})
    assert the(before, "ConfigMap") != the(after, "ConfigMap")
    assert (the(before, "Deployment") != the(after, "Deployment")) is rolls


@pytest.mark.parametrize(
    ("values", "strategy"),
    [
        pytest.param({}, {"maxUnavailable": 0, "maxSurge": 1}, id="room for one more"),
        pytest.param({"podAntiAffinity": "hard"}, {"maxUnavailable": 1, "maxSurge": 0}, id="a node each"),
        pytest.param({"hostNetwork": True}, {"maxUnavailable": 1, "maxSurge": 0}, id="a port of the node"),
    ],
)
async def test_a_rollout_never_waits_for_room_that_does_not_come(helm: Helm, values: dict[str, Any], strategy: dict[str, int]):
    assert the(await helm.template(values), "Deployment")["spec"]["strategy"]["rollingUpdate"] == strategy


async def test_the_pods_that_a_rollout_starts_are_spread_by_themselves(helm: Helm):
    objects = await helm.template()
    constraints = the(objects, "Deployment")["spec"]["template"]["spec"]["topologySpreadConstraints"]
    assert [each["matchLabelKeys"] for each in constraints] == [["pod-template-hash"]] * 2
    # Kubernetes takes no such keys without a selector.
    assert all(each["labelSelector"] for each in constraints)


@pytest.mark.parametrize(
    ("release", "values"),
    [
        pytest.param("1tm", {"nameOverride": "1tm"}, id="that begins with a digit"),
        pytest.param("1-trafficmetrics", {}, id="of a release that begins with a digit"),
        pytest.param("blue", {"fullnameOverride": f"{'a' * 45}--b"}, id="that ends with a hyphen where it is cut"),
    ],
)
async def test_a_name_that_a_service_may_not_have_is_refused(helm: Helm, release: str, values: dict[str, Any]):
    run = await helm.run("template", release, str(CHART), values=values)
    assert run.code != 0
    assert "is no name for a Service: it has to begin with a letter, and to end with a letter or a digit; set" in run.stderr


async def test_a_single_replica_may_be_drained(helm: Helm):
    assert of_kind(await helm.template({"replicas": 1}), "PodDisruptionBudget") == []


async def test_what_is_switched_off_is_no_right(helm: Helm):
    off = dict.fromkeys(("nodes", "jobs", "replicationControllers", "endpointSlices", "splits", "routes"), False)
    objects = await helm.template({"inventory": off})
    (role,) = (each for each in of_kind(objects, "ClusterRole") if each["metadata"]["name"].endswith("-inventory"))
    kinds = {kind for rule in role["rules"] for kind in rule["resources"]}
    assert kinds == {"namespaces", "pods", "services", "daemonsets", "deployments", "replicasets", "statefulsets"}


async def test_readers_are_aggregated_only_if_wanted(helm: Helm):
    for wanted in (True, False):
        objects = await helm.template({"readers": {"aggregate": wanted}})
        (role,) = (each for each in of_kind(objects, "ClusterRole") if each["metadata"]["name"] == "trafficmetrics-reader")
        labels = [label for label in role["metadata"]["labels"] if label.startswith("rbac.authorization.k8s.io/aggregate-to-")]
        assert len(labels) == (3 if wanted else 0)


@pytest.mark.parametrize("mode", ["server", "helm", "cert-manager", "secret"])
async def test_prometheus_verifies_the_server_by_the_secret_it_shows(helm: Helm, mode: str):
    objects = await helm.template({"certificate": {"mode": mode}, "serviceMonitor": {"enabled": True}})
    (endpoint,) = the(objects, "ServiceMonitor")["spec"]["endpoints"]
    ends = {"server": "issued", "helm": "helm-issued", "cert-manager": "serving", "secret": "serving"}
    assert endpoint["tlsConfig"] == {
        "serverName": "trafficmetrics.trafficmetrics.svc",
        "ca": {"secret": {"name": f"trafficmetrics-{ends[mode]}", "key": "ca.crt"}},
    }
    (token,) = (each for each in of_kind(objects, "Secret") if each["type"] == "kubernetes.io/service-account-token")
    assert endpoint["authorization"]["credentials"] == {"name": token["metadata"]["name"], "key": "token"}


async def test_alerts_lead_to_their_runbooks(helm: Helm):
    objects = await helm.template(case="everything")
    rules = [rule for group in the(objects, "PrometheusRule")["spec"]["groups"] for rule in group["rules"] if "alert" in rule]
    assert rules
    for rule in rules:
        assert rule["annotations"]["runbook_url"] == f"https://example.com/trafficmetrics/docs/alerts.md#{rule['alert'].lower()}"
