"""Rows for programs: plain numbers, with nothing invented."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from io import StringIO

from kubectl_traffic.formats import csv_lines, json_text
from metrics_api import Extra, SplitBackend
from metrics_api.numbers import number_row
from tests.unit.kubectl_traffic.rows import row


def test_numbers_are_plain():
    assert number_row(row(success=297, failure=3, peer="api")) == {
        "namespace": "shop",
        "kind": "Deployment",
        "name": "web",
        "cluster": "",
        "direction": "to",
        "side": "client",
        "peerKind": "Deployment",
        "peerNamespace": "shop",
        "peerName": "api",
        "rps": 10.0,
        "successRate": 0.99,
        "failureRatio": 0.01,
        "p50Ms": 3.0,
        "p90Ms": 6.0,
        "p99Ms": 12.0,
        "successCount": 297.0,
        "failureCount": 3.0,
        "window": "30s",
        "windowSeconds": 30,
        "timestamp": "2026-11-21T22:26:40Z",
        "source": "mesh",
        "incomplete": False,
        "sampled": False,
        "stale": False,
    }


def test_backends_percentiles_and_marks_have_keys_of_their_own():
    marks = {"metrics.smi-spec.io/sampled": "true"}
    told = number_row(
        replace(
            row(), backend=SplitBackend("web", "web-v2", 30), extras=(Extra("p99.9_response_latency", 20_500),), annotations=marks
        )
    )
    assert (told["backendApex"], told["backendName"], told["backendWeight"]) == ("web", "web-v2", 30)
    assert (told["p99.9Ms"], told["sampled"], told["stale"]) == (20.5, True, False)
    assert list(told).index("p99.9Ms") == list(told).index("p99Ms") + 1


def test_unknown_is_null_and_zero_is_zero():
    (idle, unknown) = json.loads(json_text([row(success=0, failure=0, p99=None), row(success=None, failure=None)]))
    assert (idle["rps"], idle["successRate"], idle["p99Ms"]) == (0.0, None, None)
    assert (unknown["rps"], unknown["successCount"]) == (None, None)


def test_json_is_one_line_where_lines_are_answers():
    assert len(json_text([row(), row("api")], indent=None).splitlines()) == 1


def test_csv_has_a_head_and_empty_fields_for_the_unknown():
    read = list(csv.DictReader(StringIO(csv_lines([row('we"b,1', success=None)]))))
    assert [(each["name"], each["rps"], each["failureCount"]) for each in read] == [('we"b,1', "", "0")]
    assert {each["incomplete"] for each in read} == {"false"}
    assert csv_lines([], head=True).startswith("namespace,kind,name,")
    assert csv_lines([], head=False) == ""
