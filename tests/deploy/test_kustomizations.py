"""Every kustomization of ``deploy/``, and components put together: kube-apiserver knows every field of them and admits their pods.

Linkerd's policies are looked at by the tests of its page: the definitions of its custom resources cannot be had here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from tests.controlplane.plane import DEPLOY, ControlPlane
from tests.deploy.admission import submit
from tests.deploy.rendering import COMPONENTS, OVERLAYS, combine, find, render

pytestmark = pytest.mark.real

PRIORITY = 2000000000
"""Of system-cluster-critical (kubernetes/kubernetes, pkg/apis/scheduling/types.go)."""


class Variant(NamedTuple):
    """A folder of ``deploy/`` with components."""

    resource: str
    components: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "+".join((self.resource, *self.components))

    def objects(self) -> list[dict[str, Any]]:
        """Rendered once for all tests."""
        return render(FOLDERS[self])


VARIANTS = [
    *map(Variant, OVERLAYS),
    *(Variant("base", (name,)) for name in COMPONENTS),
    Variant("high-availability", ("cert-manager", "prometheus-operator", "network-policy", "critical-priority")),
    Variant("linkerd", ("high-availability", "prometheus-operator", "cert-manager")),
    Variant("istio", ("own-certificate", "prometheus-operator")),
    Variant("cloudwatch", ("prometheus-operator", "cert-manager", "critical-priority")),
    Variant("autoscaling", ("cert-manager", "high-availability")),
    Variant("autoscaling", ("../autoscaling/external", "prometheus-operator")),
]
FOLDERS: dict[Variant, Path] = {}
EACH = pytest.mark.parametrize("variant", VARIANTS, ids=str)


@pytest.fixture(scope="module", autouse=True)
def folders(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A kustomization for each variant."""
    FOLDERS.update({each: combine(tmp_path_factory.mktemp("variant"), *each) for each in VARIANTS})


@pytest.fixture(scope="module")
async def plane(custom_resources: ControlPlane) -> ControlPlane:
    """With the namespaces that objects are in."""
    namespace = find(render("base"), "Namespace")
    others = ({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}} for name in ("linkerd-viz", "monitoring"))
    await custom_resources.apply(namespace, *others)
    return custom_resources


@EACH
async def test_kube_apiserver_knows_every_field(plane: ControlPlane, variant: Variant):
    objects = [each for each in variant.objects() if not each["apiVersion"].startswith("policy.linkerd.io/")]
    verdicts = await submit(plane, *objects)
    for each, verdict in zip(objects, verdicts, strict=True):
        assert verdict.status in (200, 201), (each["kind"], each["metadata"]["name"], verdict.document)
        assert verdict.warnings == [], (each["kind"], verdict.warnings)


async def test_a_field_that_nobody_knows_is_found(plane: ControlPlane):
    service = find(render("base"), "Service")
    service["spec"]["selctor"] = service["spec"]["selector"]
    (verdict,) = await submit(plane, service)
    assert (verdict.status, "selctor" in verdict.document["message"]) == (500, True)


@EACH
async def test_the_pods_are_admitted_at_level_restricted(plane: ControlPlane, variant: Variant):
    deployment = find(variant.objects(), "Deployment")
    (verdict,) = await submit(plane, pod_of(deployment))
    assert (verdict.status, verdict.warnings) == (201, []), verdict.document
    expected = PRIORITY if "critical-priority" in variant.components else 0
    assert verdict.document["spec"]["priority"] == expected


async def test_a_pod_that_is_not_restricted_is_refused(plane: ControlPlane):
    pod = pod_of(find(render("base"), "Deployment"))
    pod["spec"]["hostNetwork"] = True
    (verdict,) = await submit(plane, pod)
    assert 'violates PodSecurity "restricted' in verdict.document["message"]


def pod_of(deployment: dict[str, Any]) -> dict[str, Any]:
    template = deployment["spec"]["template"]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        **template,
        "metadata": template["metadata"] | {"name": "one", "namespace": "trafficmetrics"},
    }


@EACH
def test_the_server_gets_its_certificate_in_one_way(variant: Variant):
    objects = variant.objects()
    (container,) = find(objects, "Deployment")["spec"]["template"]["spec"]["containers"]
    flags = {argument.partition("=")[0] for argument in container["args"][1:]}
    mounted = {"--tls-cert-file", "--tls-private-key-file"} <= flags
    assert mounted is not ("--cert-secret" in flags)
    assert mounted is ("serving" in {mount["name"] for mount in container["volumeMounts"]})
    issuing = {each["kind"] for each in objects if each["metadata"]["name"] == "trafficmetrics-issuing"}
    assert issuing == (set() if mounted else {"Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"})
    for monitor in (each for each in objects if each["kind"] == "ServiceMonitor"):
        (endpoint,) = monitor["spec"]["endpoints"]
        assert endpoint["tlsConfig"]["ca"]["secret"]["name"] == ("trafficmetrics-serving" if mounted else "trafficmetrics-issued")


@EACH
def test_every_registration_is_filled_in_by_somebody(variant: Variant):
    objects = variant.objects()
    registrations = {each["metadata"]["name"]: each for each in objects if each["kind"] == "APIService"}
    assert not any("insecureSkipTLSVerify" in each["spec"] or "caBundle" in each["spec"] for each in registrations.values())
    injected = {
        name for name, each in registrations.items() if "cert-manager.io/inject-ca-from" in each["metadata"].get("annotations", {})
    }
    assert injected == (set(registrations) if "cert-manager" in str(variant) else set())
    if not injected and "own-certificate" not in variant.components:
        (rule,) = find(objects, "ClusterRole", "trafficmetrics-issuing")["rules"]
        assert set(rule["resourceNames"]) == set(registrations)


@pytest.mark.parametrize(
    "order", [("prometheus-operator", "own-certificate"), ("own-certificate", "prometheus-operator")], ids="+".join
)
def test_components_do_not_depend_on_their_order(order: tuple[str, ...], tmp_path: Path):
    monitor = find(render(combine(tmp_path, "base", order)), "ServiceMonitor")
    assert monitor["spec"]["endpoints"][0]["tlsConfig"]["ca"]["secret"]["name"] == "trafficmetrics-serving"


def test_two_ways_to_a_certificate_are_refused(tmp_path: Path):
    with pytest.raises(AssertionError, match=r"testing value .* failed"):
        render(combine(tmp_path, "cert-manager", ("own-certificate",)))


def test_an_image_can_be_named_above_everything(tmp_path: Path):
    folder = combine(tmp_path, "cert-manager", ("high-availability",))
    content = yaml.safe_load((folder / "kustomization.yaml").read_text())
    content["images"] = [{"name": "trafficmetrics", "newName": "registry.example.com/trafficmetrics", "newTag": "1.2.3"}]
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(content))
    (container,) = find(render(folder), "Deployment")["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "registry.example.com/trafficmetrics:1.2.3"


def test_the_alerts_are_those_of_the_rules_file():
    """But for white space, which means nothing in PromQL, and of which kustomize adds to folded text."""
    rules = yaml.safe_load((DEPLOY / "alerts" / "trafficmetrics.rules.yaml").read_text())
    groups = find(render("prometheus-operator"), "PrometheusRule")["spec"]["groups"]
    for rule in (rule for each in (*groups, *rules["groups"]) for rule in each["rules"]):
        rule["expr"] = " ".join(rule["expr"].split())
    assert groups == rules["groups"], "copy the groups of deploy/alerts/trafficmetrics.rules.yaml into prometheusrule.yaml"


def test_the_names_in_the_certificate_are_those_of_the_service():
    objects = render("cert-manager")
    service = find(objects, "Service")["metadata"]
    host = f"{service['name']}.{service['namespace']}.svc"
    assert host in find(objects, "Certificate", "trafficmetrics-serving")["spec"]["dnsNames"]
    (endpoint,) = find(render("prometheus-operator"), "ServiceMonitor")["spec"]["endpoints"]
    assert endpoint["tlsConfig"]["serverName"] == host


def test_the_open_port_is_the_one_that_is_served(tmp_path: Path):
    objects = render(combine(tmp_path, "istio", ("network-policy",)))
    (container,) = find(objects, "Deployment")["spec"]["template"]["spec"]["containers"]
    (port,) = container["ports"]
    (rule,) = find(objects, "NetworkPolicy")["spec"]["ingress"]
    assert rule == {"ports": [{"port": port["containerPort"], "protocol": port["protocol"]}]}
    assert list(find(objects, "PeerAuthentication")["spec"]["portLevelMtls"]) == [str(port["containerPort"])]


def test_replicas_that_are_apart_can_be_replaced_where_there_is_a_node_for_each():
    spec = find(render("high-availability"), "Deployment")["spec"]
    (term,) = spec["template"]["spec"]["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert term["labelSelector"] == spec["selector"]
    assert spec["strategy"]["rollingUpdate"]["maxUnavailable"] == 1
    assert find(render("high-availability"), "PodDisruptionBudget")["spec"]["maxUnavailable"] == 1 < spec["replicas"] - 1


@EACH
def test_no_budget_keeps_a_node_from_being_drained(variant: Variant):
    """Of one replica neither, which a kustomization of one's own may ask for."""
    objects = variant.objects()
    budget = find(objects, "PodDisruptionBudget")["spec"]
    assert budget["maxUnavailable"] == 1
    assert "minAvailable" not in budget
    assert budget["selector"] == find(objects, "Deployment")["spec"]["selector"]


@EACH
def test_the_pods_that_a_rollout_starts_are_spread_by_themselves(variant: Variant):
    template = find(variant.objects(), "Deployment")["spec"]["template"]
    constraints = template["spec"]["topologySpreadConstraints"]
    assert [each["matchLabelKeys"] for each in constraints] == [["pod-template-hash"]] * 2
