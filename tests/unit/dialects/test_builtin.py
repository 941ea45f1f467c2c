"""The dialects that come with the project: complete, consistent, and honest about what they cannot tell."""

from __future__ import annotations

import pytest

from backends.dialects import Dialect, Outcome, builtin_dialects, load_dialect, plan, refusal
from metrics_api import RESOURCE_TYPES, SPLIT_KINDS, Direction, Side, TrafficQuery, Window

KINDS = {row.kind for row in RESOURCE_TYPES} - {"CronJob", *SPLIT_KINDS}
WORKLOADS = {"Deployment", "StatefulSet", "DaemonSet", "Job", "ReplicaSet", "ReplicationController"}


MESHES = ("consul", "envoy", "istio", "linkerd")
"""Those whose answers are listed here; what the others answer is listed with the facts about them, in the tests of the truth."""


@pytest.fixture(params=MESHES)
def dialect(request: pytest.FixtureRequest) -> Dialect:
    return load_dialect(request.param)


def answered(dialect: Dialect, **fields: object) -> set[str]:
    """The kinds a dialect can answer such a question about."""
    questions = {kind: TrafficQuery((kind,), Window(30), 0, **fields) for kind in KINDS}  # type: ignore[arg-type] # fields of a query
    return {kind for kind, query in questions.items() if refusal(dialect, query) is None}


def test_the_dialects_are_these():
    assert builtin_dialects() == [
        *("appmesh", "cilium", "consul", "envoy", "gloo", "istio", "kuma", "linkerd", "linkerd-policy", "nginx", "osm"),
        *("otel-servicegraph", "otel-spanmetrics", "traefik-mesh"),
    ]


@pytest.mark.parametrize("name", builtin_dialects())
def test_a_dialect_has_the_name_of_its_file_and_says_what_it_is(name: str):
    dialect = load_dialect(name)
    assert dialect.name == name
    assert len(dialect.description) > 80
    assert dialect.signs
    assert dialect.limits


@pytest.mark.parametrize("name", builtin_dialects())
def test_a_kind_that_a_dialect_cannot_answer_has_a_reason_of_its_own(name: str):
    dialect = load_dialect(name)
    assert KINDS - answered(dialect) <= dialect.reasons.keys()
    assert not dialect.reasons.keys() & answered(dialect)


@pytest.mark.parametrize("name", builtin_dialects())
def test_a_dialect_tells_where_labels_come_from_only_of_those_it_reads(name: str):
    dialect = load_dialect(name)
    read = {label for view in dialect.views for identity in (*view.source, *view.destination) for label in identity.labels}
    read |= {label for view in dialect.views for label in (*view.outcome_labels, *(matcher.label for matcher in view.match))}
    assert dialect.origins.keys() <= read


TOTALS = {
    "linkerd": KINDS - {"Node"},
    "istio": KINDS,
    "envoy": KINDS,
    "consul": KINDS,
}
CALLEES = {
    "linkerd": KINDS - {"Node", "Service"},
    "istio": KINDS - {"Service"},
    "envoy": KINDS - {"Service"},
    "consul": KINDS,
}
CALLERS = {
    "linkerd": KINDS - {"Node"},
    "istio": KINDS,
    "envoy": KINDS - {"Pod", "Node"},
    "consul": {"Namespace", "Service"},
}


def test_every_kind_is_answered_that_should_be(dialect: Dialect):
    assert answered(dialect) == TOTALS[dialect.name]
    assert answered(dialect, edges=True, direction=Direction.TO) == CALLEES[dialect.name]
    assert answered(dialect, edges=True, direction=Direction.FROM) == CALLERS[dialect.name]


def test_both_sides_are_seen(dialect: Dialect):
    assert {side for view in dialect.views for _, side in view.observer.sides} == {Side.CLIENT, Side.SERVER}


def test_latencies_are_in_milliseconds(dialect: Dialect):
    """All four meshes write them so, whatever their names say."""
    assert {item.unit for view in dialect.views for item in view.latencies} == {0.001}


ISTIO = ("response_code", "grpc_response_status")
ENVOY = ("envoy_response_code_class",)
LINKERD = ("classification",)
S, F, I = Outcome.SUCCESS, Outcome.FAILURE, Outcome.IGNORE  # noqa: E741 columns of a table


@pytest.mark.parametrize(
    ("name", "labels", "values", "outcome"),
    [
        *[("istio", ISTIO, (code, ""), S) for code in ("200", "201", "204", "301", "304", "400", "404", "429", "499")],
        *[("istio", ISTIO, (code, ""), F) for code in ("500", "503", "504", "599", "0")],
        *[("istio", ISTIO, ("200", status), F) for status in ("2", "4", "7", "13", "14", "15")],
        *[("istio", ISTIO, ("200", status), S) for status in ("0", "1", "3", "5", "6", "8", "9", "10", "11", "12", "16")],
        ("istio", ISTIO, ("503", "14"), F),
        ("istio", ISTIO, ("", ""), I),
        *[("envoy", ENVOY, (code,), S) for code in "234"],
        *[("envoy", ENVOY, (code,), outcome) for code, outcome in (("5", F), ("1", I), ("", I))],
        *[("consul", ENVOY, (code,), outcome) for code, outcome in (("2", S), ("4", S), ("5", F), ("1", I))],
        ("linkerd", LINKERD, ("success",), S),
        ("linkerd", LINKERD, ("failure",), F),
        ("linkerd", LINKERD, ("",), I),
    ],
)
def test_the_outcome_of_a_request_is_the_meshs_own(name: str, labels: tuple[str, ...], values: tuple[str, ...], outcome: Outcome):
    for view in (view for view in load_dialect(name).views if view.requests):
        assert view.classifier(labels)(values) is outcome


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("linkerd", {"direction": "inbound", "route_name": "probe", "target_port": "8080"}),
        ("linkerd", {"direction": "inbound", "route_name": "default", "target_port": "4191", "tls": "no_identity"}),
        ("envoy", {"envoy_cluster_name": "xds_cluster"}),
        ("envoy", {"envoy_cluster_name": "sds-grpc"}),
        ("envoy", {"envoy_cluster_name": "prometheus_stats"}),
        ("envoy", {"envoy_cluster_name": "admin"}),
        ("envoy", {"envoy_cluster_name": "BlackHoleCluster"}),
        ("envoy", {"envoy_http_conn_manager_prefix": "admin"}),
        ("consul", {"envoy_cluster_name": "self_admin"}),
        ("consul", {"envoy_cluster_name": "local_agent"}),
        ("consul", {"envoy_cluster_name": "prometheus_backend"}),
        ("consul", {"envoy_cluster_name": "exposed_cluster_8080"}),
        ("consul", {"envoy_cluster_name": "x_http2_default", "consul_destination_service": "x"}),
    ],
)
def test_what_is_no_traffic_is_left_out(name: str, labels: dict[str, str]):
    metric = {"envoy_cluster_name": "envoy_cluster", "envoy_http_conn_manager_prefix": "envoy_http"}.get(
        next(iter(labels)), "response"
    )
    for view in load_dialect(name).views:
        if any(name.startswith(metric) for name in view.requests):
            assert not all(matcher.accepts(labels) for matcher in view.match)


@pytest.mark.parametrize("cluster", ["admin.shop", "prometheus.monitoring", "sds.shop", "xds.shop", "payments.example.com", "web"])
def test_a_workload_named_like_a_part_of_envoy_is_traffic(cluster: str):
    (view,) = (view for view in load_dialect("envoy").views if view.source)
    assert all(matcher.accepts({"envoy_cluster_name": cluster}) for matcher in view.match)


@pytest.mark.parametrize(
    ("name", "labels", "host"),
    [
        ("istio", {"destination_service": "payments.example.com", "destination_service_namespace": "shop"}, "payments.example.com"),
        ("istio", {"destination_service": "10.2.3.4", "destination_service_name": "PassthroughCluster"}, "10.2.3.4"),
        ("envoy", {"envoy_cluster_name": "payments.example.com"}, "payments.example.com"),
        ("linkerd", {"authority": "payments.example.com"}, "payments.example.com"),
    ],
)
def test_a_host_outside_is_no_object(name: str, labels: dict[str, str], host: str):
    query = TrafficQuery(("Deployment",), Window(30), 0, edges=True, direction=Direction.TO)
    ((part, *_),) = plan(load_dialect(name), query)
    readers = [identity.reader(tuple(labels)) for identity in part.peer if set(identity.labels) <= labels.keys()]
    named = next(ref for read in readers if (ref := read(tuple(labels.values()))) is not None)
    assert (named.kind, named.name) == ("", host)
