"""The budget: what may be requested in a minute, what was, and what a month of it costs."""

from __future__ import annotations

import pytest

from backends.cloudwatch.budget import Budget
from backends.cloudwatch.cost import dollars_per_month
from metrics_api import BackendRefused, BackendUnavailable

NOW = 1_800_000_000


class Clock:
    """Unix seconds, as a test wants them."""

    now: float = NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def budget(clock: Clock) -> Budget:
    return Budget("aws", 100, clock)


def spend(budget: Budget, metrics: int) -> None:
    assert budget.reserve(metrics) is not None


def test_what_is_left_can_be_reserved_and_no_more(budget: Budget):
    spend(budget, 60)
    assert budget.reserve(41) is None
    spend(budget, 40)
    assert budget.reserve(1) is None
    assert (budget.left, budget.billed) == (0, 100)


def test_each_minute_of_the_clock_has_its_own(budget: Budget, clock: Clock):
    clock.now = NOW + 59.9
    spend(budget, 100)
    assert budget.left == 0
    clock.now = NOW + 60
    assert budget.left == 100


def test_what_was_not_requested_goes_back(budget: Budget):
    reservation = budget.reserve(100)
    assert reservation is not None
    budget.settle(reservation, 30)
    assert (budget.left, budget.billed) == (70, 30)


def test_what_goes_back_later_is_of_no_use_to_another_minute(budget: Budget, clock: Clock):
    reservation = budget.reserve(100)
    assert reservation is not None
    clock.now = NOW + 60
    spend(budget, 10)
    budget.settle(reservation, 0)
    assert (budget.left, budget.billed) == (90, 10)


def test_more_than_was_reserved_counts_too(budget: Budget):
    reservation = budget.reserve(10)
    assert reservation is not None
    budget.settle(reservation, 120)
    assert (budget.left, budget.billed) == (0, 120)


def test_a_clock_that_is_set_back_does_no_harm(budget: Budget, clock: Clock):
    spend(budget, 100)
    clock.now = NOW - 7200
    spend(budget, 100)
    assert budget.billed == 200


# What it costs


def test_a_month_like_the_last_hour(budget: Budget, clock: Clock):
    for minute in range(180):
        clock.now = NOW + 60 * minute
        spend(budget, 100)
    # Of 6000 metrics an hour: 730 hours at a cent for a thousand.
    assert budget.monthly_dollars == pytest.approx(6000 * 730 * 0.01 / 1000)
    assert budget.monthly_dollars == pytest.approx(dollars_per_month(100, 60))


def test_an_hour_ago_is_forgotten(budget: Budget, clock: Clock):
    spend(budget, 100)
    clock.now = NOW + 3540
    assert budget.monthly_dollars > 0
    clock.now = NOW + 3600
    assert budget.monthly_dollars == 0


@pytest.mark.parametrize(
    ("after", "seconds"),
    [
        pytest.param(0, 300, id="at once"),
        pytest.param(299, 300, id="within five minutes"),
        pytest.param(900, 900, id="a quarter of an hour"),
        pytest.param(3000, 3000, id="most of an hour"),
    ],
)
def test_after_a_start_the_time_since_then_counts(budget: Budget, clock: Clock, after: int, seconds: int):
    spend(budget, 100)
    clock.now = NOW + after
    assert budget.monthly_dollars == pytest.approx(dollars_per_month(100, seconds))


def test_nothing_requested_costs_nothing(budget: Budget):
    assert budget.monthly_dollars == 0


# What it says


@pytest.mark.parametrize(
    ("second", "wait", "retry"),
    [pytest.param(0.5, 60, 10, id="early"), pytest.param(45.5, 15, 10, id="later"), pytest.param(57, 3, 3, id="late")],
)
def test_who_is_refused_learns_when_to_ask_again(budget: Budget, clock: Clock, second: float, wait: int, retry: int):
    clock.now = NOW + second
    spend(budget, 95)
    error = budget.refusal(10)
    assert isinstance(error, BackendUnavailable)
    assert error.retry_after == retry
    assert error.message == (
        'source "aws": has requested 95 of the 100 metrics that its budget allows in a minute, and this answer needs 10 more; '
        f"ask again in {wait}s, ask less often, or raise budget"
    )


def test_a_question_larger_than_the_budget_is_told_so(budget: Budget):
    error = budget.refusal(101)
    assert isinstance(error, BackendRefused)
    assert "would have to request 101 metrics for this answer, and its budget allows 100 in a minute" in error.message
    assert "set budget to 101 or more" in error.message
