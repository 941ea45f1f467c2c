"""Callees that callers know by a host name: who they are is told elsewhere, and what is asked for is found by its Services' names."""

from __future__ import annotations

from dataclasses import replace

import pytest

from backends.dialects import Comparison, Dialect, interpret, parse_dialect, plan, refusal
from metrics_api import CALLED_HOST, Direction, ResourceRef, Sample, TrafficQuery, Window, called_service

DIALECT = parse_dialect(
    """
    name: called
    views:
    - name: kept by clients
      side: client
      requests: calls_total
      outcome: [{success: {}}]
      source: [Deployment: {namespace: ns, name: app}, Namespace: {name: ns}, Pod: {namespace: ns, name: pod}]
      destination: [CalledHost: {namespace: ns, name: host}, Host: {name: host}]
    """,
    "called.yaml",
)
FROM = TrafficQuery(("Deployment",), Window(60), 0, "shop", "orders", edges=True, direction=Direction.FROM)
TO = replace(FROM, namespace="shop", name="web", direction=Direction.TO)

HOSTS = (
    "orders",
    "orders.shop",
    "orders.shop.svc.cluster.local:8080",
    "orders.bank",
    "ordersdb",
    "cart",
    "api.example.com",
    "10.0.0.7",
)


def answers(query: TrafficQuery, dialect: Dialect = DIALECT) -> list[Sample]:
    """Web in shop called every host once."""
    (stage,) = plan(dialect, query)
    (part,) = stage
    kept = {"ns": "shop", "app": "web", "pod": "web-0"}
    series = [{**kept, "host": host} for host in HOSTS]
    read = part.requests
    chosen = [labels for labels in series if all(matcher.accepts(labels) for matcher in read.matchers)]
    return list(interpret(stage, query, {read: {tuple(labels[label] for label in read.by): 1.0 for labels in chosen}}, "test"))


def test_every_callee_of_a_caller_is_a_host_that_the_caller_called_from_its_namespace():
    assert {sample.peer for sample in answers(TO)} == {ResourceRef(CALLED_HOST, "shop", name) for name in HOSTS}


@pytest.mark.parametrize(
    ("services", "found"),
    [
        ((), HOSTS[:3]),
        (("orders",), HOSTS[:3]),
        (("cart", "orders"), (*HOSTS[:3], "cart")),
        (("nosuch",), ()),
    ],
    ids=["by its own name", "by its Service", "by several Services", "by none"],
)
def test_the_callers_of_a_workload_are_those_of_its_services(services: tuple[str, ...], found: tuple[str, ...]):
    samples = answers(replace(FROM, services=services))
    assert {sample.resource for sample in samples} == {ResourceRef(CALLED_HOST, "shop", name) for name in found}
    assert {sample.peer for sample in samples} <= {ResourceRef("Deployment", "shop", "web")}


@pytest.mark.parametrize("kind", ["Namespace", "Service", "Deployment"])
def test_of_everything_every_host_that_could_be_a_service_is_there(kind: str):
    """An address and a name that only looks like one are left to whoever knows the Services."""
    samples = answers(replace(FROM, kinds=(kind,), namespace="", name=""))
    could = {name for name in HOSTS if called_service(ResourceRef(CALLED_HOST, "shop", name)) is not None}
    assert {sample.resource.name for sample in samples} == could
    assert {"10.0.0.7", "api.example.com"}.isdisjoint(could)


def test_of_a_namespace_it_is_the_hosts_in_it():
    samples = answers(replace(FROM, kinds=("Namespace",), namespace="", name="bank"))
    assert [sample.resource.name for sample in samples] == ["orders.bank"]


def test_only_hosts_with_the_names_asked_for_are_read():
    (stage,) = plan(DIALECT, replace(FROM, services=("orders", "or.ders")))
    (matcher,) = stage[0].requests.matchers
    assert (matcher.label, matcher.comparison) == ("host", Comparison.MATCHES)
    assert matcher.accepts({"host": "orders.shop:80"})
    assert not matcher.accepts({"host": "orxders"})
    assert not matcher.accepts({"host": "ordersdb"})


@pytest.mark.parametrize("kind", ["Pod", "Node"])
def test_a_host_is_no_pod_and_no_node(kind: str):
    assert refusal(DIALECT, replace(FROM, kinds=(kind,))) is not None


def test_totals_are_not_told_by_hosts():
    assert refusal(DIALECT, replace(FROM, edges=False, direction=None)) is not None


def test_a_peer_that_is_asked_for_may_be_any_host_and_no_other_caller():
    asked = replace(TO, peer=ResourceRef("Deployment", "shop", "orders"))
    assert {sample.peer.name for sample in answers(asked)} == set(HOSTS)
    asked = replace(FROM, peer=ResourceRef("Deployment", "shop", "other"))
    assert answers(asked) == []


def test_without_the_namespace_of_the_caller_a_host_is_just_a_host():
    (stage,) = plan(DIALECT, replace(TO, namespace="", name=""))
    (part,) = stage
    row = tuple({"ns": "", "app": "web", "host": "orders"}.get(label, "") for label in part.requests.by)
    assert interpret(stage, replace(TO, namespace="", name=""), {part.requests: {row: 1.0}}, "test") == ()
    reader = part.peer[1].reader(part.requests.by)
    assert reader(row) == ResourceRef("", "", "orders")
