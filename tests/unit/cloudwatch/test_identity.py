"""Services of Application Signals, and the objects of Kubernetes they are."""

from __future__ import annotations

import pytest

from backends.cloudwatch.identity import Identity, cluster_of
from backends.cloudwatch.settings import CloudWatchSettings
from metrics_api import ANY_WORKLOAD, CALLED_HOST, UNKNOWN, ResourceRef
from metrics_api.resources import host

SHOP = "eks:prod/shop"
WEB = ResourceRef(ANY_WORKLOAD, "shop", "web")
SETTINGS = CloudWatchSettings(
    "aws",
    "application-signals",
    cluster="prod",
    environments={"vm-fleet": "legacy"},
    services={
        ("checkout-api", SHOP): ResourceRef("Deployment", "shop", "checkout"),
        ("ledger", ""): ResourceRef("StatefulSet", "bank", "ledger-db"),
    },
)
IDENTITY = Identity(SETTINGS, lambda: {("storefront", SHOP): ResourceRef(ANY_WORKLOAD, "shop", "front")})


@pytest.mark.parametrize(
    ("service", "environment", "found"),
    [
        pytest.param("web", SHOP, WEB, id="a service is the workload of its name"),
        pytest.param("web", "k8s:prod/shop", WEB, id="outside EKS too"),
        pytest.param("web", "eks:test/shop", None, id="not of another cluster"),
        pytest.param("web", "eks:prod/UnknownNamespace", None, id="not without a namespace"),
        pytest.param("web", "ec2:default", None, id="not outside Kubernetes"),
        pytest.param("UnknownService", SHOP, None, id="not without a name"),
        pytest.param(
            "web", "vm-fleet", ResourceRef(ANY_WORKLOAD, "legacy", "web"), id="an environment that the configuration names"
        ),
        pytest.param("checkout-api", SHOP, ResourceRef("Deployment", "shop", "checkout"), id="a service that it names"),
        pytest.param("checkout-api", "eks:prod/other", ResourceRef(ANY_WORKLOAD, "other", "checkout-api"), id="there alone"),
        pytest.param("ledger", "eks:prod/bank", ResourceRef("StatefulSet", "bank", "ledger-db"), id="or in every environment"),
        pytest.param("ledger", "eks:test/bank", None, id="of the cluster"),
        pytest.param("storefront", SHOP, ResourceRef(ANY_WORKLOAD, "shop", "front"), id="what Application Signals knows"),
    ],
)
def test_a_service_is_a_workload_of_the_cluster_or_none(service: str, environment: str, found: ResourceRef | None) -> None:
    assert IDENTITY.workload(service, environment) == found


@pytest.mark.parametrize(
    ("service", "environment", "found"),
    [
        pytest.param("orders", "eks:prod/back", ResourceRef(ANY_WORKLOAD, "back", "orders"), id="a workload of another namespace"),
        pytest.param("orders", "eks:test/back", host("orders"), id="a workload of another cluster is outside"),
        pytest.param("orders.back:8080", "", ResourceRef(CALLED_HOST, "shop", "orders.back:8080"), id="a host may be a Service"),
        pytest.param("AWS::S3", "", host("AWS::S3"), id="a service of AWS is none"),
        pytest.param("UnknownRemoteService", "", UNKNOWN, id="what nobody knows"),
        pytest.param("ledger", "", ResourceRef("StatefulSet", "bank", "ledger-db"), id="what the configuration names"),
        pytest.param("checkout-api", SHOP, ResourceRef("Deployment", "shop", "checkout"), id="there too"),
        pytest.param(
            "storefront", SHOP, ResourceRef(ANY_WORKLOAD, "shop", "storefront"), id="the workload, and no service, of a name"
        ),
    ],
)
def test_what_a_caller_calls_is_a_workload_a_host_or_outside(service: str, environment: str, found: ResourceRef) -> None:
    assert IDENTITY.remote(service, environment, WEB) == found


def test_the_cluster_of_an_environment_is_part_of_its_name() -> None:
    assert [cluster_of(name) for name in ("eks:prod/shop", "k8s:lab/a/b", "ec2:default", "")] == ["prod", "lab", "", ""]
