"""Cilium's Hubble: what its options leave out is not answered wrongly, and its older metric not at all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from backends.dialects import load_dialect
from metrics_api import EVERYTHING, RESOURCE_TYPES, SPLIT_KINDS, UNKNOWN, Direction, ResourceRef, Sample, TrafficQuery, Window
from metrics_api.resources import host
from tests.unit.dialects.holding import consult

CILIUM = load_dialect("cilium")
REQUESTS, LATENCY = "hubble_http_requests_total", "hubble_http_request_duration_seconds"
TOTAL = TrafficQuery(("Deployment",), Window(30), 0)
EDGES = replace(TOTAL, edges=True)
FROM = replace(EDGES, direction=Direction.FROM)

WEB = {
    "destination_namespace": "shop",
    "destination_workload": "web",
    "destination_workload_kind": "Deployment",
    "destination_pod": "web-0",
}
API = {"source_namespace": "shop", "source_workload": "api", "source_workload_kind": "Deployment", "source_pod": "api-0"}
V2 = {"method": "GET", "protocol": "HTTP/1.1", "status": "200", "reporter": "server"}
KINDS = [row.kind for row in RESOURCE_TYPES if row.kind not in ("Service", "CronJob", *SPLIT_KINDS)]


def ask(query: TrafficQuery, labels: Mapping[str, str], count: float = 5.0) -> tuple[Sample, ...]:
    """What is known when there were requests of one kind, each with its latency."""
    timed = {label: value for label, value in labels.items() if label not in ("protocol", "status")}
    return consult(CILIUM, query, {REQUESTS: [(labels, count)], LATENCY: [(timed, count)]}).samples


def peers(query: TrafficQuery, **labels: str) -> list[tuple[ResourceRef, ResourceRef]]:
    """Resource and peer of each row."""
    return [(sample.resource, sample.peer) for sample in ask(query, {**V2, **labels})]


def test_requests_of_the_newer_metric_have_their_latencies():
    (sample,) = ask(TOTAL, {**V2, **WEB, **API})
    assert (sample.resource, sample.peer, sample.success) == (ResourceRef("Deployment", "shop", "web"), EVERYTHING, 5.0)
    assert sample.latency is not None


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("edges", [False, True], ids=["total", "edges"])
def test_nothing_of_the_older_metric_is_read(kind: str, *, edges: bool):
    """Its counters have no status; its latencies are observed on the answer, whose source is the callee."""
    ends = {**WEB, **API, "method": "GET", "reporter": "server", "node": "node-a"}
    swapped = {
        label.replace("source", "?").replace("destination", "source").replace("?", "destination"): text
        for label, text in ends.items()
    }
    held = {
        REQUESTS: [({**ends, "protocol": "HTTP/1.1"}, 5.0)],
        "hubble_http_responses_total": [({**swapped, "status": "200"}, 5.0)],
        LATENCY: [(swapped, 5.0)],
    }
    assert consult(CILIUM, replace(TOTAL, kinds=(kind,), edges=edges), held).samples == ()


def test_an_answer_without_a_status_failed():
    (sample,) = ask(TOTAL, {**V2, **WEB, "status": "0"})
    assert (sample.success, sample.failure) == (0.0, 5.0)


def test_an_observer_that_does_not_know_its_side_is_not_heard():
    assert ask(TOTAL, {**V2, **WEB, "reporter": "unknown"}) == ()


def test_without_kinds_workloads_are_known_by_name():
    kindless = {label: text for label, text in {**WEB, **API}.items() if not label.endswith("_kind")}
    assert peers(FROM, **kindless) == [(ResourceRef("Workload", "shop", "web"), ResourceRef("Workload", "shop", "api"))]


def test_a_workload_of_another_kind_is_not_taken_for_one_without():
    assert peers(TOTAL, **(WEB | {"destination_workload_kind": "StatefulSet"})) == []


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("Pod", "nightly-28000000-x7k2p"), ("Namespace", "shop"), ("Job", None), ("Deployment", None)],
)
def test_the_jobs_of_a_cron_job_are_known_by_pod_and_namespace(kind: str, expected: str | None):
    nightly = {
        "destination_namespace": "shop",
        "destination_workload": "nightly",
        "destination_workload_kind": "CronJob",
        "destination_pod": "nightly-28000000-x7k2p",
    }
    assert [resource.name for resource, _ in peers(replace(TOTAL, kinds=(kind,)), **nightly)] == ([expected] if expected else [])


@pytest.mark.parametrize(
    ("source", "peer"),
    [
        # The world is nobody, what runs on a node is known by what it is.
        ("reserved:world", UNKNOWN),
        ("reserved:unmanaged", UNKNOWN),
        ("reserved:host", host("host")),
        ("reserved:kube-apiserver", host("kube-apiserver")),
        # Names and addresses.
        ("payments.example.com", host("payments.example.com")),
        ("a.example.com,b.example.com", host("a.example.com")),
        ("10.2.3.4", host("10.2.3.4")),
        # Namespace and pod, or namespace and workload.
        ("shop/api", ResourceRef("Workload", "shop", "api")),
        ("shop/admin-portal", ResourceRef("Workload", "shop", "admin-portal")),
        ("shop/api-6b9f8d7c5-x2x4z", UNKNOWN),
        ("shop/cart-0", UNKNOWN),
        ("shop/logs-k2x9p", UNKNOWN),
        ("shop/grpc", UNKNOWN),
        # A workload without a namespace, an identity, nothing.
        ("api", UNKNOWN),
        ("k8s:app=api,k8s:io.kubernetes.pod.namespace=shop", UNKNOWN),
        ("", UNKNOWN),
    ],
)
def test_a_caller_known_by_its_context_alone(source: str, peer: ResourceRef):
    assert peers(FROM, source=source, **WEB) == [(ResourceRef("Deployment", "shop", "web"), peer)]


@pytest.mark.parametrize(
    ("kind", "destination", "expected"),
    [
        ("Pod", "shop/api-6b9f8d7c5-x2x4z", ResourceRef("Pod", "shop", "api-6b9f8d7c5-x2x4z")),
        ("Pod", "shop/api", None),
        ("Pod", "shop/web-https", None),
        ("Pod", "shop/cart-0", None),
        ("Deployment", "shop/api", ResourceRef("Workload", "shop", "api")),
        ("Deployment", "shop/api-6b9f8d7c5-x2x4z", None),
        ("Deployment", "shop/cart-0", None),
        ("Namespace", "shop/api-6b9f8d7c5-x2x4z", ResourceRef("Namespace", "", "shop")),
        ("Namespace", "shop/api", ResourceRef("Namespace", "", "shop")),
        ("Namespace", "shop", None),
        ("Namespace", "reserved:world", None),
    ],
)
def test_a_callee_known_by_its_context_alone(kind: str, destination: str, expected: ResourceRef | None):
    found = peers(replace(TOTAL, kinds=(kind,)), destination=destination)
    assert [resource for resource, _ in found] == ([expected] if expected is not None else [])


def test_a_pod_that_nobody_manages_is_no_workload_where_labels_say_what_it_is():
    debug = {"destination_namespace": "shop", "destination_pod": "debug", "destination": "shop/debug"}
    assert peers(TOTAL, **debug) == []
    assert [resource.name for resource, _ in peers(replace(TOTAL, kinds=("Pod",)), **debug)] == ["debug"]
