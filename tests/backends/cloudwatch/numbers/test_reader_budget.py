"""Reading within a budget: over it there are older numbers, all of one moment and marked, or a sentence that says what to do."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from backends.cloudwatch import reader as reader_module
from backends.cloudwatch.backend import CloudWatchBackend
from backends.cloudwatch.moment import MINUTE, Moment
from backends.cloudwatch.reader import STALE
from backends.cloudwatch.session import Aws
from metrics_api import BackendProtocolError, BackendRefused, BackendUnavailable
from tests.backends.cloudwatch.numbers.reading import LAST, NOW, SETTINGS, Reading, minutes, of, same, truth
from tests.doubles.cloudwatch import Fault

TEN = of(*range(10))


async def test_a_reader_knows_what_it_used(reading: Reading):
    async with reading.reader(100) as reader:
        await reader.read(TEN, [LAST])
        usage = reader.usage(reading.session)
    assert usage.billed == reading.aws.billed == 10
    assert usage.refused == 0
    assert usage.calls["GetMetricData"] >= 1
    # Ten in five minutes are 120 in an hour.
    assert usage.monthly_dollars == pytest.approx(120 * 730 * 0.01 / 1000)


async def test_all_that_the_budget_allows_to_read_in_a_minute_is_paid_for_once(reading: Reading, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(reader_module, "_MOST_VALUES", 10)
    async with reading.reader(10) as reader:
        for _ in range(2):
            (readout,) = await reader.read(TEN, [LAST])
            assert same(readout, TEN, LAST)
    assert reading.aws.billed == 10


@pytest.mark.parametrize(("source", "costs"), [("application-signals", 0.0), ("xray", None)])
def test_a_source_that_requests_no_metrics_has_no_price(source: str, costs: float | None):
    assert CloudWatchBackend(replace(SETTINGS, source=source)).usage().monthly_dollars == costs


@pytest.mark.parametrize("statistics", [5, 6, 11])
async def test_a_sixth_statistic_of_a_metric_costs_another(reading: Reading, statistics: int):
    wanted = of(0, statistics=tuple(f"p{number}" for number in range(1, 1 + statistics)))
    async with reading.reader(100) as reader:
        await reader.read(wanted, [LAST])
    assert reading.budget.billed == reading.aws.billed == -(-statistics // 5)


async def test_over_the_budget_the_newest_numbers_there_are_are_told(reading: Reading):
    async with reading.reader(20) as reader:
        for moment in minutes(3)[:2]:
            await reader.read(TEN, [moment])
        (readout,) = await reader.read(TEN, [LAST])
        used = reader.usage(reading.session)
    assert (readout.moment, readout.values) == (LAST.earlier(), truth(TEN, LAST.earlier()))
    assert readout.marks == {STALE}
    (warning,) = readout.warnings
    assert warning == (
        'source "aws" has requested 20 of the 20 metrics that its budget allows in a minute: '
        "the numbers are 1m0s older than they could be; raise budget, or ask less often"
    )
    assert (used.billed, used.refused, reading.aws.billed) == (20, 1, 20)


async def test_older_numbers_are_all_of_one_moment(reading: Reading):
    older, newer = minutes(3)[:2]
    async with reading.reader(15) as reader:
        await reader.read(TEN, [older])
        await reader.read(of(*range(5)), [newer])
        (readout,) = await reader.read(TEN, [LAST])
    assert (readout.moment, readout.values) == (older, truth(TEN, older))


@pytest.mark.parametrize(
    ("back", "seconds", "answered"),
    [
        pytest.param(2, 60, True, id="two periods"),
        pytest.param(3, 60, False, id="more than two periods"),
        pytest.param(10, 300, True, id="two long periods"),
        pytest.param(11, 300, False, id="more than two long periods"),
    ],
)
async def test_numbers_more_than_two_periods_old_are_no_answer(reading: Reading, back: int, seconds: int, answered: bool):  # noqa: FBT001
    async with reading.reader(10) as reader:
        await reader.read(TEN, [Moment(NOW - back * MINUTE, seconds)])
        if answered:
            (readout,) = await reader.read(TEN, [Moment(NOW, seconds)])
            assert readout.moment == Moment(NOW - back * MINUTE, seconds)
        else:
            with pytest.raises(BackendUnavailable):
                await reader.read(TEN, [Moment(NOW, seconds)])


async def test_numbers_of_another_window_are_no_answer(reading: Reading):
    async with reading.reader(10) as reader:
        await reader.read(TEN, [Moment(NOW - MINUTE, 2 * MINUTE)])
        with pytest.raises(BackendUnavailable):
            await reader.read(TEN, [LAST])


async def test_who_gets_no_answer_learns_when_to_ask_again(reading: Reading):
    reading.now = NOW + 55
    async with reading.reader(15) as reader:
        await reader.read(TEN, [LAST])
        with pytest.raises(BackendUnavailable, match="its budget allows in a minute, and this answer needs 6 more") as caught:
            await reader.read(of(*range(16)), [LAST])
        assert caught.value.retry_after == 5
        reading.now = NOW + 60
        (readout,) = await reader.read(of(*range(15)), [LAST])
    assert readout.moment == LAST
    assert readout.marks == frozenset()


async def test_what_needs_more_than_all_of_the_budget_is_told_how_much(reading: Reading):
    async with reading.reader(9) as reader:
        with pytest.raises(BackendRefused, match="set budget to 10 or more, or ask for less"):
            await reader.read(TEN, [LAST])
    assert reading.asked == []


async def test_a_history_is_not_made_of_older_numbers(reading: Reading):
    async with reading.reader(10) as reader:
        await reader.read(TEN, [LAST.earlier()])
        with pytest.raises(BackendUnavailable):
            await reader.read(TEN, minutes(2))


async def test_what_is_known_or_coming_needs_no_budget(reading: Reading):
    reading.aws.slow("GetMetricData", 0.05)
    async with reading.reader(10) as reader:
        coming = asyncio.create_task(reader.read(TEN, [LAST]))
        await reading.arrived(1)
        (joined,) = await reader.read(TEN, [LAST])
        (known,) = await reader.read(of(3), [LAST])
        await coming
    assert same(joined, TEN, LAST)
    assert same(known, of(3), LAST)


async def test_where_whole_periods_are_older_numbers_are_whole_periods_too(reading: Reading):
    reading.aws.data.anchor = "epoch"
    async with reading.reader(20) as reader:
        # The first ten are spent to learn where periods begin.
        await reader.read(TEN, [Moment(NOW - MINUTE, 2 * MINUTE)])
        assert reader.whole_periods
        (readout,) = await reader.read(TEN, [Moment(NOW + MINUTE, 2 * MINUTE)])
    assert (readout.moment, readout.marks) == (Moment(NOW - 2 * MINUTE, 2 * MINUTE), {STALE})


# What costs nothing


@pytest.mark.parametrize("fault", ["throttle", "error"])
async def test_what_aws_turned_away_goes_back(reading: Reading, fault: Fault):
    reading.aws.fail("GetMetricData", fault)
    async with reading.reader(10) as reader:
        with pytest.raises(BackendUnavailable):
            await reader.read(TEN, [LAST])
        assert reader.usage(reading.session).billed == reading.aws.billed == 0
        (readout,) = await reader.read(TEN, [LAST])
    assert same(readout, TEN, LAST)


async def test_what_was_never_sent_goes_back(reading: Reading):
    dead = replace(SETTINGS, endpoint_url="http://127.0.0.1:1")
    async with Aws(dead, attempts=1) as session, reading.reader(10, session) as reader:
        with pytest.raises(BackendUnavailable, match=r"cannot be reached at http://127\.0\.0\.1:1"):
            await reader.read(TEN, [LAST])
    assert (reading.budget.billed, reading.budget.left) == (0, 10)


@pytest.mark.parametrize(
    ("fault", "error"),
    [pytest.param("drop", BackendUnavailable, id="broken off"), pytest.param("garbage", BackendProtocolError, id="unreadable")],
)
async def test_what_may_have_been_requested_counts(reading: Reading, fault: Fault, error: type[Exception]):
    reading.aws.fail("GetMetricData", fault)
    async with reading.reader(10) as reader:
        with pytest.raises(error):
            await reader.read(TEN, [LAST])
    assert reading.budget.billed == 10
