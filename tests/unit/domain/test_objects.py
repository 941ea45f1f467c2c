"""The API objects on the wire: what published clients decode, to the letter."""

import json
from dataclasses import replace

import pytest

from metrics_api.instant import timestamp
from metrics_api.objects import Edge, Extra, LatencyUnit, TrafficMetrics, list_wire, resource_version
from metrics_api.query import Direction, Side
from metrics_api.resources import EVERYTHING, UNKNOWN, ResourceRef
from metrics_api.window import Window

WEB = ResourceRef("Deployment", "shop", "web")
ROW = TrafficMetrics(
    "web", "shop", WEB, Edge(), 1_795_299_955, Window(30), 10_000, 10_000, 10_000, 100_000, 3_000, {"app": "web"}, source="mesh"
)
NAMES = ["p99_response_latency", "p90_response_latency", "p50_response_latency", "success_count", "failure_count"]

GOLDEN = """{
  "kind": "TrafficMetrics",
  "apiVersion": "metrics.smi-spec.io/v1alpha1",
  "metadata": {
    "name": "web",
    "namespace": "shop",
    "resourceVersion": "1795299955",
    "creationTimestamp": null,
    "labels": {
      "app": "web"
    }
  },
  "resource": {
    "kind": "Deployment",
    "namespace": "shop",
    "name": "web"
  },
  "edge": {
    "direction": "from",
    "side": "server",
    "resource": {}
  },
  "timestamp": "2026-11-21T22:25:55Z",
  "window": "30s",
  "metrics": [
    {
      "name": "p99_response_latency",
      "unit": "seconds",
      "value": "10m"
    },
    {
      "name": "p90_response_latency",
      "unit": "seconds",
      "value": "10m"
    },
    {
      "name": "p50_response_latency",
      "unit": "seconds",
      "value": "10m"
    },
    {
      "name": "success_count",
      "value": "100"
    },
    {
      "name": "failure_count",
      "value": "3"
    }
  ]
}"""


def test_the_object_to_the_letter():
    assert json.dumps(ROW.wire(), indent=2) == GOLDEN


@pytest.mark.parametrize("unit", LatencyUnit)
@pytest.mark.parametrize("known", [True, False])
def test_five_metrics_in_one_order_always(unit: LatencyUnit, *, known: bool):
    row = ROW if known else replace(ROW, p99=None, p90=None, p50=None, success=None, failure=None)
    metrics = row.wire(unit)["metrics"]
    assert [metric["name"] for metric in metrics] == NAMES
    assert [metric.get("unit") for metric in metrics] == [unit.value] * 3 + [None] * 2
    assert all(isinstance(metric["value"], str) is known for metric in metrics)


def test_unknown_is_null_and_a_measured_zero_is_a_quantity():
    metrics = replace(ROW, p99=None, p90=0, success=0, failure=None).wire()["metrics"]
    assert [metric["value"] for metric in metrics] == [None, "0", "10m", "0", None]


@pytest.mark.parametrize(
    ("micro", "seconds", "milliseconds"),
    [
        (10_000, "10m", "10"),
        (10_123, "10123u", "10123m"),
        (1, "1u", "1m"),
        (1_500_000, "1500m", "1500"),
        (2_000_000, "2", "2k"),
        (0, "0", "0"),
    ],
)
def test_latency_in_either_unit_is_exact(micro: int, seconds: str, milliseconds: str):
    row = replace(ROW, p99=micro)
    assert row.wire()["metrics"][0] == {"name": NAMES[0], "unit": "seconds", "value": seconds}
    assert row.wire(LatencyUnit.MILLISECONDS)["metrics"][0] == {"name": NAMES[0], "unit": "ms", "value": milliseconds}


@pytest.mark.parametrize(("unit", "values"), [(LatencyUnit.SECONDS, ["12m", None]), (LatencyUnit.MILLISECONDS, ["12", None])])
def test_what_was_asked_for_comes_after_the_five_in_the_same_unit(unit: LatencyUnit, values: list[str | None]):
    row = replace(ROW, extras=(Extra("p95_response_latency", 12_000), Extra("mean_response_latency")))
    metrics = row.wire(unit)["metrics"]
    assert metrics[:5] == ROW.wire(unit)["metrics"]
    assert metrics[5:] == [
        {"name": name, "unit": unit.value, "value": value}
        for name, value in zip(("p95_response_latency", "mean_response_latency"), values, strict=True)
    ]


def test_fractional_counts_are_thousandths():
    assert replace(ROW, success=73_492).wire()["metrics"][3] == {"name": "success_count", "value": "73492m"}


def test_edge_timestamp_and_window_are_sent_even_of_an_idle_object():
    wire = TrafficMetrics("web", "shop", WEB, Edge(), 0, Window(3600)).wire()
    assert wire["edge"] == {"direction": "from", "side": "server", "resource": {}}
    assert wire["timestamp"] == "1970-01-01T00:00:00Z"
    assert wire["window"] == "1h0m0s"


@pytest.mark.parametrize(
    ("peer", "wire"),
    [
        (EVERYTHING, {}),
        (UNKNOWN, {"name": "unknown"}),
        (ResourceRef("Pod", "shop", "api-0"), {"kind": "Pod", "namespace": "shop", "name": "api-0"}),
        (ResourceRef("Namespace", "", "prod"), {"kind": "Namespace", "name": "prod"}),
    ],
)
def test_a_peer_is_sent_with_what_is_known_of_it(peer: ResourceRef, wire: dict[str, str]):
    row = replace(ROW, edge=Edge(Direction.TO, Side.CLIENT, peer))
    assert row.wire()["edge"] == {"direction": "to", "side": "client", "resource": wire}


def test_a_cluster_scoped_object_has_no_namespace():
    row = TrafficMetrics("shop", "", ResourceRef("Namespace", "", "shop"), Edge(), 1, Window(30))
    assert row.metadata() == {"name": "shop", "resourceVersion": "1", "creationTimestamp": None}


def test_annotations_are_sent_when_there_are_any():
    assert "annotations" not in ROW.metadata()
    assert replace(ROW, annotations={"a": "b"}).metadata()["annotations"] == {"a": "b"}


def test_a_list_has_items_and_metadata_even_when_empty():
    assert list_wire([], {"resourceVersion": "1"}, ResourceRef("Deployment", "shop", "")) == {
        "kind": "TrafficMetricsList",
        "apiVersion": "metrics.smi-spec.io/v1alpha1",
        "metadata": {"resourceVersion": "1"},
        "resource": {"kind": "Deployment", "namespace": "shop"},
        "items": [],
    }
    assert list_wire([ROW], {}, WEB, LatencyUnit.MILLISECONDS)["items"] == [ROW.wire(LatencyUnit.MILLISECONDS)]


def test_the_source_has_no_field_of_its_own():
    assert "mesh" not in json.dumps(ROW.wire())


def test_a_time_is_rfc_3339_in_utc_and_versions_grow_with_it():
    assert timestamp(1_795_299_955) == "2026-11-21T22:25:55Z"
    assert int(resource_version(1_795_299_956)) > int(resource_version(1_795_299_955))
