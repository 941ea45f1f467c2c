"""Several observers of the same traffic: each request counts once, and whoever is the only one to tell of some is heard."""

from __future__ import annotations

from dataclasses import replace

import pytest

from backends.dialects import Consultation, load_dialect
from metrics_api import Direction, Histogram, Naming, ResourceRef, Sample, Side, TrafficQuery, Window
from tests.unit.dialects.holding import Held, Series, consult, rows

TOTAL = TrafficQuery(("Deployment",), Window(30), 0, namespace="shop")
REQUESTS, LATENCY = "istio_requests_total", "istio_request_duration_milliseconds"
OPENED = "istio_tcp_connections_opened_total"


def istio(query: TrafficQuery, held: Held) -> Consultation:
    """The consultation of Istio's dialect with a store that holds these series, at its end."""
    return consult(load_dialect("istio"), query, held)


def ask(query: TrafficQuery, *series: Series) -> dict[str, Sample]:
    """The samples by the name of the resource."""
    samples = istio(query, {REQUESTS: list(series), LATENCY: list(series)}).samples
    assert len({sample.resource for sample in samples}) == len(samples)
    return {sample.resource.name: sample for sample in samples}


def call(reporter: str, source: str, destination: str, count: float, *, service: str = "", namespace: str = "shop") -> Series:
    """Requests as one observer reports them."""
    return {
        "reporter": reporter,
        "source_workload": source,
        "source_workload_namespace": namespace,
        "destination_workload": destination,
        "destination_workload_namespace": "shop",
        "destination_service": f"{service or destination}.shop.svc.cluster.local",
        "response_code": "200",
    }, count


def test_a_workload_that_only_its_callers_saw_is_listed_beside_the_others():
    found = ask(
        TOTAL,
        call("destination", "gateway", "web", 100.0, namespace="istio-system"),
        call("source", "gateway", "web", 100.0, namespace="istio-system"),
        call("source", "gateway", "catalog", 40.0, namespace="istio-system"),
    )
    assert {name: (sample.success, sample.side) for name, sample in found.items()} == {
        "web": (100.0, Side.SERVER),
        "catalog": (40.0, Side.CLIENT),
    }


def test_what_went_through_a_waypoint_and_what_passed_it_by_are_added():
    """Web is seen at both ends of its way through the waypoint; the gateway goes straight to the workload."""
    found = ask(
        TOTAL,
        call("waypoint", "web", "catalog", 70.0),
        call("source", "web", "waypoint", 70.0, service="catalog"),
        call("source", "gateway", "catalog", 30.0, namespace="istio-system"),
    )
    assert (found["catalog"].success, found["catalog"].side) == (100.0, Side.SERVER)
    assert found["catalog"].latency == Histogram((1.0, float("inf")), (100.0, 0.0))


def test_a_caller_that_both_a_waypoint_and_itself_report_counts_once():
    found = ask(TOTAL, call("waypoint", "web", "catalog", 70.0), call("source", "web", "catalog", 71.0))
    assert (found["catalog"].success, found["catalog"].side) == (70.0, Side.SERVER)


def test_a_workload_with_a_sidecar_is_believed_alone():
    """Its sidecar sees what comes through the waypoint, and may know other names for its callers."""
    found = ask(
        TOTAL,
        call("destination", "unknown", "web", 90.0),
        call("waypoint", "api", "web", 60.0),
        call("source", "gateway", "web", 30.0, namespace="istio-system"),
        call("waypoint", "web", "catalog", 5.0),
    )
    assert {name: sample.success for name, sample in found.items()} == {"web": 90.0, "catalog": 5.0}


@pytest.mark.parametrize("kind", ["Service", "Namespace"])
def test_a_service_and_a_namespace_count_a_way_through_a_waypoint_once(kind: str):
    """To its caller it led to the waypoint, to the waypoint to the workload."""
    query = replace(TOTAL, kinds=(kind,), namespace="" if kind == "Namespace" else "shop")
    found = ask(
        query,
        call("waypoint", "web", "catalog", 70.0),
        call("source", "web", "waypoint", 70.0, service="catalog"),
        call("source", "gateway", "catalog", 30.0, namespace="istio-system"),
    )
    assert [(sample.success, sample.side) for sample in found.values()] == [(100.0, Side.SERVER)]


def test_how_long_it_took_callers_is_read_for_what_nobody_else_saw():
    consultation = Consultation(load_dialect("istio"), TOTAL, "mesh")
    seen = [call("destination", "api", "web", 10.0), call("source", "api", "web", 11.0), call("source", "api", "db", 4.0)]
    held = {REQUESTS: seen, LATENCY: seen}
    consultation.take({read: rows(read, held) for read in consultation.reads})
    assert [str(matcher.value) for read in consultation.reads for matcher in read.matchers if matcher.label == "reporter"] == [
        "source"
    ]
    consultation.take({read: rows(read, held) for read in consultation.reads})
    assert consultation.reads == ()
    assert {sample.resource.name: (sample.success, sample.side, sample.latency) for sample in consultation.samples} == {
        "web": (10.0, Side.SERVER, Histogram((1.0, float("inf")), (10.0, 0.0))),
        "db": (4.0, Side.CLIENT, Histogram((1.0, float("inf")), (4.0, 0.0))),
    }


def test_without_a_waypoint_a_total_is_read_in_one_go():
    consultation = Consultation(load_dialect("istio"), TOTAL, "mesh")
    held = {REQUESTS: [call("destination", "api", "web", 1.0)]}
    consultation.take({read: rows(read, held) for read in consultation.reads})
    assert [sample.success for sample in consultation.samples] == [1.0]
    assert consultation.reads == ()


def test_every_sample_says_in_which_dialect_it_was_told():
    tcp = [call("destination", "api", "db", 3.0)]
    consultation = istio(TOTAL, {REQUESTS: [call("destination", "api", "web", 9.0)], OPENED: tcp})
    assert {(sample.resource.name, sample.source, sample.dialect) for sample in consultation.samples} == {
        ("web", "mesh", "istio"),
        ("db", "mesh", "istio"),
    }


def test_a_gateways_calls_are_edges_whoever_else_reports():
    query = replace(TOTAL, name="catalog", edges=True, direction=Direction.FROM)
    series = [
        call("waypoint", "web", "catalog", 70.0),
        call("source", "gateway", "catalog", 30.0, namespace="istio-system"),
    ]
    samples = istio(query, {REQUESTS: series}).samples
    assert {sample.peer.name: (sample.success, sample.side) for sample in samples} == {
        "web": (70.0, Side.SERVER),
        "gateway": (30.0, Side.CLIENT),
    }


def test_traffic_without_requests_has_no_numbers_and_says_why():
    tcp = [call("destination", "api", "db", 3.0), call("source", "api", "db", 3.0)]
    consultation = istio(TOTAL, {REQUESTS: [call("destination", "api", "web", 9.0)], OPENED: tcp})
    assert {sample.resource.name: (sample.success, sample.failure, sample.latency) for sample in consultation.samples} == {
        "web": (9.0, 0.0, None),
        "db": (None, None, None),
    }
    (warning,) = consultation.warnings
    assert "connections and bytes alone (TCP)" in warning
    assert warning.endswith("of Workload db")


def test_the_sentence_about_connections_can_be_told_without_names():
    query = replace(TOTAL, name="db", edges=True, direction=Direction.FROM)
    (warning,) = istio(query, {REQUESTS: [], OPENED: [call("destination", "api", "db", 3.0)]}).warnings
    assert isinstance(warning, Naming)
    assert {ref.name for ref in warning.about} == {"api", "db"}
    assert warning.endswith("of Workload db from api")
    assert warning.otherwise == warning.removesuffix("Workload db from api") + "some of it"


def test_connections_are_no_news_of_a_workload_that_has_requests():
    both = [call("destination", "api", "web", 9.0)]
    consultation = istio(TOTAL, {REQUESTS: both, OPENED: both})
    assert [sample.success for sample in consultation.samples] == [9.0]
    assert consultation.warnings == ()


def test_connections_that_did_not_move_are_no_traffic():
    assert istio(TOTAL, {OPENED: [call("destination", "api", "db", 0.0)]}).samples == ()


def test_an_edge_of_connections_names_its_peer():
    query = replace(TOTAL, name="api", edges=True, direction=Direction.TO)
    consultation = istio(query, {OPENED: [call("source", "api", "db", 3.0)]})
    (sample,) = consultation.samples
    assert (sample.peer, sample.side, sample.success) == (ResourceRef("Workload", "shop", "db"), Side.CLIENT, None)
    assert consultation.warnings[0].endswith("of Workload api to db")


def test_a_warning_names_a_few_of_many():
    names = [f"db-{number}" for number in range(5)]
    consultation = istio(TOTAL, {OPENED: [call("destination", "api", name, 1.0) for name in names]})
    assert consultation.warnings[0].endswith("of Workload db-0, Workload db-1, Workload db-2 and 2 more")


def test_linkerds_connections_tell_of_workloads_without_requests():
    inbound = {"direction": "inbound", "namespace": "shop", "deployment": "db", "peer": "src", "target_port": "5432"}
    (sample,) = consult(load_dialect("linkerd"), TOTAL, {"tcp_read_bytes_total": [(inbound, 900.0)]}).samples
    assert (sample.resource, sample.success) == (ResourceRef("Deployment", "shop", "db"), None)
