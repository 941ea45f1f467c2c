"""Data points are read in as few calls as CloudWatch allows, each to its end; what does not come is an error and never a zero."""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator

import pytest

from backends.cloudwatch.metric import Metric
from backends.cloudwatch.metricdata import MetricData, billed
from metrics_api import BackendError, BackendProtocolError, BackendRefused, BackendUnavailable
from tests.backends.cloudwatch.opening import opened, renew_double, until
from tests.doubles.cloudwatch import Aws as Double
from tests.doubles.cloudwatch import Spoiled

NAMESPACE = "ApplicationSignals"
END = int(time.time()) // 60 * 60 - 120
START = END - 300
STATISTICS = ("SampleCount", "p50", "p90", "p99")

Pair = tuple[Double, MetricData]


@pytest.fixture(scope="module")
async def shared() -> AsyncIterator[Pair]:
    async with opened(concurrency=8) as (double, aws):
        yield double, MetricData("aws", aws)


@pytest.fixture
def pair(shared: Pair) -> Iterator[Pair]:
    renew_double(shared[0])
    yield shared
    renew_double(shared[0])


def service(number: int, name: str = "Latency") -> Metric:
    return Metric.of(NAMESPACE, name, {"Environment": "eks:prod/shop", "Service": f"service-{number}"})


def publish(double: Double, metric: Metric, values: dict[float, float], stamp: int = START) -> None:
    double.put(metric.namespace, metric.name, dict(metric.dimensions), stamp, values=values)


def asked(double: Double) -> list[list[tuple[str, str]]]:
    """The service and the statistic of each query, call by call."""
    calls = double.called("GetMetricData")
    stats = [[query["MetricStat"] for query in call.parameters["MetricDataQueries"]] for call in calls]
    return [[(stat["Metric"]["Dimensions"][1]["Value"], stat["Stat"]) for stat in call] for call in stats]


async def test_each_statistic_of_a_period_has_its_value_at_the_second_it_begins(pair: Pair):
    double, data = pair
    publish(double, service(1), {10: 50, 20: 30, 30: 19, 400: 1})
    publish(double, service(1), {5: 2}, START + 240)
    readings = await data.read({service(1): (*STATISTICS, "Average")}, START, END, 300)
    latency = service(1)
    assert readings.points == {
        (latency, "SampleCount"): {START: 102},
        (latency, "p50"): {START: 10},
        (latency, "p90"): {START: 30},
        (latency, "p99"): {START: 30},
        (latency, "Average"): {START: pytest.approx(2080 / 102)},
    }
    assert (readings.warnings, readings.incomplete, readings.billed) == ((), False, 1)


async def test_a_period_without_data_has_no_point_and_is_not_zero(pair: Pair):
    double, data = pair
    publish(double, service(1), {10: 5}, START + 60)
    readings = await data.read({service(1): ("SampleCount",), service(2): ("SampleCount",)}, START, END, 60)
    assert readings.points == {(service(1), "SampleCount"): {START + 60: 5}, (service(2), "SampleCount"): {}}


async def test_nothing_wanted_asks_nothing(pair: Pair):
    double, data = pair
    assert (await data.read({}, START, END, 300)).points == {}
    assert double.calls == []


@pytest.mark.parametrize("zone", ["UTC", "America/St_Johns", "Asia/Kolkata", "Pacific/Chatham"])
async def test_points_are_in_utc_whatever_the_zone_of_the_machine(pair: Pair, monkeypatch: pytest.MonkeyPatch, zone: str):
    double, data = pair
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        publish(double, service(1), {10: 5})
        readings = await data.read({service(1): ("Sum",)}, START, END, 300)
    finally:
        monkeypatch.undo()
        time.tzset()
    assert readings.points == {(service(1), "Sum"): {START: 50}}


async def test_the_hour_that_a_clock_has_twice_is_two_hours(pair: Pair, monkeypatch: pytest.MonkeyPatch):
    double, data = pair
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    first = 1792886400 - 1800  # 2026-10-25T00:30:00Z is 02:30 in Berlin, and so is an hour later.
    double.clock = lambda: first + 7200.0
    try:
        for stamp, count in ((first, 1), (first + 3600, 2)):
            publish(double, service(1), {10: count}, stamp)
        readings = await data.read({service(1): ("SampleCount",)}, first, first + 7200, 3600)
    finally:
        double.clock = time.time
        monkeypatch.undo()
        time.tzset()
    assert readings.points == {(service(1), "SampleCount"): {first: 1, first + 3600: 2}}


@pytest.mark.parametrize("count", [1, 125, 126, 400], ids="{}-metrics".format)
async def test_a_call_has_at_most_500_queries_and_a_metric_is_in_one_call(pair: Pair, count: int):
    double, data = pair
    wanted = {service(number): STATISTICS for number in range(count)}
    publish(double, service(count - 1), {10: 7})
    readings = await data.read(wanted, START, END, 300)
    calls = asked(double)
    assert len(calls) == -(-count // 125)
    assert max(map(len, calls)) <= 500
    assert all(set(Counter(name for name, _ in call).values()) == {4} for call in calls)
    assert len(readings.points) == 4 * count
    assert readings.points[service(count - 1), "SampleCount"] == {START: 7}
    assert readings.billed == double.billed == count


async def test_metrics_of_different_numbers_of_statistics_are_not_torn_apart(pair: Pair):
    double, data = pair
    wanted = {service(number): STATISTICS[: 1 + number % 4] for number in range(300)}
    await data.read(wanted, START, END, 300)
    calls = asked(double)
    assert len(calls) == 2
    assert max(map(len, calls)) <= 500
    names = [{name for name, _ in call} for call in calls]
    assert not names[0] & names[1]


async def test_a_sixth_statistic_is_paid_for_and_seven_hundred_take_two_calls(pair: Pair):
    double, data = pair
    wanted = {service(0): tuple(f"p{number / 10:g}" for number in range(1, 701)), service(1): ("p1", "p2", "p3", "p4", "p5", "p6")}
    readings = await data.read(wanted, START, END, 300)
    assert sorted(map(len, asked(double))) == [206, 500]
    assert readings.billed == double.billed == billed(wanted) == 142


async def test_long_histories_are_read_in_parts_that_do_not_keep_others_waiting(pair: Pair):
    double, data = pair
    start = END - 86400
    await data.read({service(number): STATISTICS for number in range(10)}, start, END, 60)
    assert sorted(map(len, asked(double))) == [4, 12, 12, 12]
    double.calls.clear()
    long = [f"p{number}" for number in range(10, 30)]
    readings = await data.read({service(0): tuple(long)}, start, END, 60)
    assert [len(call) for call in asked(double)] == [20]
    assert readings.billed == double.billed == 4


@pytest.mark.parametrize("empty_partial", [False, True], ids=["later-results-not-named", "later-results-named"])
@pytest.mark.parametrize("page", [1, 2, 7])
async def test_pages_are_read_to_the_last(pair: Pair, page: int, empty_partial: bool):  # noqa: FBT001
    double, data = pair
    double.data.page_points, double.data.empty_partial = page, empty_partial
    for minute in range(5):
        for number in range(3):
            publish(double, service(number), {10: 1 + minute}, START + 60 * minute)
    readings = await data.read({service(number): ("SampleCount",) for number in range(3)}, START, END, 60)
    whole = {START + 60 * minute: 1 + minute for minute in range(5)}
    assert readings.points == {(service(number), "SampleCount"): whole for number in range(3)}
    assert len(double.called("GetMetricData")) == -(-15 // page)
    assert not readings.incomplete


async def test_pages_without_an_end_are_an_error(pair: Pair):
    double, data = pair
    double.data.endless = True
    with pytest.raises(BackendProtocolError, match="pages that do not end"):
        await data.read({service(1): ("Sum",)}, START, END, 300)
    assert len(double.called("GetMetricData")) <= 100


@pytest.mark.parametrize(
    ("status", "error", "message"),
    [
        ("InternalError", BackendUnavailable, "failed to read Sum of ApplicationSignals Fault"),
        ("Forbidden", BackendRefused, "does not allow to read Sum of ApplicationSignals Fault"),
        ("PartialData", BackendProtocolError, "did not answer all of Sum of ApplicationSignals Fault"),
    ],
)
async def test_a_metric_that_does_not_come_is_an_error_and_not_zero(
    pair: Pair, status: str, error: type[BackendError], message: str
):
    double, data = pair
    publish(double, service(1), {10: 5})
    publish(double, service(1, "Fault"), {1: 5})
    double.data.spoiled["Fault"] = Spoiled(status)
    with pytest.raises(error, match=message):
        await data.read({service(1): STATISTICS, service(1, "Fault"): ("Sum",)}, START, END, 300)
    assert len(double.called("GetMetricData")) == (1 if status == "Forbidden" else 2)


@pytest.mark.parametrize("status", ["InternalError", "PartialData"])
async def test_what_failed_is_asked_for_once_more_alone_and_paid_for(pair: Pair, status: str):
    double, data = pair
    publish(double, service(1), {10: 5})
    publish(double, service(1, "Fault"), {1: 5})
    double.data.spoiled["Fault"] = Spoiled(status, [("Internal", "an error occurred")])
    gate = double.hold("GetMetricData")
    reading = asyncio.create_task(data.read({service(1): STATISTICS, service(1, "Fault"): ("Sum",)}, START, END, 300))
    gate.set()
    async with asyncio.timeout(5):
        while len(double.calls) < 2:
            await asyncio.sleep(0)
            if double.called("GetMetricData") and double.called("GetMetricData")[0].status:
                double.data.spoiled.clear()
    readings = await reading
    assert readings.points[service(1, "Fault"), "Sum"] == {START: 5}
    assert readings.points[service(1), "SampleCount"] == {START: 5}
    assert list(map(len, asked(double))) == [5, 1]
    assert readings.billed == double.billed == 3
    assert (readings.warnings, readings.incomplete) == ((), False)


@pytest.mark.parametrize(
    "code", ["MaxMetricsExceeded", "MaxQueryTimeRangeExceeded", "MaxQueryResultsExceeded", "MaxMatchingResultsExceeded"]
)
async def test_a_request_that_is_too_large_is_refused_and_not_answered_in_part(pair: Pair, code: str):
    double, data = pair
    double.data.messages.append((code, "An unexpectedly large number of things"))
    with pytest.raises(BackendRefused, match=f"{code}.*; ask for"):
        await data.read({service(1): ("Sum",)}, START, END, 300)


async def test_other_messages_about_the_request_mean_that_data_may_be_missing(pair: Pair):
    double, data = pair
    publish(double, service(1), {10: 5})
    double.data.messages.append(("Elsewhere", "some of it was not executed"))
    readings = await data.read({service(number): STATISTICS for number in range(200)}, START, END, 300)
    assert readings.incomplete
    assert readings.warnings == ('source "aws": CloudWatch says of the whole request: some of it was not executed (Elsewhere)',)
    assert readings.points[service(1), "SampleCount"] == {START: 5}


async def test_messages_about_a_metric_are_passed_on(pair: Pair):
    double, data = pair
    publish(double, service(1), {10: 5})
    double.data.spoiled["Latency"] = Spoiled("Complete", [("Remark", "x" * 1000)], points=True)
    readings = await data.read({service(1): ("Sum",)}, START, END, 300)
    assert not readings.incomplete
    (warning,) = readings.warnings
    assert warning.startswith('source "aws": CloudWatch says of Latency: xxx')
    assert len(warning) < 400
    assert readings.points == {(service(1), "Sum"): {START: 50}}


async def test_what_is_no_number_is_left_out(pair: Pair):
    double, data = pair
    publish(double, service(1), {math.inf: 1})
    publish(double, service(1), {math.nan: 1}, START + 60)
    publish(double, service(1), {10: 1}, START + 120)
    assert (await data.read({service(1): ("Sum",)}, START, END, 60)).points == {(service(1), "Sum"): {START + 120: 10}}


async def test_the_first_call_that_fails_ends_the_others(pair: Pair):
    double, data = pair
    double.fail("GetMetricData", "hang", 3)
    double.fail("GetMetricData", "drop")
    tasks = asyncio.all_tasks()
    async with asyncio.timeout(3):
        with pytest.raises(BackendUnavailable, match="broke off"):
            await data.read({service(number): STATISTICS for number in range(400)}, START, END, 300)
        assert len(double.called("GetMetricData")) == 4
    await until(lambda: not double.under_way)
    assert {task for task in asyncio.all_tasks() if "aiohttp" not in repr(task)} <= tasks


async def test_a_cancelled_read_leaves_nothing_behind(pair: Pair):
    double, data = pair
    double.fail("GetMetricData", "hang", None)
    tasks = asyncio.all_tasks()
    reading = asyncio.create_task(data.read({service(number): STATISTICS for number in range(400)}, START, END, 300))
    await until(lambda: double.under_way == 4)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    await until(lambda: not double.under_way)
    assert {task for task in asyncio.all_tasks() if "aiohttp" not in repr(task)} <= tasks
    double.recover()
    publish(double, service(1), {10: 5})
    assert (await data.read({service(1): ("Sum",)}, START, END, 300)).points == {(service(1), "Sum"): {START: 50}}
