"""Which whole minutes answer a question, and what its reader is told of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.cloudwatch.moment import Moment, moment_of, remark
from metrics_api import Window

NOON = 1_763_812_800
DAY = 86_400


@pytest.mark.parametrize(
    ("instant", "window", "now", "moment"),
    [
        pytest.param(NOON, 60, NOON, Moment(NOON - 120, 60), id="numbers arrive two minutes late"),
        pytest.param(NOON + 59, 60, NOON + 59, Moment(NOON - 120, 60), id="the minute under way is not over"),
        pytest.param(NOON, 30, NOON, Moment(NOON - 120, 60), id="half a minute is a minute"),
        pytest.param(NOON, 61, NOON, Moment(NOON - 120, 120), id="a second more is a minute more"),
        pytest.param(NOON, 300, NOON, Moment(NOON - 120, 300), id="five minutes need not begin at a multiple of five"),
        pytest.param(NOON, 60, NOON + 3600, Moment(NOON, 60), id="what is past has arrived"),
        pytest.param(NOON, 60, NOON + 60, Moment(NOON - 60, 60), id="a minute ago"),
        pytest.param(NOON + 17, 60, NOON + 3600, Moment(NOON, 60), id="the past is of whole minutes"),
        pytest.param(NOON, 60, NOON + 16 * DAY, Moment(NOON, 300), id="after 15 days minutes are added up to five"),
        pytest.param(NOON, 400, NOON + 16 * DAY, Moment(NOON, 600), id="of which there must be whole ones"),
        pytest.param(NOON, 60, NOON + 64 * DAY, Moment(NOON, 3600), id="after 63 days to hours"),
        pytest.param(NOON, 60, NOON + 456 * DAY, None, id="after 455 days nothing is kept"),
    ],
)
def test_the_moment_is_the_latest_of_whole_minutes_that_have_arrived(
    instant: int, window: int, now: int, moment: Moment | None
) -> None:
    assert moment_of(instant, Window(window), now, 120) == moment


def test_where_periods_begin_at_multiples_of_their_length_so_does_the_moment() -> None:
    assert moment_of(NOON + 420, Window(300), NOON + DAY, 120, whole_periods=True) == Moment(NOON + 300, 300)


@given(
    instant=st.integers(NOON - 400 * DAY, NOON + 3600) | st.integers(NOON - 15 * DAY, NOON - 14 * DAY),
    window=st.integers(1, 3600),
    delay=st.integers(0, 600),
    whole=st.booleans(),
)
def test_a_moment_is_no_shorter_than_the_window_never_later_and_of_a_period_that_is_kept(
    instant: int, window: int, delay: int, *, whole: bool
) -> None:
    moment = moment_of(instant, Window(window), NOON, delay, whole_periods=whole)
    assert moment is not None
    assert moment.seconds >= window
    assert moment.end <= min(instant, NOON - delay)
    assert moment.end - moment.start == moment.seconds
    age = NOON - moment.start
    kept = 60 if age <= 15 * DAY else 300 if age <= 63 * DAY else 3600
    assert moment.seconds % kept == 0
    assert moment.end % (moment.seconds if whole else kept) == 0


def test_a_reader_is_told_which_minutes_the_numbers_cover() -> None:
    assert remark("aws", NOON, Window(30), Moment(NOON - 120, 60)) == (
        'source "aws" has whole minutes, some time after they are over: '
        "the numbers cover 1m0s until 2025-11-22T11:58:00Z (not 30s, 2m0s before the instant that was asked for)"
    )


def test_a_reader_is_told_nothing_when_it_is_what_was_asked_for() -> None:
    assert remark("aws", NOON, Window(60), Moment(NOON, 60)) is None


def test_a_remark_about_long_ago_says_that_minutes_are_kept_no_more() -> None:
    assert (remark("aws", NOON, Window(60), Moment(NOON, 300)) or "").startswith(
        'source "aws" tells of no single minutes so long ago: the numbers cover 5m0s until '
    )
