"""Services of a graph are the objects that their names say, as far as anybody can know; others are peers by their names."""

from __future__ import annotations

import pytest

from backends.cloudwatch.graph import Node
from backends.cloudwatch.settings import CloudWatchSettings
from backends.cloudwatch.traced import TracedServices
from metrics_api import ANY_WORKLOAD, CALLED_HOST, UNKNOWN, ResourceRef
from metrics_api.resources import host

_CHECKOUT = ResourceRef("Deployment", "shop", "checkout")
_FRONT = ResourceRef(ANY_WORKLOAD, "web", "front")


def _services(namespace: str = "") -> TracedServices:
    return TracedServices(CloudWatchSettings("aws", "xray", namespace=namespace, services={("Checkout API", ""): _CHECKOUT}))


def _workload(namespace: str, name: str) -> ResourceRef:
    return ResourceRef(ANY_WORKLOAD, namespace, name)


def _called(namespace: str, name: str) -> ResourceRef:
    return ResourceRef(CALLED_HOST, namespace, name)


@pytest.mark.parametrize(
    ("node", "namespace", "resource"),
    [
        (Node("Checkout API"), "", _CHECKOUT),
        (Node("checkout", ("checkout", "Checkout API")), "", _CHECKOUT),
        (Node("Checkout API", type="AWS::ECS::Container"), "", _CHECKOUT),
        (Node("Checkout API", type="remote"), "", _CHECKOUT),
        (Node("Checkout API", type="client"), "", None),
        (Node("orders"), "shop", _workload("shop", "orders")),
        (Node("orders", type="AWS::EKS::Container"), "shop", _workload("shop", "orders")),
        (Node("orders", type="AWS::EC2::Instance"), "shop", _workload("shop", "orders")),
        (Node("orders"), "", None),
        (Node("orders", type="client"), "shop", None),
        (Node("orders", type="remote"), "shop", None),
        (Node("orders", type="AWS::Lambda::Function"), "shop", None),
        (Node("orders", type="AWS::DynamoDB::Table"), "shop", None),
        (Node("orders", type="Database::SQL"), "shop", None),
        (Node("orders.shop"), "", _called("shop", "orders.shop")),
        (Node("orders.shop:8080"), "web", _called("shop", "orders.shop:8080")),
        (Node("orders:8080"), "web", _called("web", "orders:8080")),
        (Node("orders:8080"), "", None),
        (Node("orders.shop.svc.cluster.local"), "web", _called("shop", "orders.shop.svc.cluster.local")),
        (Node("api.eu.example.com"), "web", None),
        (Node("mesh/orders_shop", type="AWS::AppMesh::Proxy"), "web", _workload("shop", "orders")),
        (Node("orders_shop", type="AWS::AppMesh::Proxy"), "web", _workload("shop", "orders")),
        (Node("mesh/orders_shop", type="AWS::EKS::Container"), "web", _workload("shop", "orders")),
        (Node("mesh/orders", type="AWS::AppMesh::Proxy"), "shop", _workload("shop", "orders")),
        (Node("mesh/orders", type="AWS::AppMesh::Proxy"), "", None),
        (Node("backend_flask"), "shop", None),
        (Node("Scorekeep"), "shop", None),
        (Node(""), "shop", None),
    ],
    ids=lambda value: f"{value.name} {value.type}".strip() if isinstance(value, Node) else None,
)
def test_a_service_is_the_object_its_name_says(node: Node, namespace: str, resource: ResourceRef | None) -> None:
    assert _services(namespace).resource(node) == resource


@pytest.mark.parametrize(
    ("node", "peer"),
    [
        (None, UNKNOWN),
        (Node("orders", type="client"), UNKNOWN),
        (Node("Checkout API", type="client"), UNKNOWN),
        (Node(""), UNKNOWN),
        (Node("Checkout API", type="remote"), _CHECKOUT),
        (Node("orders"), host("orders")),
        (Node("orders", type="remote"), _called("web", "orders")),
        (Node("orders.shop.svc.cluster.local", type="remote"), _called("web", "orders.shop.svc.cluster.local")),
        (Node("api.eu.example.com", type="remote"), host("api.eu.example.com")),
        (Node("10.0.3.4:8080", type="remote"), host("10.0.3.4:8080")),
        (Node("orders-table", type="AWS::DynamoDB::Table"), host("orders-table")),
        (Node("orders@db", type="Database::SQL"), host("orders@db")),
        (Node("resize", type="AWS::Lambda::Function"), host("resize")),
    ],
    ids=lambda value: f"{value.name} {value.type}".strip() if isinstance(value, Node) else None,
)
def test_a_peer_is_an_object_or_a_host_or_unknown(node: Node | None, peer: ResourceRef) -> None:
    assert _services().peer(node, _FRONT) == peer


def test_what_an_unnamed_caller_calls_is_a_host() -> None:
    assert _services().peer(Node("orders", type="remote")) == host("orders")


@pytest.mark.parametrize(
    ("type_", "recorded", "nameless"),
    [
        ("", True, True),
        ("AWS::EKS::Container", True, True),
        ("AWS::AppMesh::Proxy", True, True),
        ("AWS::ECS::Fargate", True, False),
        ("remote", False, False),
        ("client", False, False),
        ("AWS::DynamoDB::Table", False, False),
        ("AWS::SNS", False, False),
    ],
)
def test_only_what_records_has_a_view_of_its_own_and_only_what_may_be_in_the_cluster_lacks_a_name(
    type_: str, *, recorded: bool, nameless: bool
) -> None:
    node = Node("Nobody knows", type=type_)
    assert (_services().records(node), _services().nameless(node)) == (recorded, nameless)
