"""Plain numbers are the numbers of the API, whatever these are: exact, and never anything that JSON does not have."""

from __future__ import annotations

import json
import math
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from apiservice.numbers import represent_numbers
from apiservice.representation import Style
from metrics_api import Edge, Extra, ResourceRef, TrafficMetrics, Window
from metrics_api.numbers import number_row

# A day of a million requests a second, and latencies of a day: floats hold them to the last digit.
COUNTS = st.none() | st.integers(0, 10**15 - 1)
LATENCIES = st.none() | st.integers(0, 10**12)
WEB = ResourceRef("Deployment", "shop", "web")


@st.composite
def rows(draw: st.DrawFn) -> TrafficMetrics:
    p50, p90, p99, extra = (draw(LATENCIES) for _ in range(4))
    return TrafficMetrics(
        "web",
        "shop",
        WEB,
        Edge(),
        draw(st.integers(0, 2**32)),
        Window(draw(st.integers(1, 86_400))),
        p99=p99,
        p90=p90,
        p50=p50,
        success=draw(COUNTS),
        failure=draw(COUNTS),
        extras=(Extra("p95_response_latency", extra),),
    )


def sent(row: TrafficMetrics) -> dict[str, Any]:
    """What a client reads, its numbers as the decimals that were written; NaN and infinities are no JSON."""
    body = b"".join(represent_numbers(row, (), Style(numbers=True)))
    document: dict[str, Any] = json.loads(body, parse_float=Decimal, parse_int=Decimal, parse_constant=_refuse)
    return document


def _refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is no JSON")


@given(rows())
def test_latencies_and_counts_are_exact(row: TrafficMetrics):
    document = sent(row)
    for key, value in (("p50Ms", row.p50), ("p90Ms", row.p90), ("p99Ms", row.p99), ("p95Ms", row.extras[0].micro)):
        assert document[key] == (None if value is None else Decimal(value) / 1000)
    assert document["successCount"] == (None if row.success is None else Decimal(row.success) / 1000)
    assert document["failureCount"] == (None if row.failure is None else Decimal(row.failure) / 1000)


@given(rows())
def test_ratios_are_shares_of_all_requests_and_unknown_without_any(row: TrafficMetrics):
    document = sent(row)
    success, failure, rps = document["successRate"], document["failureRatio"], document["rps"]
    assert (rps is None) == (row.success is None or row.failure is None)
    if not rps:
        assert success is failure is None
        return
    assert 0 <= success <= 1
    assert 0 <= failure <= 1
    assert math.isclose(success + failure, 1)
    assert (success == 0) == (row.success == 0)
    assert (failure == 0) == (row.failure == 0)


@given(rows())
def test_no_number_has_a_fraction_that_says_nothing(row: TrafficMetrics):
    for value in number_row(row).values():
        assert not (isinstance(value, float) and value.is_integer())
