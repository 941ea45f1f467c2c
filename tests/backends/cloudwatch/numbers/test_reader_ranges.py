"""Reading a history: many moments for the price of one where their periods fit together, and never a period that is another's."""

from __future__ import annotations

import asyncio

import pytest

from backends.cloudwatch.flights import departures
from backends.cloudwatch.moment import MINUTE, Moment
from backends.cloudwatch.reader import Reader
from tests.backends.cloudwatch.numbers.reading import LAST, NOW, Reading, latency, minutes, of, same, truth

FIVE = 5 * MINUTE
TWO = of(0, 1)


def billed(reading: Reading) -> list[int]:
    """How many metrics each request for data is billed as."""
    return [call.billed for call in reading.aws.called("GetMetricData")]


# Many moments


async def test_moments_that_follow_each_other_are_read_at_once(reading: Reading, reader: Reader):
    moments = minutes(15)
    readouts = await reader.read(TWO, moments)
    assert all(same(readout, TWO, moment) for readout, moment in zip(readouts, moments, strict=True))
    assert billed(reading) == [2]


async def test_windows_that_overlap_are_read_in_as_many_requests_as_there_are_grids(reading: Reading, reader: Reader):
    moments = minutes(15, FIVE)
    readouts = await reader.read(TWO, moments)
    assert all(same(readout, TWO, moment) for readout, moment in zip(readouts, moments, strict=True))
    assert billed(reading) == [2] * 5
    periods = {query["MetricStat"]["Period"] for call in reading.aws.calls for query in call.parameters["MetricDataQueries"]}
    assert periods == {FIVE}


async def test_moments_are_answered_in_the_order_they_were_asked_for(reader: Reader):
    moments = [*reversed(minutes(4)), LAST]
    readouts = await reader.read(TWO, moments)
    assert [readout.moment for readout in readouts] == moments
    assert all(same(readout, TWO, moment) for readout, moment in zip(readouts, moments, strict=True))


async def test_the_next_minute_of_a_history_costs_one_minute(reading: Reading, reader: Reader):
    await reader.read(TWO, minutes(15)[:-1])
    readouts = await reader.read(TWO, minutes(15))
    assert all(same(readout, TWO, moment) for readout, moment in zip(readouts, minutes(15), strict=True))
    first, second = reading.aws.called("GetMetricData")
    assert second.parameters["EndTime"] - second.parameters["StartTime"] == MINUTE
    assert first.billed == second.billed == 2


async def test_what_is_under_way_is_not_part_of_another_request(reading: Reading, reader: Reader):
    reading.aws.slow("GetMetricData", 0.05)
    live = asyncio.create_task(reader.read(TWO, [LAST]))
    await reading.arrived(1)
    readouts = await reader.read(TWO, minutes(3))
    assert all(same(readout, TWO, moment) for readout, moment in zip(readouts, minutes(3), strict=True))
    assert same((await live)[0], TWO, LAST)
    assert reading.aws.called("GetMetricData")[1].parameters["EndTime"] == LAST.start


async def test_minutes_without_data_are_no_minutes_of_others(reader: Reader):
    long_ago = Moment(NOW - 30 * MINUTE, MINUTE)
    old, new = await reader.read(TWO, [long_ago, LAST])
    assert (old.values, old.moment) == ({}, long_ago)
    assert same(new, TWO, LAST)


@pytest.mark.parametrize(
    ("ends", "seconds", "spans"),
    [
        pytest.param([0, 1, 2], 60, [(-1, 2)], id="minutes"),
        pytest.param([0, 10], 60, [(-1, 10)], id="minutes with a gap"),
        pytest.param([0, 5, 10], 300, [(-5, 10)], id="aligned"),
        pytest.param([0, 1, 5, 6], 300, [(-5, 5), (-4, 6)], id="two grids"),
        pytest.param([7, 2], 300, [(-3, 7)], id="in disorder"),
    ],
)
def test_moments_are_read_together_where_they_fit_one_grid(ends: list[int], seconds: int, spans: list[tuple[int, int]]):
    flights = departures({Moment(NOW + end * MINUTE, seconds): TWO for end in ends})
    found = [(flight.moments[0].start, flight.moments[-1].end) for flight in flights]
    assert found == [(NOW + start * MINUTE, NOW + end * MINUTE) for start, end in spans]
    assert sum(len(flight.moments) for flight in flights) == len(ends)


def test_no_request_is_larger_than_cloudwatch_allows():
    wanted = of(*range(260))
    flights = departures(dict.fromkeys(minutes(3), wanted))
    sizes = [sum(map(len, flight.wanted.values())) for flight in flights]
    assert sizes == [500, 500, 40]
    assert {metric for flight in flights for metric in flight.wanted} == wanted.keys()
    assert all(missing == flight.wanted for flight in flights for missing in flight.missing.values())


def test_metrics_are_read_in_those_moments_alone_in_which_they_are_missing():
    first, second = minutes(2)
    (flight,) = departures({first: of(0), second: of(1, statistics=("Sum",))})
    assert flight.wanted == of(0) | of(1, statistics=("Sum",))
    assert flight.missing == {first: of(0), second: of(1, statistics=("Sum",))}


def test_a_request_is_for_those_moments_alone_in_which_it_is_of_use():
    first, second = minutes(2)
    old, new = departures({first: of(*range(125)), second: of(*range(125, 250))})
    assert (old.moments, new.moments) == ([first], [second])


# Where periods begin


async def test_the_moment_asked_for_is_answered_where_periods_begin_with_the_request(reader: Reader):
    moment = Moment(NOW - 2 * MINUTE, FIVE)
    (readout,) = await reader.read(TWO, [moment])
    assert same(readout, TWO, moment)
    assert not reader.whole_periods


async def test_whole_periods_are_answered_where_they_begin_at_multiples_of_their_length(reading: Reading, reader: Reader):
    reading.aws.data.anchor = "epoch"
    (readout,) = await reader.read(TWO, [Moment(NOW - 2 * MINUTE, FIVE)])
    assert same(readout, TWO, Moment(NOW - FIVE, FIVE))
    assert reader.whole_periods
    assert len(reading.asked) == 2
    for minute in (1, 3, 4):
        (readout,) = await reader.read(TWO, [Moment(NOW - minute * MINUTE, FIVE)])
        assert same(readout, TWO, Moment(NOW - FIVE, FIVE))
    assert len(reading.asked) == 2


async def test_minutes_are_the_same_wherever_periods_begin(reading: Reading, reader: Reader):
    reading.aws.data.anchor = "epoch"
    readouts = await reader.read(TWO, minutes(7))
    assert all(same(readout, TWO, moment) for readout, moment in zip(readouts, minutes(7), strict=True))
    assert not reader.whole_periods


async def test_all_who_asked_learn_where_periods_begin(reading: Reading, reader: Reader):
    reading.aws.data.anchor = "epoch"
    moments = [Moment(NOW - minute * MINUTE, FIVE) for minute in (1, 1, 2)]
    answers = await asyncio.gather(*(reader.read(TWO, [moment]) for moment in moments))
    assert all(same(readout, TWO, Moment(NOW - FIVE, FIVE)) for (readout,) in answers)
    # One for either moment, which shows it, and one for what there is.
    assert len(reading.asked) == 3


async def test_a_history_has_whole_periods_where_there_are_no_others(reading: Reading, reader: Reader):
    reading.aws.data.anchor = "epoch"
    readouts = await reader.read(TWO, minutes(7, FIVE))
    wanted = [Moment(moment.end // FIVE * FIVE, FIVE) for moment in minutes(7)]
    assert all(same(readout, TWO, moment) for readout, moment in zip(readouts, wanted, strict=True))


async def test_numbers_of_two_periods_are_never_put_together(reading: Reading, reader: Reader):
    reading.aws.data.anchor = "epoch"
    # What was published before the end of the period alone tells one from two.
    (readout,) = await reader.read(of(3, statistics=("p50", "SampleCount")), [Moment(NOW - MINUTE, 2 * MINUTE)])
    assert readout.moment == Moment(NOW - 2 * MINUTE, 2 * MINUTE)
    assert readout.values == truth(of(3, statistics=("p50", "SampleCount")), readout.moment)
    assert readout.values[latency(3), "SampleCount"] > 0
