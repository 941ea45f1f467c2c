"""How labels name objects: plain, by a template, by a pattern, or not at all."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.dialects import HOST, Comparison, Identity, Matcher
from backends.dialects.expression import expression
from metrics_api import JOINED_SERVICE, UNKNOWN, ResourceRef, partings

PLAIN = Identity("Deployment", "{app}", "{ns}", absent=frozenset({"", "unknown"}))
COMPOSED = Identity("ReplicaSet", "{deployment}-{hash}", "{ns}")
PATTERN = Identity(
    "Workload", "", "", "cluster", expression(r"(?P<name>[a-z-]+)\.(?P<namespace>[a-z-]+)"), frozenset({"", "unknown"})
)
BESIDE = Identity("Service", "", "{ns}", "cluster", expression(r"outbound_(?P<name>.+)"))
OPTIONAL = Identity("Service", "", "{ns}", "cluster", expression(r"(?P<name>[a-z]+)(?:\.(?P<namespace>[a-z]+))?"))
CONSTANT = Identity(HOST, "unknown")
HOSTED = Identity(HOST, "{authority}")
NAMESPACE = Identity("Namespace", "{ns}")
WHEN = Identity("StatefulSet", "{app}", "{ns}", when=(("kind", expression("StatefulSet|Sts")),))
SPELT = Identity("Deployment", "{app}", "{ns}", spelling=(("-", "_"),))
HOME = Identity("Workload", "{app}", "{ns}", absent=frozenset({"", "unknown"}), home="shop")
HOME_ALONE = Identity("Workload", "{app}", home="shop")
JOINED = Identity("Service", "", "", "service", expression(r"(?P<joined>[a-z0-9-]+)-[0-9]+(?:@.*)?"))


@pytest.mark.parametrize(
    ("identity", "labels", "named"),
    [
        (PLAIN, {"ns": "shop", "app": "web"}, ResourceRef("Deployment", "shop", "web")),
        (PLAIN, {"ns": "shop"}, None),
        (PLAIN, {"app": "web"}, None),
        (PLAIN, {"ns": "shop", "app": "unknown"}, None),
        (PLAIN, {"ns": "unknown", "app": "web"}, None),
        (COMPOSED, {"ns": "shop", "deployment": "web", "hash": "7d9f"}, ResourceRef("ReplicaSet", "shop", "web-7d9f")),
        (COMPOSED, {"ns": "shop", "deployment": "web"}, None),
        (COMPOSED, {"ns": "shop", "hash": "7d9f"}, None),
        (PATTERN, {"cluster": "api.shop"}, ResourceRef("Workload", "shop", "api")),
        (PATTERN, {"cluster": "api.shop.svc"}, None),
        (PATTERN, {"cluster": "api"}, None),
        (PATTERN, {"cluster": "unknown.shop"}, None),
        (PATTERN, {"cluster": "api.unknown"}, None),
        (PATTERN, {}, None),
        (BESIDE, {"cluster": "outbound_api", "ns": "shop"}, ResourceRef("Service", "shop", "api")),
        (BESIDE, {"cluster": "outbound_api"}, None),
        (OPTIONAL, {"cluster": "api", "ns": "shop"}, ResourceRef("Service", "shop", "api")),
        (OPTIONAL, {"cluster": "api.ledger", "ns": "shop"}, ResourceRef("Service", "ledger", "api")),
        (OPTIONAL, {"cluster": "api"}, None),
        (CONSTANT, {}, UNKNOWN),
        (HOSTED, {"authority": "pay.example.com"}, ResourceRef("", "", "pay.example.com")),
        (HOSTED, {}, None),
        (NAMESPACE, {"ns": "shop"}, ResourceRef("Namespace", "", "shop")),
        (WHEN, {"ns": "shop", "app": "db", "kind": "StatefulSet"}, ResourceRef("StatefulSet", "shop", "db")),
        (WHEN, {"ns": "shop", "app": "db", "kind": "StatefulSets"}, None),
        (WHEN, {"ns": "shop", "app": "db"}, None),
        (SPELT, {"ns": "my_shop", "app": "admin_portal"}, ResourceRef("Deployment", "my-shop", "admin-portal")),
        (HOME, {"app": "web"}, ResourceRef("Workload", "shop", "web")),
        (HOME, {"ns": "unknown", "app": "web"}, ResourceRef("Workload", "shop", "web")),
        (HOME, {"ns": "ledger", "app": "web"}, ResourceRef("Workload", "ledger", "web")),
        (HOME_ALONE, {"app": "web"}, ResourceRef("Workload", "shop", "web")),
        (JOINED, {"service": "shop-api-80@kubernetes"}, ResourceRef("Service", "shop", "api")),
        (JOINED, {"service": "shop-eu-api-80"}, ResourceRef("JoinedService", "", "shop-eu-api")),
        (JOINED, {"service": "shop-80"}, None),
    ],
)
def test_labels_name_an_object_or_none(identity: Identity, labels: Mapping[str, str], named: ResourceRef | None):
    by = ("other", *identity.labels)
    assert identity.reader(by)([labels.get(label, "") for label in by]) == named


@pytest.mark.parametrize(
    ("identity", "labels"),
    [
        (PLAIN, ("ns", "app")),
        (COMPOSED, ("ns", "deployment", "hash")),
        (PATTERN, ("cluster",)),
        (BESIDE, ("cluster", "ns")),
        (CONSTANT, ()),
        (NAMESPACE, ("ns",)),
    ],
)
def test_an_identity_tells_the_labels_it_reads(identity: Identity, labels: tuple[str, ...]):
    assert identity.labels == labels


@pytest.mark.parametrize(
    ("identity", "kinds", "others"),
    [
        (PLAIN, ["Deployment"], ["StatefulSet", "Pod", "Workload"]),
        (PATTERN, ["Deployment", "StatefulSet", "Job", "ReplicaSet", "Workload"], ["Pod", "Service", "Namespace"]),
    ],
)
def test_a_bare_workload_name_may_be_of_any_workload_kind(identity: Identity, kinds: list[str], others: list[str]):
    assert all(identity.names(kind) for kind in kinds)
    assert not any(identity.names(kind) for kind in others)


def _m(label: str, comparison: str, value: str) -> Matcher:
    return Matcher(label, Comparison(comparison), value)


@pytest.mark.parametrize(
    ("identity", "namespace", "name", "matchers"),
    [
        (PLAIN, "shop", "web", [_m("ns", "=", "shop"), _m("app", "=", "web")]),
        (PLAIN, "", "w.b", [_m("app", "=", "w.b")]),
        (PLAIN, "shop", "", [_m("ns", "=", "shop"), _m("app", "!=", "")]),
        (PLAIN, "", "", [_m("app", "!=", "")]),
        (COMPOSED, "shop", "web-7d9f", [_m("ns", "=", "shop"), _m("deployment", "!=", ""), _m("hash", "!=", "")]),
        (PATTERN, "shop", "a.b", [_m("cluster", "=~", r".*a\.b.*"), _m("cluster", "=~", ".*shop.*")]),
        (PATTERN, "", "", [_m("cluster", "!=", "")]),
        (BESIDE, "shop", "api", [_m("cluster", "=~", ".*api.*"), _m("ns", "=", "shop")]),
        (OPTIONAL, "shop", "api", [_m("cluster", "=~", ".*api.*")]),
        (NAMESPACE, "", "shop", [_m("ns", "=", "shop")]),
        (WHEN, "shop", "", [_m("kind", "=~", "StatefulSet|Sts"), _m("ns", "=", "shop"), _m("app", "!=", "")]),
        (SPELT, "my-shop", "admin-portal", [_m("ns", "=~", "my_shop|my-shop"), _m("app", "=~", "admin_portal|admin-portal")]),
        (HOME, "shop", "web", [_m("ns", "=~", "shop|unknown|"), _m("app", "=", "web")]),
        (HOME, "ledger", "web", [_m("ns", "=", "ledger"), _m("app", "=", "web")]),
        (JOINED, "shop", "api", [_m("service", "=~", ".*api.*"), _m("service", "=~", ".*shop.*")]),
    ],
)
def test_a_question_about_one_object_leaves_out_what_cannot_be_it(
    identity: Identity, namespace: str, name: str, matchers: list[Matcher]
):
    assert identity.narrow(namespace, name) == matchers


names = st.text(alphabet="ab.-|", min_size=1, max_size=4)


@given(namespace=names, name=names, cluster=st.text(alphabet="ab.-|", max_size=9))
def test_no_series_of_an_object_is_left_out(namespace: str, name: str, cluster: str):
    """Whatever a series names is let through by the matchers for just that object."""
    for identity, labels in (
        (PLAIN, {"ns": namespace, "app": name}),
        (COMPOSED, {"ns": namespace, "deployment": name, "hash": cluster}),
        (PATTERN, {"cluster": cluster}),
        (BESIDE, {"cluster": f"outbound_{cluster}", "ns": namespace}),
        (OPTIONAL, {"cluster": cluster, "ns": namespace}),
        (WHEN, {"ns": namespace, "app": name, "kind": "Sts"}),
        (SPELT, {"ns": namespace, "app": name}),
        (HOME, {"ns": cluster, "app": name}),
        (HOME, {"ns": "unknown", "app": name}),
    ):
        named = identity.reader(identity.labels)([labels[label] for label in identity.labels])
        if named is not None:
            assert all(matcher.accepts(labels) for matcher in identity.narrow(named.namespace, named.name))


@given(
    namespace=st.from_regex(r"[a-z0-9]([a-z0-9-]{0,5}[a-z0-9])?", fullmatch=True),
    name=st.from_regex(r"[a-z]([a-z0-9-]{0,5}[a-z0-9])?", fullmatch=True),
)
def test_a_service_is_among_those_its_joined_name_may_mean(namespace: str, name: str):
    labels = {"service": f"{namespace}-{name}-80"}
    named = JOINED.reader(("service",))([labels["service"]])
    assert named is not None
    meant = partings(named) if named.kind == JOINED_SERVICE else [named]
    assert ResourceRef("Service", namespace, name) in meant
    assert all(f"{ref.namespace}-{ref.name}" == f"{namespace}-{name}" for ref in meant)
    assert all(matcher.accepts(labels) for matcher in JOINED.narrow(namespace, name))


def test_a_pattern_is_matched_as_a_whole():
    assert PATTERN.pattern is not None
    assert re.fullmatch(PATTERN.pattern, "x.api.shop") is None
