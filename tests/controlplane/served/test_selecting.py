"""Selecting: labels are those of the Kubernetes objects, and fields choose what no other flag of kubectl could."""

from __future__ import annotations

import pytest

from tests.controlplane.served.api import Api

pytestmark = pytest.mark.real

DEPLOYMENTS = "deployments.metrics.smi-spec.io"


@pytest.mark.parametrize(
    ("selector", "selected"),
    [
        ("app=api", ["data/api", "shop/api"]),
        ("app==web", ["shop/web"]),
        ("app!=api", ["shop/web"]),
        ("tier", ["data/api", "shop/api", "shop/web"]),
        ("!release", []),
        ("app in (web, api)", ["data/api", "shop/api", "shop/web"]),
        ("app notin (web)", ["data/api", "shop/api"]),
        ("release>5", ["data/api", "shop/api"]),
        ("release<5", ["shop/web"]),
        ("app=api,release>10", ["shop/api"]),
        ("app=nobody", []),
    ],
)
async def test_labels_select_as_everywhere_in_kubernetes(api: Api, selector: str, selected: list[str]):
    assert await api.names(DEPLOYMENTS, "-A", "-l", selector) == selected


@pytest.mark.parametrize(
    ("selector", "selected"),
    [
        ("!release", ["data/statefulset.db"]),
        ("release!=3", ["data/deployment.api", "data/statefulset.db", "shop/deployment.api"]),
        ("release notin (7, 12)", ["data/statefulset.db", "shop/deployment.web"]),
        ("release", ["data/deployment.api", "shop/deployment.api", "shop/deployment.web"]),
        ("release>0", ["data/deployment.api", "shop/deployment.api", "shop/deployment.web"]),
        ("tier = back , ! release", ["data/statefulset.db"]),
    ],
)
async def test_a_label_that_is_absent_selects_as_everywhere_in_kubernetes(api: Api, selector: str, selected: list[str]):
    assert await api.names("tm", "-A", "-l", selector) == selected


async def test_labels_of_pods_select_pods(api: Api):
    assert await api.names("pods.metrics.smi-spec.io", "-A", "-l", "pod-template-hash=59fc") == ["data/api-59fc-zz7lm"]


async def test_labels_of_namespaces_select_namespaces(api: Api):
    rows = await api.table("namespaces.metrics.smi-spec.io", "-l", "kubernetes.io/metadata.name=data")
    assert [name for name, *_ in rows] == ["data"]


async def test_labels_shown_are_labels_matched(api: Api):
    items = (await api.document(DEPLOYMENTS, "-A", "-l", "tier=back"))["items"]
    assert [item["metadata"]["labels"]["tier"] for item in items] == ["back", "back"]


async def test_an_unknown_field_is_refused_in_the_standard_words(api: Api):
    run = await api.kubectl("get", DEPLOYMENTS, "-A", "--field-selector", "status.phase=Running")
    assert run.code == 1
    assert '"status.phase" is not a known field selector: only "metadata.name", "metadata.namespace"' in run.stderr


async def test_a_label_can_be_a_column(api: Api):
    rows = await api.table(DEPLOYMENTS, "-n", "shop", "-L", "tier")
    assert [(row[0], row[-1]) for row in rows] == [("api", "back"), ("web", "front")]


@pytest.mark.parametrize(
    ("selector", "selected"),
    [
        ("metadata.name=api", ["data/api", "shop/api"]),
        ("metadata.name!=api", ["shop/web"]),
        ("metadata.namespace=data", ["data/api"]),
        ("metadata.namespace!=data,metadata.name=api", ["shop/api"]),
        ("metadata.name==web,metadata.namespace!=other", ["shop/web"]),
        (r"metadata.name!=a\,b\=c\\", ["data/api", "shop/api", "shop/web"]),
        (r"metadata.name=a\,b\=c\\", []),
        ("metadata.name=nothing", []),
    ],
)
async def test_fields_select_names_and_namespaces(api: Api, selector: str, selected: list[str]):
    assert await api.names(DEPLOYMENTS, "-A", "--field-selector", selector) == selected


@pytest.mark.parametrize(
    ("selector", "selected"),
    [
        pytest.param("resource.kind=StatefulSet", ["data/statefulset.db"], id="a kind"),
        pytest.param("resource.kind=pods,resource.name=db-0", ["data/pod.db-0"], id="a kind that is no workload"),
        pytest.param("resource.kind!=Deployment", ["data/statefulset.db"], id="not a kind"),
        pytest.param("resource.name=api", ["data/deployment.api", "shop/deployment.api"], id="a name"),
        pytest.param("metadata.name=deployment.web", ["shop/deployment.web"], id="the name of a row"),
        pytest.param(
            "edge.direction=to,metadata.namespace=shop",
            [
                "shop/deployment.api.to.deployment.web",
                "shop/deployment.api.to.statefulset.db.data",
                "shop/deployment.web.to.deployment.api",
                "shop/deployment.web.to.deployment.gone",
            ],
            id="callees",
        ),
        pytest.param(
            "edge.direction=from,resource.name=api",
            [
                "data/deployment.api.from.deployment.web.other",
                "shop/deployment.api.from.deployment.web",
                "shop/deployment.api.from.deployment.web.other",
            ],
            id="callers",
        ),
        pytest.param("edge.resource.name=db", ["shop/deployment.api.to.statefulset.db.data"], id="a peer"),
        pytest.param(
            "edge.resource.namespace=other,metadata.namespace=data",
            ["data/deployment.api.from.deployment.web.other"],
            id="a peer's namespace",
        ),
    ],
)
async def test_fields_choose_the_traffic_shown(api: Api, selector: str, selected: list[str]):
    assert await api.names("tm", "-A", "--field-selector", selector) == selected


async def test_the_default_edge_is_the_total(api: Api):
    rows = await api.names("tm", "-A", "--field-selector", "edge.direction=from,edge.resource.name=")
    assert rows == await api.names("tm", "-A")


@pytest.mark.parametrize(
    ("flag", "selector", "complaint"),
    [
        pytest.param("-l", "a b", "unable to parse label selector", id="labels"),
        pytest.param("--field-selector", "spec.x=1", '"spec.x" is not a known field selector', id="an unknown field"),
        pytest.param("--field-selector", "metadata.name=a,b", "invalid field selector", id="a comma that is not escaped"),
        pytest.param("--field-selector", "metadata.name=a=b", "invalid field selector", id="an equals sign that is not escaped"),
        pytest.param("--field-selector", r"metadata.name=a\b", "invalid field selector", id="an escape that is none"),
        pytest.param("--field-selector", "window=soon", '"soon" is not a duration', id="a window"),
        pytest.param("--field-selector", "edge.direction=up", 'edge.direction is "to" or "from"', id="a direction"),
        pytest.param("--field-selector", "resource.kind=Cat", '"Cat" is not a kind', id="a kind"),
    ],
)
async def test_a_bad_selector_is_told(api: Api, flag: str, selector: str, complaint: str):
    run = await api.kubectl("get", "tm", "-A", flag, selector)
    assert run.code == 1
    assert run.stderr.startswith("Error from server (BadRequest)")
    assert complaint in run.stderr
