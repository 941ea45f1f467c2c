"""Reading through the reader: everything once, whoever asks, and every answer the truth about the one moment that it names."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from dataclasses import replace

import pytest

from backends.cloudwatch.memory import Memory
from backends.cloudwatch.metric import Wanted
from backends.cloudwatch.metricdata import MetricData, Readings
from backends.cloudwatch.moment import MINUTE, Moment
from backends.cloudwatch.reader import Reader
from metrics_api import BackendProtocolError, BackendRefused, BackendUnavailable
from tests.backends.cloudwatch.numbers.reading import (
    LAST,
    NOW,
    SPACE,
    STATISTICS,
    Reading,
    latency,
    minutes,
    of,
    same,
    triples,
    truth,
)
from tests.doubles.cloudwatch import Spoiled

EVERYTHING = of(*range(10))


# Each once


async def test_what_was_read_is_not_asked_for_again(reading: Reading, reader: Reader):
    for _ in range(3):
        (readout,) = await reader.read(EVERYTHING, [LAST])
        assert same(readout, EVERYTHING, LAST)
    assert reading.asked == [40]


async def test_only_what_is_neither_known_nor_coming_is_asked_for(reading: Reading, reader: Reader):
    await reader.read(of(*range(6)), [LAST])
    reading.aws.slow("GetMetricData", 0.05)
    coming = asyncio.create_task(reader.read(of(6, 7), [LAST]))
    await reading.arrived(2)
    (readout,) = await reader.read(EVERYTHING, [LAST])
    assert same(readout, EVERYTHING, LAST)
    assert same((await coming)[0], of(6, 7), LAST)
    assert reading.asked == [24, 8, 8]
    assert set(triples(reading.aws).values()) == {1}


async def test_of_a_metric_the_statistics_that_are_missing_are_asked_for(reading: Reading, reader: Reader):
    await reader.read(of(0, statistics=("Sum", "p50")), [LAST])
    (readout,) = await reader.read(of(0), [LAST])
    assert same(readout, of(0), LAST)
    assert triples(reading.aws) == {("service-0", statistic, LAST): 1 for statistic in STATISTICS}


async def test_all_who_ask_at_once_share_one_request(reading: Reading, reader: Reader):
    answers = await asyncio.gather(*(reader.read(EVERYTHING, [LAST]) for _ in range(20)))
    assert all(same(readout, EVERYTHING, LAST) for (readout,) in answers)
    assert len(reading.asked) == 1


async def test_another_moment_is_another_question(reading: Reading, reader: Reader):
    before, minute = LAST.earlier(), Moment(NOW, 2 * MINUTE)
    for moment in (LAST, before, minute):
        (readout,) = await reader.read(of(0), [moment])
        assert same(readout, of(0), moment)
    assert len(reading.asked) == 3


async def test_no_data_point_is_remembered_too_and_is_no_value(reading: Reading, reader: Reader):
    for _ in range(2):
        (readout,) = await reader.read(of(0, 99), [LAST])
        assert same(readout, of(0), LAST)
    assert reading.asked == [8]


async def test_nothing_wanted_is_nothing_asked(reading: Reading, reader: Reader):
    assert [(readout.values, readout.moment) for readout in await reader.read({}, minutes(2))] == [
        ({}, moment) for moment in minutes(2)
    ]
    assert reading.asked == []


# Who gives up


async def test_who_joined_gets_the_answer_when_the_first_to_ask_has_gone(reading: Reading, reader: Reader):
    reading.aws.slow("GetMetricData", 0.05)
    first = asyncio.create_task(reader.read(EVERYTHING, [LAST]))
    await reading.arrived(1)
    second = asyncio.create_task(reader.read(EVERYTHING, [LAST]))
    await asyncio.sleep(0)
    first.cancel()
    (readout,) = await second
    assert first.cancelled()
    assert same(readout, EVERYTHING, LAST)
    assert len(reading.asked) == 1


async def test_a_request_that_was_sent_is_of_use_to_who_asks_next(reading: Reading, reader: Reader):
    reading.aws.slow("GetMetricData", 0.05)
    alone = asyncio.create_task(reader.read(EVERYTHING, [LAST]))
    await reading.arrived(1)
    alone.cancel()
    await asyncio.wait([alone])
    (readout,) = await reader.read(EVERYTHING, [LAST])
    assert same(readout, EVERYTHING, LAST)
    assert len(reading.asked) == 1


async def test_leaving_ends_what_is_under_way(reading: Reading):
    reading.aws.fail("GetMetricData", "hang")
    async with reading.reader() as reader:
        waiting = asyncio.create_task(reader.read(of(0), [LAST]))
        await reading.arrived(1)
    with pytest.raises(BackendUnavailable, match='source "aws": is being closed'):
        await waiting


# What fails


async def test_a_failure_is_told_to_all_who_wait_and_is_not_remembered(reading: Reading, reader: Reader):
    reading.aws.fail("GetMetricData", "error")
    failed = await asyncio.gather(*(reader.read(of(0), [LAST]) for _ in range(3)), return_exceptions=True)
    assert [type(error) for error in failed] == [BackendUnavailable] * 3
    (readout,) = await reader.read(of(0), [LAST])
    assert same(readout, of(0), LAST)
    assert len(reading.asked) == 2


async def test_of_a_large_question_what_did_arrive_is_not_asked_for_again(reading: Reading, reader: Reader):
    many = of(*range(200))
    reading.aws.throttle("GetMetricData")
    with pytest.raises(BackendUnavailable):
        await reader.read(many, [LAST])
    await reader.read(many, [LAST])
    first, second, again = reading.aws.called("GetMetricData")
    assert {first.queries, second.queries} == {500, 300}
    assert again.queries == next(call.queries for call in (first, second) if call.error)
    assert sum(call.billed for call in reading.aws.called("GetMetricData")) == len(many)


async def test_values_that_may_come_yet_are_asked_for_again(reading: Reading, reader: Reader):
    reading.aws.data.messages.append(("ServiceDegraded", "some data is missing"))
    (partial,) = await reader.read(of(0, 99), [LAST])
    assert partial.incomplete
    assert any("some data is missing" in warning for warning in partial.warnings)
    reading.aws.recover()
    (whole,) = await reader.read(of(0, 99), [LAST])
    assert same(whole, of(0), LAST)
    assert reading.asked == [8, 4]


async def test_what_cloudwatch_remarks_is_told_to_all_whom_it_concerns(reading: Reading, reader: Reader):
    reading.aws.data.spoiled["Latency"] = Spoiled("Complete", [("Late", "a host is late")], points=True)
    await reader.read(of(0), [LAST])
    reading.aws.recover()
    concerned, other = [(await reader.read(of(number), [LAST]))[0] for number in (0, 1)]
    assert (concerned.values, concerned.incomplete) == (truth(of(0), LAST), False)
    assert [text for text in concerned.warnings if "a host is late" in text]
    assert other.warnings == ()


async def test_data_points_of_other_times_are_an_error(reading: Reading, reader: Reader, monkeypatch: pytest.MonkeyPatch):
    honest = MetricData.read

    async def late(data: MetricData, wanted: Wanted, start: int, end: int, period: int) -> Readings:
        readings = await honest(data, wanted, start, end, period)
        points = {query: {stamp + 1: value for stamp, value in found.items()} for query, found in readings.points.items()}
        return replace(readings, points=points)

    monkeypatch.setattr(MetricData, "read", late)
    with pytest.raises(BackendProtocolError, match="other times than were asked for"):
        await reader.read(of(0), [LAST])
    assert len(reading.asked) == 1


async def test_a_refusal_of_aws_reaches_who_asked(reading: Reading, reader: Reader):
    reading.aws.denied.add("cloudwatch:GetMetricData")
    with pytest.raises(BackendRefused, match="cloudwatch:GetMetricData"):
        await reader.read(of(0), [LAST])
    assert reader.usage(reading.session).billed == 0


# What is remembered


async def test_numbers_read_before_all_had_arrived_are_read_again_when_they_have(reading: Reading, reader: Reader):
    await reader.read(of(0), [LAST])
    reading.aws.put(SPACE, "Latency", dict(latency(0).dimensions), LAST.start, {5.0: 40})
    (early,) = await reader.read(of(0), [LAST])
    assert same(early, of(0), LAST)
    reading.now = NOW + 900
    for _ in range(2):
        (late,) = await reader.read(of(0), [LAST])
        assert late.values[latency(0), "SampleCount"] == truth(of(0), LAST)[latency(0), "SampleCount"] + 40
    assert len(reading.asked) == 2


def remember(memory: Memory, moment: Moment, metrics: int, now: float) -> None:
    page = memory.page(moment, now)
    memory.hold(moment, page)
    for number in range(metrics):
        for statistic in STATISTICS:
            page.keep(latency(number), statistic, float(number))


def test_the_moment_of_no_use_for_longest_is_forgotten_first():
    memory = Memory(100, 900.0)
    first, second, third = minutes(3)
    for moment in (first, second):
        remember(memory, moment, 10, NOW)
    memory.page(first, NOW)
    remember(memory, third, 10, NOW)
    memory.forget(NOW)
    assert len(memory) == 80
    assert [memory.page(moment, NOW).size for moment in (first, second, third)] == [40, 0, 40]


def test_what_is_of_no_use_is_forgotten_in_time():
    memory = Memory(100, 900.0)
    remember(memory, LAST, 10, NOW)
    memory.forget(NOW + 900)
    assert len(memory) == 40
    memory.forget(NOW + 901)
    assert len(memory) == 0


def test_what_is_being_read_is_not_forgotten():
    memory = Memory(10, 900.0)
    remember(memory, LAST, 10, NOW)
    memory.forget(NOW, {LAST})
    assert len(memory) == 40


def test_an_answer_given_once_is_given_again():
    page = Memory(100, 900.0).page(LAST, NOW)
    page.keep(latency(0), "Sum", 1.0)
    page.keep(latency(0), "Sum", 2.0)
    assert page.recall(of(0)) == ({(latency(0), "Sum"): 1.0}, ())
    assert page.size == 1


def test_memory_has_a_bound():
    metrics = [latency(number) for number in range(250)]
    memory = Memory(10_000, 900.0)
    gc.collect()
    tracemalloc.start()
    try:
        for moment in minutes(40):
            page = memory.page(moment, NOW)
            memory.hold(moment, page)
            for metric in metrics:
                for statistic in STATISTICS:
                    page.keep(metric, statistic, float(moment.end + len(statistic)))
            memory.forget(NOW)
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(memory) == 10_000
    assert used < 200 * len(memory)
