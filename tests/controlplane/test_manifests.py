"""The manifests of ``deploy/base``: kube-apiserver takes them, and their roles give what they promise, no more."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from apiservice.catalog import SERVED, Served
from apiservice.settings import OPTIONS, read_settings
from backends.registry import configured
from metrics_api.document import Problems
from metrics_api.resources import GROUP, RESOURCE_TYPES, ResourceType
from tests.controlplane.plane import API_SERVICE, DEPLOY, SERVER, ControlPlane, Person, manifest, manifests

pytestmark = pytest.mark.real

BASE = DEPLOY / "base"
SHOP_READER = Person("shop-reader")
CLUSTER_READER = Person("cluster-reader")


def binding(kind: str, role: str, person: Person, namespace: str = "") -> dict[str, Any]:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": kind,
        "metadata": {"name": person.name} | ({"namespace": namespace} if namespace else {}),
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": person.name}],
    }


@pytest.fixture(scope="module")
async def installed(control_plane: ControlPlane) -> ControlPlane:
    """The manifests' namespace, identity and roles, one reader of the namespace "shop" and one of the cluster."""
    names = ("namespace.yaml", "serviceaccount.yaml", "rbac.yaml", "issuing.yaml", "readers.yaml")
    await control_plane.apply(*[document for name in names for document in manifests(name)])
    await control_plane.apply(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}},
        binding("RoleBinding", "trafficmetrics-reader", SHOP_READER, "shop"),
        binding("ClusterRoleBinding", "trafficmetrics-cluster-reader", CLUSTER_READER),
    )
    return control_plane


async def may(
    plane: ControlPlane, person: Person, verb: str, resource: str, namespace: str = "", name: str = "", group: str = GROUP
) -> bool:
    """Asks kube-apiserver what it would ask itself for such a request."""
    plural, _, subresource = resource.partition("/")
    asked = {"group": group, "verb": verb, "resource": plural, "subresource": subresource, "namespace": namespace, "name": name}
    groups = [*person.groups, "system:authenticated"]
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {"user": person.name, "groups": groups, "resourceAttributes": asked},
    }
    url = f"{plane.url}/apis/authorization.k8s.io/v1/subjectaccessreviews"
    async with aiohttp.ClientSession() as session, session.post(url, json=review, ssl=plane.tls()) as response:
        assert response.status == 201, await response.text()
        allowed: bool = (await response.json())["status"]["allowed"]
    return allowed


async def test_the_kustomization_is_accepted(installed: ControlPlane):
    run = await installed.kubectl("apply", "--server-side", "--dry-run=server", "-k", str(BASE))
    assert run.code == 0, run.stderr
    assert run.stderr == ""
    assert len(run.stdout.splitlines()) == sum(len(manifests(name)) for name in manifest("kustomization.yaml")["resources"])


def test_the_kustomization_names_every_manifest():
    files = {path.name for path in BASE.glob("*.yaml")} - {"kustomization.yaml"}
    assert set(manifest("kustomization.yaml")["resources"]) == files


async def test_the_pods_are_admitted_at_level_restricted(installed: ControlPlane):
    template = manifest("deployment.yaml")["spec"]["template"]
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": template["metadata"] | {"name": "probe", "namespace": "trafficmetrics"}}
    command = ("create", "--dry-run=server", "-f", "-")
    run = await installed.kubectl(*command, stdin=json.dumps(pod | {"spec": template["spec"]}))
    assert run.code == 0, run.stderr
    loose = template["spec"] | {"hostNetwork": True}
    run = await installed.kubectl(*command, stdin=json.dumps(pod | {"spec": loose}))
    assert 'violates PodSecurity "restricted' in run.stderr


def test_service_probes_and_pods_agree_on_the_port():
    (container,) = manifest("deployment.yaml")["spec"]["template"]["spec"]["containers"]
    (port,) = container["ports"]
    assert f"--secure-port={port['containerPort']}" in container["args"]
    (served,) = manifest("service.yaml")["spec"]["ports"]
    assert served["targetPort"] == port["name"]
    assert served["port"] == manifest("apiservice.yaml")["spec"]["service"]["port"]
    for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
        assert container[probe]["httpGet"]["port"] == port["name"]
        assert container[probe]["httpGet"]["scheme"] == "HTTPS"


def test_the_server_knows_its_flags():
    (container,) = manifest("deployment.yaml")["spec"]["template"]["spec"]["containers"]
    command, *flags = container["args"]
    assert command == "serve"
    known = {option.name for option in OPTIONS} | {"config"}
    assert {flag.partition("=")[0].removeprefix("--") for flag in flags} <= known
    mounts = {mount["mountPath"] for mount in container["volumeMounts"]}
    assert {str(Path(value).parent) for _, _, value in (flag.partition("=") for flag in flags) if "/" in value} <= mounts


def test_the_sample_configuration_is_valid():
    text = manifest("configmap.yaml")["data"]["config.yaml"]
    problems = Problems()
    settings = read_settings(text, "config.yaml", {}, {}, problems)
    (source,) = configured(settings.backends)
    assert problems.found == []
    assert source.name == "mesh"


def test_tls_is_verified():
    assert "insecureSkipTLSVerify" not in manifest("apiservice.yaml")["spec"]


@pytest.mark.parametrize("row", RESOURCE_TYPES, ids=lambda row: row.plural)
async def test_the_server_reads_every_resource_it_measures(installed: ControlPlane, row: ResourceType):
    for verb in ("list", "watch"):
        assert await may(installed, SERVER, verb, row.plural, group=row.group)


@pytest.mark.parametrize(
    ("verb", "resource", "group"),
    [
        pytest.param("create", "subjectaccessreviews", "authorization.k8s.io", id="ask who may"),
        pytest.param("create", "tokenreviews", "authentication.k8s.io", id="ask whose token"),
    ],
)
async def test_the_server_asks_who_the_caller_is(installed: ControlPlane, verb: str, resource: str, group: str):
    assert await may(installed, SERVER, verb, resource, group=group)


async def test_the_server_reads_the_front_proxy_settings(installed: ControlPlane):
    name = "extension-apiserver-authentication"
    run = await installed.kubectl("get", "configmap", name, "-n", "kube-system", "-o", "name", user=SERVER)
    assert (run.code, run.stdout) == (0, f"configmap/{name}\n"), run.stderr


@pytest.mark.parametrize(
    ("verb", "resource", "namespace"),
    [
        pytest.param("list", "secrets", "", id="secrets"),
        pytest.param("get", "secrets", "trafficmetrics", id="its own secrets"),
        pytest.param("list", "configmaps", "kube-system", id="other configmaps"),
        pytest.param("create", "pods", "trafficmetrics", id="new pods"),
        pytest.param("delete", "namespaces", "", id="namespaces"),
    ],
)
async def test_the_server_has_no_right_it_does_not_need(installed: ControlPlane, verb: str, resource: str, namespace: str):
    assert not await may(installed, SERVER, verb, resource, namespace, group="")


@pytest.mark.parametrize(
    ("verb", "resource", "name", "allowed"),
    [
        pytest.param("get", "secrets", "trafficmetrics-issued", True, id="reads its certificate"),
        pytest.param("update", "secrets", "trafficmetrics-issued", True, id="renews it"),
        pytest.param("create", "secrets", "", True, id="makes it"),
        pytest.param("delete", "secrets", "trafficmetrics-issued", False, id="deletes it"),
        pytest.param("get", "secrets", "trafficmetrics-serving", False, id="reads another secret"),
        pytest.param("watch", "secrets", "trafficmetrics-issued", False, id="watches secrets"),
        pytest.param("get", "apiservices", API_SERVICE, True, id="reads its registration"),
        pytest.param("patch", "apiservices", API_SERVICE, True, id="fills in its authority"),
        pytest.param("update", "apiservices", API_SERVICE, False, id="replaces its registration"),
        pytest.param("patch", "apiservices", "v1beta1.metrics.k8s.io", False, id="changes that of another"),
        pytest.param("list", "apiservices", "", False, id="lists registrations"),
    ],
)
async def test_what_the_server_may_do_about_its_certificate(
    installed: ControlPlane, verb: str, resource: str, name: str, *, allowed: bool
):
    namespace, group = ("trafficmetrics", "") if resource == "secrets" else ("", "apiregistration.k8s.io")
    assert await may(installed, SERVER, verb, resource, namespace, name, group) is allowed


NAMESPACED = [row for row in SERVED if row.namespaced]


@pytest.mark.parametrize("row", NAMESPACED, ids=lambda row: row.plural)
async def test_a_reader_of_a_namespace_has_the_verbs_discovery_names(installed: ControlPlane, row: Served):
    for verb in ("get", "list", "watch", "create", "delete"):
        assert await may(installed, SHOP_READER, verb, row.plural, "shop") is (verb in row.verbs)
        assert not await may(installed, SHOP_READER, verb, row.plural, "other")
        assert not await may(installed, SHOP_READER, verb, row.plural)


@pytest.mark.parametrize("row", [row for row in NAMESPACED if row.edges], ids=lambda row: row.plural)
async def test_a_reader_of_a_namespace_gets_edges(installed: ControlPlane, row: Served):
    assert await may(installed, SHOP_READER, "get", f"{row.plural}/edges", "shop", "web")
    assert not await may(installed, SHOP_READER, "get", f"{row.plural}/edges", "other", "web")


@pytest.mark.parametrize("row", [row for row in SERVED if not row.namespaced], ids=lambda row: row.plural)
async def test_a_reader_of_the_cluster_has_the_verbs_discovery_names(installed: ControlPlane, row: Served):
    for verb in ("get", "list", "watch", "create", "delete"):
        assert await may(installed, CLUSTER_READER, verb, row.plural) is (verb in row.verbs)
    assert await may(installed, CLUSTER_READER, "get", f"{row.plural}/edges", name="one")


@pytest.mark.parametrize(
    ("verb", "resource", "namespace", "name", "allowed"),
    [
        pytest.param("get", "namespaces", "shop", "shop", True, id="the namespace"),
        pytest.param("list", "edges", "shop", "", True, id="its edges"),
        pytest.param("get", "namespaces", "other", "other", False, id="another namespace"),
        pytest.param("list", "edges", "other", "", False, id="the edges of another"),
        pytest.param("list", "namespaces", "", "", False, id="all namespaces"),
        pytest.param("get", "nodes", "", "n1", False, id="a node"),
        pytest.param("get", "nodes/edges", "", "n1", False, id="the edges of a node"),
        pytest.param("list", "sources", "", "", False, id="the sources"),
        pytest.param("get", "sources", "", "mesh", False, id="a source"),
        pytest.param("create", "grafana", "shop", "query", True, id="a query of Grafana"),
        pytest.param("list", "grafana", "shop", "", True, id="whether Grafana is served"),
        pytest.param("get", "grafana", "shop", "graph", True, id="the graph"),
        pytest.param("get", "grafana/graph", "shop", "api", True, id="the graph of the node graph plugin"),
        pytest.param("create", "grafana", "other", "query", False, id="a query of Grafana elsewhere"),
        pytest.param("create", "grafana", "", "query", False, id="a query of Grafana about everything"),
        pytest.param("create", "prometheus/v1", "shop", "api", True, id="a query as of a Prometheus"),
        pytest.param("get", "prometheus/v1", "shop", "api", True, id="a query in a URL"),
        pytest.param("get", "prometheus", "shop", "metrics", True, id="the page to scrape"),
        pytest.param("get", "prometheus", "", "metrics", False, id="the page of everything"),
    ],
)
async def test_a_reader_of_a_namespace(
    installed: ControlPlane, verb: str, resource: str, namespace: str, name: str, *, allowed: bool
):
    assert await may(installed, SHOP_READER, verb, resource, namespace, name) is allowed


@pytest.mark.parametrize(
    ("verb", "resource", "namespace", "name", "allowed"),
    [
        pytest.param("get", "namespaces", "shop", "shop", True, id="a namespace"),
        pytest.param("list", "edges", "shop", "", True, id="its edges"),
        pytest.param("list", "pods", "shop", "", False, id="pods"),
        pytest.param("list", "sources", "", "", True, id="the sources"),
        pytest.param("get", "sources", "", "mesh", True, id="a source"),
        pytest.param("watch", "sources", "", "", False, id="a watch of the sources"),
    ],
)
async def test_a_reader_of_the_cluster(
    installed: ControlPlane, verb: str, resource: str, namespace: str, name: str, *, allowed: bool
):
    assert await may(installed, CLUSTER_READER, verb, resource, namespace, name) is allowed


async def test_readers_are_part_of_view_edit_and_admin(installed: ControlPlane):
    for role in ("view", "edit", "admin"):
        run = await installed.kubectl(
            "get", "clusterroles", "-l", f"rbac.authorization.k8s.io/aggregate-to-{role}=true", "-o", "name"
        )
        assert "clusterrole.rbac.authorization.k8s.io/trafficmetrics-reader" in run.stdout.split()
        assert "clusterrole.rbac.authorization.k8s.io/trafficmetrics-cluster-reader" not in run.stdout.split()
