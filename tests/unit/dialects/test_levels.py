"""What a dialect cannot name is named by its members, and only that: series that name it are added up where they are kept."""

from __future__ import annotations

from dataclasses import replace

import pytest

from backends.dialects import builtin_dialects, load_dialect, questions, refusal
from metrics_api import ANY_WORKLOAD, WORKLOAD_KINDS, Direction, ResourceRef, Sample, Side, TrafficQuery, Window
from tests.unit.dialects.holding import Held, Series, consult

MEMBERS = ("Pod", ANY_WORKLOAD)
ALL_WORKLOADS = (*WORKLOAD_KINDS, ANY_WORKLOAD)
TOTAL = TrafficQuery(("Deployment",), Window(30), 0, namespace="shop", members=MEMBERS)
EDGES = replace(TOTAL, edges=True, peer_members=("Pod",))
COUNTER, TOOK = "response_total", "response_latency_ms"


def said(direction: str, success: float, **labels: str) -> Series:
    """What a Linkerd proxy counts; the pods of ``labels`` are in namespace "shop"."""
    spaces = {"namespace": "shop"} | ({"dst_namespace": "shop"} if direction == "outbound" else {})
    return {"direction": direction, "tls": "true", "classification": "success", **spaces, **labels}, success


def linkerd(query: TrafficQuery, *series: Series) -> dict[tuple[ResourceRef, ResourceRef, Direction], Sample]:
    """The samples by what they are about."""
    samples = consult(load_dialect("linkerd"), query, {COUNTER: list(series), TOOK: list(series)}).samples
    assert len({sample.about for sample in samples}) == len(samples)
    return {(sample.resource, sample.peer, sample.direction): sample for sample in samples}


def received(query: TrafficQuery, *series: Series) -> dict[str, float | None]:
    return {f"{resource.kind} {resource.name}": sample.success for (resource, _, _), sample in linkerd(query, *series).items()}


def test_series_without_the_label_of_any_workload_are_named_by_their_pods():
    named = said("inbound", 5.0, deployment="web", pod="web-1-a")
    nameless = [said("inbound", 2.0, pod="canary-1-a"), said("inbound", 3.0, pod="canary-1-b")]
    query = replace(TOTAL, kinds=ALL_WORKLOADS)
    assert received(query, named, *nameless) == {"Deployment web": 5.0, "Pod canary-1-a": 2.0, "Pod canary-1-b": 3.0}


def test_what_has_the_label_of_another_workload_is_no_member_of_this_kind():
    query = replace(TOTAL, kinds=ALL_WORKLOADS)
    assert received(query, said("inbound", 5.0, statefulset="db", pod="db-0")) == {"StatefulSet db": 5.0}


def test_latencies_of_pods_are_read_only_where_there_are_such_pods():
    consultation = consult(load_dialect("linkerd"), TOTAL, {})
    assert consultation.samples == ()
    (sample,) = linkerd(TOTAL, said("inbound", 2.0, pod="canary-1-a")).values()
    assert sample.latency is not None


def test_a_pod_that_only_callers_saw_is_told_by_them():
    samples = linkerd(TOTAL, said("outbound", 4.0, deployment="web", pod="web-1-a", dst_pod="canary-1-a"))
    assert [(key[0].name, sample.side) for key, sample in samples.items()] == [("canary-1-a", Side.CLIENT)]


def test_a_peer_without_the_label_of_any_workload_is_its_pod():
    web = {"deployment": "web", "pod": "web-1-a"}
    series = [
        said("outbound", 4.0, **web, dst_deployment="api", dst_pod="api-1-a", dst_service="api"),
        said("outbound", 3.0, **web, dst_pod="canary-1-a", dst_service="api"),
        said("outbound", 2.0, **web, dst_service="api"),
        said("outbound", 1.0, **web, dst_namespace="", authority="example.com"),
    ]
    samples = linkerd(replace(EDGES, direction=Direction.TO), *series)
    assert {f"{peer.kind} {peer.name}": sample.success for (_, peer, _), sample in samples.items()} == {
        "Deployment api": 4.0,
        "Pod canary-1-a": 3.0,
        "Service api": 2.0,
        " example.com": 1.0,
    }


def hubble(query: TrafficQuery) -> set[tuple[str, str]]:
    """The peers, by kind and name, of a pod of whose requests Cilium tells, from each side, the pods of both ends and no more."""
    ends = {"source_namespace": "shop", "source_pod": "web-1-a", "destination_namespace": "shop", "destination_pod": "api-1-a"}
    series = [({**ends, "status": "200", "reporter": side}, 4.0) for side in ("client", "server")]
    samples = consult(load_dialect("cilium"), query, {"hubble_http_requests_total": series}).samples
    return {(sample.peer.kind, sample.peer.name) for sample in samples}


def test_a_peer_is_its_pod_also_where_a_pattern_could_tell_its_workload():
    assert hubble(replace(EDGES, kinds=("Pod",), members=(), direction=Direction.TO)) == {("Pod", "api-1-a")}
    assert hubble(replace(EDGES, direction=Direction.TO)) == {("Pod", "api-1-a")}


@pytest.mark.parametrize("direction", Direction)
def test_a_peer_that_has_no_node_in_one_view_and_is_a_pod_in_another_is_not_unknown_as_well(direction: Direction):
    peer = "api-1-a" if direction is Direction.TO else "web-1-a"
    assert hubble(replace(EDGES, direction=direction, peer_kind="Node")) == {("Pod", peer)}


def hubble_received(query: TrafficQuery) -> dict[str, float | None]:
    """What Cilium tells of pods whose workloads it has for a Deployment, a CronJob and a custom kind, and of one that has none."""
    kinds = {"web": "Deployment", "tick": "CronJob", "solo": "Rollout", "": ""}
    series = [
        (
            {
                "destination_namespace": "shop",
                "destination_pod": f"{name}-1-a",
                "destination_workload": name,
                "destination_workload_kind": kind,
                "status": "200",
                "reporter": "server",
            },
            float(at),
        )
        for at, (name, kind) in enumerate(kinds.items(), 1)
    ]
    samples = consult(load_dialect("cilium"), query, {"hubble_http_requests_total": series}).samples
    return {f"{sample.resource.kind} {sample.resource.name}": sample.success for sample in samples}


def test_what_is_named_for_a_kind_that_is_not_asked_for_is_named_by_its_pods():
    pods = {"Pod tick-1-a": 2.0, "Pod solo-1-a": 3.0, "Pod -1-a": 4.0}
    assert hubble_received(replace(TOTAL, kinds=ALL_WORKLOADS)) == {"Deployment web": 1.0, **pods}
    assert hubble_received(replace(TOTAL, kinds=("Job",))) == pods


def test_the_replica_sets_of_deployments_are_told_by_pods_where_no_label_names_them():
    assert hubble_received(replace(TOTAL, kinds=("ReplicaSet",)))["Pod web-1-a"] == 1.0
    assert received(replace(TOTAL, kinds=("ReplicaSet",)), said("inbound", 5.0, deployment="web", pod="web-1-a")) == {}


def test_a_caller_without_the_label_of_any_workload_is_its_pod():
    series = [
        said("outbound", 4.0, deployment="web", pod="web-1-a", dst_deployment="api", dst_pod="api-1-a"),
        said("outbound", 3.0, pod="bare", dst_deployment="api", dst_pod="api-1-a"),
    ]
    samples = linkerd(replace(EDGES, name="api", direction=Direction.FROM), *series)
    assert {f"{peer.kind} {peer.name}": sample.success for (_, peer, _), sample in samples.items()} == {
        "Deployment web": 4.0,
        "Pod bare": 3.0,
    }


def test_pods_that_are_named_are_not_told_again_where_both_ends_have_nameless_ones():
    web, canary = {"deployment": "web", "pod": "web-1-a"}, {"pod": "canary-1-a"}
    series = [
        said("outbound", 5.0, **web, dst_pod="bare"),
        said("outbound", 4.0, **web, dst_deployment="api", dst_pod="api-1-a"),
        said("outbound", 3.0, **canary, dst_pod="bare"),
        said("outbound", 2.0, **canary, dst_deployment="api", dst_pod="api-1-a"),
    ]
    samples = linkerd(replace(EDGES, kinds=ALL_WORKLOADS, direction=Direction.TO), *series)
    assert {(resource.name, peer.name): sample.success for (resource, peer, _), sample in samples.items()} == {
        ("web", "bare"): 5.0,
        ("web", "api"): 4.0,
        ("canary-1-a", "bare"): 3.0,
        ("canary-1-a", "api"): 2.0,
    }


def test_the_pods_of_another_workload_are_not_read():
    named = said("inbound", 5.0, statefulset="db", pod="db-0")
    consultation = consult(load_dialect("linkerd"), TOTAL, {COUNTER: [named], TOOK: [named]})
    assert consultation.samples == ()


def test_where_every_peer_has_a_name_pods_are_not_asked_for():
    dialect = load_dialect("linkerd")
    web = said("outbound", 4.0, deployment="web", pod="web-1-a", dst_deployment="api", dst_pod="api-1-a")
    query = replace(EDGES, direction=Direction.TO)
    held: Held = {COUNTER: [web], TOOK: [web]}
    asked = consult(dialect, query, held)
    assert [sample.peer for sample in asked.samples] == [ResourceRef("Deployment", "shop", "api")]
    assert all("dst_pod" not in read.by for part in asked.parts for read in part.reads)


@pytest.mark.parametrize("kind", ["ReplicaSet", "Job"])
def test_a_bare_name_is_that_of_the_owner_and_not_of_what_it_owns(kind: str):
    """Istio calls the pods of a ReplicaSet by its Deployment, and those of a Job by its CronJob."""
    asked = questions(load_dialect("istio"), replace(TOTAL, kinds=(kind,)))
    assert [query.kinds for query in asked] == [("Pod",)]


def test_a_bare_name_is_that_of_a_cronjob():
    query = replace(TOTAL, kinds=("CronJob",))
    assert [asked.kinds for asked in questions(load_dialect("istio"), query)] == [(*WORKLOAD_KINDS, ANY_WORKLOAD)]
    assert [asked.kinds for asked in questions(load_dialect("linkerd"), query)] == [("Pod",)]


def test_what_is_named_by_the_store_is_added_up_by_the_store():
    own, rest = questions(load_dialect("istio"), TOTAL)
    assert own == replace(TOTAL, members=())
    assert (rest.kinds, rest.apart_from) == (("Pod",), ("Deployment", "StatefulSet", "DaemonSet", "Job"))


def test_a_namespace_is_asked_for_its_members_only_if_it_is_never_named():
    query = TrafficQuery(("Namespace",), Window(30), 0, name="shop", members=("Service", "Pod"))
    assert questions(load_dialect("linkerd"), query) == (replace(query, members=()),)
    (members,) = questions(load_dialect("traefik-mesh"), query)
    assert (members.kinds, members.namespace, members.name) == (("Service",), "shop", "")


def test_a_half_of_edges_that_cannot_be_told_is_told_by_members():
    query = replace(EDGES, kinds=("Service",), name="api")
    asked = questions(load_dialect("linkerd"), query)
    assert {(query.kinds, query.direction) for query in asked} == {(("Service",), Direction.FROM), (("Pod",), Direction.TO)}


@pytest.mark.parametrize("kind", ["CronJob", "Rollout", "Node", "Service"])
@pytest.mark.parametrize("dialect", builtin_dialects())
def test_kinds_that_no_series_name_are_answered_wherever_pods_or_workloads_are(dialect: str, kind: str):
    without = TrafficQuery((kind,), Window(30), 0)
    members = replace(without, members=MEMBERS)
    told = refusal(load_dialect(dialect), replace(without, kinds=("Pod",))) is None
    if told:
        assert refusal(load_dialect(dialect), members) is None
    elif dialect != "traefik-mesh":
        pytest.fail("all dialects but that of services alone name pods")


def test_narrowing_is_by_names_and_by_their_beginnings():
    query = replace(TOTAL, kinds=("CronJob",), name="report", narrowing=("report-1-", "old.pod"))
    series = [said("inbound", 1.0, pod=name) for name in ("report-1-abcde", "old.pod", "oldxpod", "report-2-abcde")]
    assert received(query, *series) == {"Pod report-1-abcde": 1.0, "Pod old.pod": 1.0}


def test_without_members_everything_is_as_it_was():
    query = replace(TOTAL, members=())
    assert questions(load_dialect("linkerd"), query) == (query,)
    assert questions(load_dialect("linkerd"), replace(query, kinds=("CronJob",))) == ()


@pytest.mark.parametrize("reporters", [("source",), ("source", "destination")], ids="-".join)
@pytest.mark.parametrize("direction", [None, *Direction])
@pytest.mark.parametrize(
    ("kind", "level"),
    [("Deployment", ""), ("Deployment", "Service"), ("Deployment", "Namespace"), ("Namespace", ""), ("Service", "")],
)
def test_a_peer_that_one_view_names_is_not_counted_by_its_pod_as_well(
    kind: str, level: str, direction: Direction | None, reporters: tuple[str, ...]
):
    ends = {"source_workload": "web", "destination_workload": "api", "destination_service": "api.shop.svc.cluster.local"}
    spaces = {"source_workload_namespace": "shop", "destination_workload_namespace": "shop", "namespace": "shop"}
    series = [({**ends, **spaces, "reporter": reporter, "pod": reporter, "response_code": "200"}, 5.0) for reporter in reporters]
    query = replace(EDGES, kinds=(kind,), namespace="", peer_kind=level, direction=direction)
    samples = consult(load_dialect("istio"), query, {"istio_requests_total": series}).samples
    assert {sample.success for sample in samples} == {5.0}
    assert len({sample.direction for sample in samples}) == len(samples)


@pytest.mark.parametrize("side", [None, *Side])
def test_callees_that_a_namespace_names_and_those_that_only_a_service_does_are_told_together(side: Side | None):
    ends = {"source_workload": "web", "source_workload_namespace": "shop", "response_code": "200"}
    dead = {**ends, "destination_service": "dead.shop.svc.cluster.local"}
    api = {**ends, "destination_workload": "api", "destination_workload_namespace": "shop"}
    series = [({**callee, "reporter": reporter}, 5.0) for callee in (dead, api) for reporter in ("source", "destination")]
    query = replace(EDGES, kinds=("Namespace",), namespace="", direction=Direction.TO, side=side, peer_members=("Service", "Pod"))
    samples = consult(load_dialect("istio"), query, {"istio_requests_total": series}).samples
    peers = {ResourceRef("Service", "shop", "dead"): 5.0, ResourceRef("Namespace", "", "shop"): 5.0}
    assert {sample.peer: sample.success for sample in samples} == peers


def test_pods_without_the_label_of_any_workload_that_had_connections_alone_are_told_of():
    held = {"tcp_open_total": [({"direction": "inbound", "peer": "src", "namespace": "shop", "pod": "db-0"}, 5.0)]}
    (sample,) = consult(load_dialect("linkerd"), replace(TOTAL, kinds=ALL_WORKLOADS), held).samples
    assert (sample.resource, sample.counted) == (ResourceRef("Pod", "shop", "db-0"), False)


def test_pods_tell_the_replicaset_where_a_bare_name_is_that_of_its_owner():
    labels = {"namespace": "shop", "pod": "web-5d4f-x", "workload": "web", "envoy_cluster_name": "local_app"}
    held = {"envoy_cluster_upstream_rq_xx": [({**labels, "envoy_response_code_class": "2"}, 5.0)]}
    (sample,) = consult(load_dialect("envoy"), replace(TOTAL, kinds=("ReplicaSet",)), held).samples
    assert (sample.resource, sample.success) == (ResourceRef("Pod", "shop", "web-5d4f-x"), 5.0)


@pytest.mark.parametrize("kind", ["Node", "Namespace"])
def test_pods_that_different_views_tell_of_are_added_even_where_no_label_tells_their_workload(kind: str):
    here = {"namespace": "shop", "node": "n1", "envoy_response_code_class": "2"}
    held = {
        "envoy_http_downstream_rq_xx": [({**here, "pod": "gate-1", "envoy_http_conn_manager_prefix": "ingress_http"}, 7.0)],
        "envoy_cluster_upstream_rq_xx": [({**here, "pod": "web-1", "envoy_cluster_name": "local_app"}, 5.0)],
    }
    (sample,) = consult(load_dialect("envoy"), TrafficQuery((kind,), Window(30), 0), held).samples
    assert sample.success == 12.0
