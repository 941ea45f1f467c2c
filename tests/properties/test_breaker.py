"""Whatever questions meet at a circuit, in whatever order they end: it protects the source, and never longer than it says."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, MultipleResults, RuleBasedStateMachine, consumes, invariant, multiple, precondition, rule

from apiservice.federation.breaker import Admission, Breaker, Circuit
from metrics_api import BackendTimeout
from metrics_api.errors import BackendError, BackendForgot, BackendRefused
from tests.doubles.clock import ManualClock

COOL_DOWN = 8.0
THRESHOLD = 3


class Circuits(RuleBasedStateMachine):
    """One circuit, and beside it the plain words of the rules: what has failed in a row, until when nobody asks, and who probes."""

    under_way = Bundle("under_way")

    def __init__(self) -> None:
        super().__init__()
        self.clock = ManualClock()
        self.breaker = Breaker(COOL_DOWN, THRESHOLD, self.clock.monotonic)
        self.row: list[str] = []
        self.quiet_until = 0.0
        self.probe: Admission | None = None
        self.news: set[int] = set()
        """The questions asked since the circuit last opened or closed, by their ``id``."""
        self.kept: list[Admission] = []

    @property
    def expected(self) -> Circuit:
        if len(self.row) < THRESHOLD:
            return Circuit.CLOSED
        return Circuit.OPEN if self.clock.monotonic() < self.quiet_until else Circuit.HALF_OPEN

    @rule(target=under_way)
    def ask(self) -> Admission | MultipleResults[Admission]:
        admission = self.breaker.admit()
        match self.expected:
            case Circuit.CLOSED:
                assert admission is not None
                assert not admission.probe
            case Circuit.HALF_OPEN if self.probe is None:
                assert admission is not None
                assert admission.probe
                self.probe = admission
            case _:
                assert admission is None
        if admission is None:
            return multiple()
        self.news.add(id(admission))
        self.kept.append(admission)
        return admission

    @rule(admission=consumes(under_way), error=st.sampled_from([None, BackendRefused("mesh", "denies access")]))
    def speaks(self, admission: Admission, error: BackendError | None) -> None:
        if self.expected is not Circuit.CLOSED:
            self.news.clear()
        self.row, self.probe = [], None
        self.breaker.ended(admission, error)

    @rule(admission=consumes(under_way), number=st.integers(0, 99))
    def fails(self, admission: Admission, number: int) -> None:
        if id(admission) in self.news:
            self.row.append(f"was late {number} times")
            if len(self.row) >= THRESHOLD:
                self.quiet_until = self.clock.monotonic() + COOL_DOWN
            if len(self.row) == THRESHOLD:
                self.news.clear()
        if admission is self.probe:
            self.probe = None
        self.breaker.ended(admission, BackendTimeout("mesh", f"was late {number} times"))

    @rule(admission=consumes(under_way), forgot=st.booleans())
    def tells_nothing(self, admission: Admission, *, forgot: bool) -> None:
        if admission is self.probe:
            self.probe = None
        if forgot:
            self.breaker.ended(admission, BackendForgot("mesh", "keeps nothing of then"))
        else:
            self.breaker.gave_up(admission)

    @rule(seconds=st.sampled_from([0.5, 3.0, COOL_DOWN]))
    def time_passes(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @precondition(lambda self: self.expected is Circuit.CLOSED)
    @rule()
    def an_outage_begins(self) -> None:
        while self.expected is Circuit.CLOSED:
            admission = self.breaker.admit()
            assert admission is not None
            self.news.add(id(admission))
            self.kept.append(admission)
            self.fails(admission, len(self.row))

    @precondition(lambda self: self.expected is Circuit.OPEN)
    @rule(target=under_way)
    def it_has_cooled_down(self) -> Admission | MultipleResults[Admission]:
        self.clock.advance(self.breaker.retry_in)
        return self.ask()

    @precondition(lambda self: self.expected is not Circuit.CLOSED and self.probe is None)
    @rule()
    def what_is_restored_is_asked_again_when_it_said(self) -> None:
        self.clock.advance(self.breaker.retry_in)
        admission = self.breaker.admit()
        assert admission is not None
        assert admission.probe
        self.kept.append(admission)
        self.speaks(admission, None)

    @precondition(lambda self: self.expected is not Circuit.CLOSED)
    @rule()
    def who_is_refused_is_told_why_and_until_when(self) -> None:
        told = self.breaker.refusal("mesh")
        assert f": it failed {len(self.row)} times in a row, last: {self.row[-1]}; it is " in told.message
        assert 1 <= told.retry_after <= COOL_DOWN

    @invariant()
    def it_is_in_the_state_that_the_rules_say(self) -> None:
        assert self.breaker.state is self.expected
        assert self.breaker.retry_in == (self.quiet_until - self.clock.monotonic() if self.expected is Circuit.OPEN else 0)
        assert self.breaker.retry_in <= COOL_DOWN
        assert (self.breaker.since is None) == (self.expected is Circuit.CLOSED)
        assert self.breaker.reason == (f'source "mesh": {self.row[-1]}' if self.row else "")


Circuits.TestCase.settings = settings(stateful_step_count=40)
TestCircuits = Circuits.TestCase


def closed_after(outcomes: list[BackendError | None]) -> Breaker:
    breaker = Breaker(COOL_DOWN, THRESHOLD, ManualClock().monotonic)
    for outcome in outcomes:
        admission = breaker.admit()
        assert admission is not None
        breaker.ended(admission, outcome)
    return breaker


LATE = BackendTimeout("mesh", "did not answer within 10s")


@pytest.mark.parametrize(
    ("outcomes", "state"),
    [
        pytest.param([LATE] * 2, Circuit.CLOSED, id="too-few"),
        pytest.param([LATE] * 3, Circuit.OPEN, id="enough"),
        pytest.param([LATE, LATE, None, LATE, LATE], Circuit.CLOSED, id="not-in-a-row"),
        pytest.param([BackendRefused("mesh", "denies access")] * 9, Circuit.CLOSED, id="refusals-are-answers"),
        pytest.param([BackendForgot("mesh", "keeps nothing")] * 9, Circuit.CLOSED, id="so-is-having-forgotten"),
        pytest.param([LATE, BackendForgot("mesh", "keeps nothing"), LATE, LATE], Circuit.OPEN, id="which-does-not-end-a-row"),
    ],
)
def test_a_circuit_opens_after_failures_in_a_row(outcomes: list[BackendError | None], state: Circuit) -> None:
    assert closed_after(outcomes).state is state


def test_who_is_refused_reads_what_failed_and_when_it_is_tried_again() -> None:
    refusal = closed_after([LATE] * 3).refusal("mesh")
    assert refusal.message == (
        'source "mesh": was not asked: it failed 3 times in a row, last: did not answer within 10s; it is tried again in 8s'
    )
    assert refusal.retry_after == 8


def asked_of(breaker: Breaker) -> Admission:
    admission = breaker.admit()
    assert admission is not None
    return admission


def outlived_probe(breaker: Breaker, clock: ManualClock) -> Admission:
    """A probe that is still under way when an answer to an older question has closed the circuit."""
    old = asked_of(breaker)
    for _ in range(THRESHOLD):
        breaker.ended(asked_of(breaker), LATE)
    clock.advance(COOL_DOWN)
    probe = asked_of(breaker)
    assert (probe.probe, breaker.state) == (True, Circuit.HALF_OPEN)
    breaker.ended(old)
    assert breaker.state is Circuit.CLOSED
    return probe


def test_a_probe_that_fails_after_the_circuit_has_closed_is_no_news() -> None:
    clock = ManualClock()
    breaker = Breaker(COOL_DOWN, THRESHOLD, clock.monotonic)
    breaker.ended(outlived_probe(breaker, clock), LATE)
    for _ in range(THRESHOLD - 1):
        breaker.ended(asked_of(breaker), LATE)
    assert breaker.state is Circuit.CLOSED


def test_a_probe_of_an_earlier_outage_stands_in_nobodys_way() -> None:
    clock = ManualClock()
    breaker = Breaker(COOL_DOWN, THRESHOLD, clock.monotonic)
    earlier = outlived_probe(breaker, clock)
    for _ in range(THRESHOLD):
        breaker.ended(asked_of(breaker), LATE)
    clock.advance(COOL_DOWN)
    assert asked_of(breaker).probe
    breaker.gave_up(earlier)
    assert breaker.admit() is None
