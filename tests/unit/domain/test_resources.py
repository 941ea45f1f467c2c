"""The closed list of resources, and references to objects."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics_api.resources import (
    ANY_WORKLOAD,
    API_VERSION,
    CALLED_HOST,
    EVERYTHING,
    RESOURCE_TYPES,
    UNKNOWN,
    WORKLOAD_KINDS,
    ResourceRef,
    called_service,
    host,
    type_of_kind,
    type_of_plural,
)

PLURALS = [
    *("namespaces", "nodes", "pods", "replicationcontrollers", "services", "daemonsets"),
    *("deployments", "replicasets", "statefulsets", "jobs", "trafficsplits"),
]
"""Those of the specification."""
BESIDE = ["cronjobs", "httproutes", "grpcroutes"]


def test_the_list_is_that_of_the_specification_and_what_goes_beyond_it_comes_after():
    assert [row.plural for row in RESOURCE_TYPES] == [*PLURALS, *BESIDE]
    assert [row.plural for row in RESOURCE_TYPES if not row.namespaced] == ["namespaces", "nodes"]
    assert API_VERSION == "metrics.smi-spec.io/v1alpha1"


@pytest.mark.parametrize("plural", [*PLURALS, *BESIDE])
def test_a_type_is_found_by_its_plural_and_by_its_kind_in_any_capitalisation(plural: str):
    row = type_of_plural(plural)
    assert row is not None
    for kind in (row.kind, row.kind.lower(), row.kind.upper(), row.kind.capitalize()):
        assert type_of_kind(kind) is row


@pytest.mark.parametrize("name", ["", "Deployments", "deployment", "ingresses", "trafficmetrics"])
def test_other_plurals_are_unknown(name: str):
    assert type_of_plural(name) is None


@pytest.mark.parametrize("kind", ["", "Ingress", ANY_WORKLOAD, "deployments"])
def test_other_kinds_are_unknown(kind: str):
    assert type_of_kind(kind) is None


def test_kinds_in_discovery_are_distinct_and_so_are_all_names():
    for names in (
        [row.metrics_kind for row in RESOURCE_TYPES],
        [row.kind for row in RESOURCE_TYPES],
        [row.singular for row in RESOURCE_TYPES],
    ):
        assert len(set(names)) == len(RESOURCE_TYPES)
    assert [row.metrics_kind for row in RESOURCE_TYPES[:2]] == ["NamespaceTrafficMetrics", "NodeTrafficMetrics"]


def test_workloads_are_kinds_of_the_list():
    assert all(type_of_kind(kind) is not None for kind in WORKLOAD_KINDS)
    assert "Pod" not in WORKLOAD_KINDS


@pytest.mark.parametrize(
    ("ref", "wire"),
    [
        (ResourceRef("Deployment", "shop", "web"), {"kind": "Deployment", "namespace": "shop", "name": "web"}),
        (ResourceRef("Node", "", "n1"), {"kind": "Node", "name": "n1"}),
        (host("example.com"), {"name": "example.com"}),
        (UNKNOWN, {"name": "unknown"}),
        (EVERYTHING, {}),
    ],
)
def test_a_reference_is_sent_with_what_is_known(ref: ResourceRef, wire: dict[str, str]):
    assert ref.wire() == wire


LABEL = st.from_regex(r"[a-z]([-a-z0-9]{0,8}[a-z0-9])?", fullmatch=True)


@given(name=LABEL, namespace=LABEL, port=st.sampled_from(["", ":80", ":65535"]), form=st.sampled_from(["svc", "svc.cluster.local"]))
def test_a_service_is_called_by_its_name_alone_with_its_namespace_or_in_full(name: str, namespace: str, port: str, form: str):
    service = ResourceRef("Service", namespace, name)
    assert called_service(ResourceRef(CALLED_HOST, namespace, f"{name}{port}")) == (service, False)
    assert called_service(ResourceRef(CALLED_HOST, "elsewhere", f"{name}.{namespace}{port}")) == (service, False)
    assert called_service(ResourceRef(CALLED_HOST, "elsewhere", f"{name}.{namespace}.{form}{port}")) == (service, True)


@pytest.mark.parametrize(
    "name", ["", "10.0.0.7", "10.0.0.7:80", "api.example.com", "a b", "orders.", "AWS::S3", "[::1]:80", "-a", "42"]
)
def test_what_no_service_can_be_called_is_the_name_of_none(name: str):
    assert called_service(ResourceRef(CALLED_HOST, "shop", name)) is None
