"""From questions to reads: what each dialect reads for a few questions, word for word, and what it refuses."""

from __future__ import annotations

from dataclasses import replace

import pytest

from backends.dialects import Read, load_dialect, omissions, parse_dialect, plan, refusal
from metrics_api import WORKLOAD_KINDS, Direction, Side, TrafficQuery, Window

TOTAL = TrafficQuery(("Deployment",), Window(30), 0, namespace="shop", name="web")
EDGES = replace(TOTAL, edges=True)


def written(read: Read) -> str:
    """A read in one line."""
    matchers = ",".join(f"{matcher.label}{matcher.comparison.value}{matcher.value!r}" for matcher in read.matchers)
    return f"{read.reading.value} {'+'.join(read.metrics)}{{{matchers}}} by {','.join(read.by)}"


def stages(dialect: str, query: TrafficQuery) -> list[list[str]]:
    """For each stage, each part: who observes and in which direction, then its reads."""
    found: list[list[str]] = []
    for stage in plan(load_dialect(dialect), query):
        lines: list[str] = []
        for part in stage:
            lines.append(
                f"{part.view.name}, {part.direction.value}: {'/'.join(dict.fromkeys(side.value for _, side, _ in part.sides))}"
            )
            lines += [written(read) for read in part.reads]
        found.append(lines)
    return found


LINKERD_INBOUND = "direction='inbound',route_name!='probe',target_port!='4191'"
LINKERD_KINDS = ("deployment", "statefulset", "daemonset", "k8s_job", "replicaset", "replicationcontroller")
LINKERD_OWN = ",".join(["namespace", *LINKERD_KINDS])
LINKERD_DST = ",".join(["dst_namespace", *(f"dst_{kind}" for kind in LINKERD_KINDS), "dst_service", "authority"])
ENVOY_ITSELF = r"local_app|local_service|inbound\\|.*|xds[^.]*|[^.]*admin[^.]*|prometheus[^.]*|BlackHoleCluster|sds[^.]*|agent"
ENVOY_OF_OTHERS = r"localhost_[0-9]+|self_inbound_dp_.*|cds_(in|e)gress_.*"
ENVOY_OWN_CLUSTERS = f"envoy_cluster_name!~'{ENVOY_ITSELF}',envoy_cluster_name!~'{ENVOY_OF_OTHERS}'"
GRPC = "envoy_cluster_grpc_2+envoy_cluster_grpc_4+envoy_cluster_grpc_7+envoy_cluster_grpc_13+envoy_cluster_grpc_15"


def test_linkerds_total():
    called = "{direction='outbound',dst_namespace='shop',dst_deployment='web'} by dst_namespace,dst_deployment"
    tcp_in = "{direction='inbound',peer='src',target_port!='4191',namespace='shop',deployment='web'}"
    tcp_out = "{direction='outbound',peer='dst',dst_namespace='shop',dst_deployment='web'}"
    assert stages("linkerd", TOTAL) == [
        [
            "inbound, from: server",
            f"counter response_total{{{LINKERD_INBOUND},namespace='shop',deployment='web'}} by namespace,deployment,classification",
            f"histogram response_latency_ms{{{LINKERD_INBOUND},namespace='shop',deployment='web'}} by namespace,deployment",
            "outbound, from: client",
            f"counter response_total{called},classification",
            "inbound connections, from: server",
            f"counter tcp_open_total+tcp_read_bytes_total{tcp_in} by namespace,deployment",
            "outbound connections, from: client",
            f"counter tcp_open_total+tcp_read_bytes_total{tcp_out} by dst_namespace,dst_deployment",
        ],
    ]


def test_linkerds_edges():
    unmeshed = f"{LINKERD_INBOUND},tls='no_identity',namespace='shop',deployment='web'"
    callees, callers = "namespace,deployment," + LINKERD_DST, "dst_namespace,dst_deployment," + LINKERD_OWN
    tcp = "counter tcp_open_total+tcp_read_bytes_total{direction='outbound',peer='dst'"
    assert stages("linkerd", EDGES) == [
        [
            "outbound, to: client",
            f"counter response_total{{direction='outbound',namespace='shop',deployment='web'}} by {callees},classification",
            f"histogram response_latency_ms{{direction='outbound',namespace='shop',deployment='web'}} by {callees}",
            "outbound connections, to: client",
            f"{tcp},namespace='shop',deployment='web'}} by {callees}",
            "outbound, from: client",
            f"counter response_total{{direction='outbound',dst_namespace='shop',dst_deployment='web'}} by {callers},classification",
            f"histogram response_latency_ms{{direction='outbound',dst_namespace='shop',dst_deployment='web'}} by {callers}",
            "unmeshed, from: server",
            f"counter response_total{{{unmeshed}}} by namespace,deployment,classification",
            f"histogram response_latency_ms{{{unmeshed}}} by namespace,deployment",
            "outbound connections, from: client",
            f"{tcp},dst_namespace='shop',dst_deployment='web'}} by {callers}",
        ]
    ]


def test_istios_total():
    callee, by = (
        "destination_workload_namespace='shop',destination_workload='web'",
        "destination_workload_namespace,destination_workload,reporter",
    )
    read = f"{{{callee},reporter=~'destination|waypoint'}}"
    called = f"{{{callee},reporter='source'}}"
    tcp = "istio_tcp_connections_opened_total+istio_tcp_received_bytes_total"
    assert stages("istio", TOTAL) == [
        [
            "requests, from: server",
            f"counter istio_requests_total{read} by {by},grpc_response_status,response_code",
            f"histogram istio_request_duration_milliseconds{read} by {by}",
            "requests, from: client",
            f"counter istio_requests_total{called} by {by},grpc_response_status,response_code",
            "connections, from: server/client",
            f"counter {tcp}{{{callee},reporter=~'destination|source'}} by {by}",
        ],
    ]


def test_istios_callers_are_seen_by_whoever_saw_them():
    (lines,) = stages("istio", replace(EDGES, direction=Direction.FROM))
    callee = "destination_workload_namespace='shop',destination_workload='web'"
    read = f"{{{callee},reporter=~'destination|waypoint|source'}} by destination_workload_namespace,destination_workload"
    tcp = f"counter istio_tcp_connections_opened_total+istio_tcp_received_bytes_total{{{callee},reporter=~'destination|source'}}"
    assert lines == [
        "requests, from: server/client",
        f"counter istio_requests_total{read},source_workload_namespace,source_workload,reporter,grpc_response_status,response_code",
        f"histogram istio_request_duration_milliseconds{read},source_workload_namespace,source_workload,reporter",
        "connections, from: server/client",
        f"{tcp} by destination_workload_namespace,destination_workload,source_workload_namespace,source_workload,reporter",
    ]


def test_envoys_callers_of_a_workload():
    (lines,) = stages("envoy", replace(EDGES, direction=Direction.FROM))
    matchers = f"{{{ENVOY_OWN_CLUSTERS},envoy_cluster_name=~'.*web.*',envoy_cluster_name=~'.*shop.*'}}"
    by = "envoy_cluster_name,namespace,deployment,statefulset,daemonset,job_name,replicaset,replicationcontroller,workload"
    assert lines == [
        "proxy to another workload, from: client",
        f"counter envoy_cluster_upstream_rq_xx{matchers} by {by},envoy_response_code_class",
        f"histogram envoy_cluster_upstream_rq_time{matchers} by {by}",
        f"counter {GRPC}{matchers} by {by}",
        f"counter envoy_cluster_grpc_14{matchers} by {by}",
    ]


def test_consuls_callees_of_a_workload():
    (lines,) = stages("consul", replace(EDGES, direction=Direction.TO))
    assert lines[0] == "proxy to another service, to: client"
    assert lines[1] == (
        "counter envoy_cluster_upstream_rq_xx{consul_destination_service!='',"
        "envoy_cluster_name!~'local_app|self_admin|local_agent|prometheus_backend|.*_http2_default',namespace='shop'} by "
        "namespace,deployment,workload,consul_destination_namespace,consul_destination_service,envoy_response_code_class"
    )
    assert len(lines) == 5


@pytest.mark.parametrize(("dialect", "detailed"), [("linkerd", False), ("istio", True), ("envoy", True), ("consul", True)])
def test_a_namespace_is_read_by_workload_where_observers_or_corrections_need_it(dialect: str, *, detailed: bool):
    (server, *_) = plan(load_dialect(dialect), TrafficQuery(("Namespace",), Window(30), 0, name="shop"))
    assert all(bool(part.within) is detailed for part in server)


@pytest.mark.parametrize("dialect", ["linkerd", "istio", "envoy", "consul"])
def test_a_workload_is_never_read_finer_than_it_is(dialect: str):
    for query in (TOTAL, EDGES, replace(TOTAL, kinds=WORKLOAD_KINDS), replace(TOTAL, kinds=("Pod",))):
        assert not [part for stage in plan(load_dialect(dialect), query) for part in stage if part.within]


def test_the_side_asked_for_is_the_only_one_read():
    for side in Side:
        for query in (replace(TOTAL, side=side), replace(EDGES, side=side)):
            for stage in plan(load_dialect("istio"), query):
                assert {seen for part in stage for _, seen, _ in part.sides} == {side}


def test_the_side_nearer_to_the_question_is_trusted_more():
    (parts,) = plan(load_dialect("istio"), EDGES)
    for part in parts:
        trust = {side: min(rank for _, seen, rank in part.sides if seen is side) for side in Side}
        near, far = (Side.CLIENT, Side.SERVER) if part.direction is Direction.TO else (Side.SERVER, Side.CLIENT)
        assert trust[near] < trust[far]


def test_a_view_of_some_callers_is_no_total():
    assert "unmeshed" not in {part.view.name for stage in plan(load_dialect("linkerd"), TOTAL) for part in stage}


def test_peers_of_another_level_are_found_where_a_view_names_them():
    (parts,) = plan(load_dialect("istio"), replace(EDGES, peer_kind="Pod"))
    assert [(part.view.name, part.direction) for part in parts] == [
        ("pods as callees", Direction.TO),
        ("pods as callers", Direction.FROM),
    ]


def test_no_series_is_read_twice_for_one_question():
    for name in ("linkerd", "istio", "envoy", "consul"):
        for query in (TOTAL, EDGES, replace(TOTAL, kinds=("Namespace",)), replace(EDGES, kinds=("Service",))):
            for stage in plan(load_dialect(name), query):
                reads = [
                    (part.direction, read.metrics, frozenset(read.matchers), part.peer) for part in stage for read in part.reads
                ]
                assert len(reads) == len(set(reads))


EVERYWHERE = TrafficQuery(WORKLOAD_KINDS, Window(30), 0, edges=True)


@pytest.mark.parametrize(("dialect", "reads"), [("linkerd", 5), ("istio", 3), ("envoy", 4), ("consul", 4)])
def test_callees_and_callers_of_a_whole_mesh_are_read_once(dialect: str, reads: int):
    (parts,) = plan(load_dialect(dialect), EVERYWHERE)
    assert len({read for part in parts for read in part.reads}) == reads


def test_a_read_that_is_shared_selects_what_any_of_its_parts_needs():
    (lines,) = stages("istio", EVERYWHERE)
    lines = [line for line in lines if "connections" not in line]
    ends = "source_workload_namespace,source_workload,destination_workload_namespace,destination_workload,destination_service"
    read = f"{{reporter=~'destination|waypoint|source'}} by {ends},reporter"
    reads = [
        f"counter istio_requests_total{read},grpc_response_status,response_code",
        f"histogram istio_request_duration_milliseconds{read}",
    ]
    assert lines == ["requests, to: server/client", *reads, "requests, from: server/client", *reads]


@pytest.mark.parametrize("dialect", ["linkerd", "istio", "envoy", "consul"])
@pytest.mark.parametrize("named", [{"name": "web"}, {"namespace": "shop"}], ids=lambda named: next(iter(named)))
def test_callees_and_callers_of_a_part_of_the_mesh_are_other_series(dialect: str, named: dict[str, str]):
    query = replace(EVERYWHERE, kinds=("Deployment",), **named)
    (both,) = plan(load_dialect(dialect), query)
    alone = [plan(load_dialect(dialect), replace(query, direction=way)) for way in (Direction.TO, Direction.FROM)]
    assert both == [part for stages in alone for stage in stages for part in stage]


def test_a_composed_name_counts_when_its_kind_is_asked_for_alone():
    linkerd = load_dialect("linkerd")
    alone = plan(linkerd, replace(TOTAL, kinds=("ReplicaSet",)))
    among = plan(linkerd, replace(TOTAL, kinds=WORKLOAD_KINDS))
    assert any(identity.composed for stage in alone for part in stage for identity in part.resource)
    assert not any(identity.composed for stage in among for part in stage for identity in part.resource)


@pytest.mark.parametrize(
    ("dialect", "query", "reason"),
    [
        ("linkerd", replace(TOTAL, kinds=("Node",)), "Linkerd's scrape jobs add no node label"),
        ("linkerd", replace(EDGES, kinds=("Node",)), "Linkerd's scrape jobs add no node label"),
        ("istio", replace(EDGES, kinds=("Service",), direction=Direction.TO), "traffic of Service with each callee"),
        ("istio", replace(EDGES, direction=Direction.FROM, peer_kind="Service"), "peers of Deployment as Service"),
        ("istio", replace(TOTAL, kinds=("Pod",), side=Side.CLIENT), "traffic of Pod at the client"),
        ("envoy", replace(EDGES, kinds=("Pod",), direction=Direction.FROM), "traffic of Pod with each caller"),
        ("consul", replace(EDGES, direction=Direction.FROM), "traffic of Deployment with each caller"),
        ("consul", replace(EDGES, side=Side.SERVER), "traffic of Deployment with each peer at the server"),
    ],
)
def test_what_a_dialect_cannot_tell_is_refused_with_the_reason(dialect: str, query: TrafficQuery, reason: str):
    loaded = load_dialect(dialect)
    assert plan(loaded, query) == []
    refused = refusal(loaded, query)
    assert refused is not None
    assert refused.startswith(f"dialect {dialect}")
    assert reason in refused


def test_callers_that_are_all_unknown_answer_no_question_about_peers():
    dialect = parse_dialect(
        """
        name: small
        views:
        - name: served
          side: server
          requests: requests_total
          outcome: [{success: {}}]
          latency: {metric: latency, unit: seconds}
          source: [{Host: {is: unknown}}]
          destination: [{Deployment: {namespace: ns, name: app}}]
        cannot: {edges: nobody says who called}
        """,
        "small.yaml",
    )
    assert refusal(dialect, EDGES) == "dialect small: nobody says who called"


def test_the_half_of_an_edge_answer_that_cannot_be_told_is_named():
    consul, linkerd = load_dialect("consul"), load_dialect("linkerd")
    both = TrafficQuery(kinds=("Deployment",), window=Window(30), instant=0, edges=True)
    (missing,) = omissions(consul, both)
    assert missing == "dialect consul has no series that tell traffic of Deployment with each caller"
    assert omissions(consul, replace(both, direction=Direction.TO)) == ()
    assert omissions(linkerd, both) == ()
