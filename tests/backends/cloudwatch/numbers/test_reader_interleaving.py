"""Whoever asks for what and when, and whoever gives up: nothing is read twice, and every answer is the truth about one moment."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backends.cloudwatch.metric import Wanted
from backends.cloudwatch.moment import MINUTE, Moment
from backends.cloudwatch.reader import Reader
from metrics_api import BackendRefused, BackendUnavailable
from tests.backends.cloudwatch.numbers.reading import NOW, STATISTICS, Reading, latency, same, triples, truth

_SLOW = 0.002
_MOST = 6


@dataclass(frozen=True, slots=True)
class Question:
    """What somebody asks after some steps of time, and gives up after some more, or never."""

    wanted: Wanted
    moments: tuple[Moment, ...]
    after: int
    patience: int | None


WANTED = st.dictionaries(
    st.integers(0, 9).map(latency),
    st.lists(st.sampled_from(STATISTICS), min_size=1, unique=True).map(tuple),
    min_size=1,
    max_size=4,
)
STEPS = st.integers(0, _MOST)


def moments(seconds: int) -> st.SearchStrategy[Moment]:
    return st.integers(0, 5).map(lambda back: Moment(NOW - back * MINUTE, seconds))


def questions(asked: st.SearchStrategy[tuple[Moment, ...]]) -> st.SearchStrategy[list[Question]]:
    one = st.builds(Question, WANTED, asked, STEPS, st.none() | STEPS)
    return st.lists(one, min_size=1, max_size=8)


ONE = st.tuples(st.sampled_from([MINUTE, 2 * MINUTE]).flatmap(moments))
MANY = st.sampled_from([MINUTE, 3 * MINUTE]).flatmap(lambda seconds: st.lists(moments(seconds), min_size=1, max_size=4).map(tuple))


async def ask(reader: Reader, question: Question) -> bool:
    """Ask, and look at the answer; False when the question was given up."""
    await asyncio.sleep(question.after * _SLOW / 2)
    patience = None if question.patience is None else question.patience * _SLOW / 2
    try:
        async with asyncio.timeout(patience):
            readouts = await reader.read(question.wanted, question.moments)
    except TimeoutError:
        return False
    for readout, moment in zip(readouts, question.moments, strict=True):
        assert same(readout, question.wanted, moment)
    return True


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(asked=questions(ONE))
async def test_nothing_is_read_twice(reading: Reading, asked: list[Question]):
    reading.begin()
    reading.aws.slow("GetMetricData", _SLOW)
    async with reading.reader() as reader:
        await asyncio.gather(*(ask(reader, question) for question in asked))
        # What was given up arrives all the same.
        told = [await reader.read(question.wanted, question.moments) for question in asked]
    assert all(same(readout, question.wanted, question.moments[0]) for (readout,), question in zip(told, asked, strict=True))
    assert set(triples(reading.aws).values()) == {1}
    assert reading.budget.billed == reading.aws.billed


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(asked=questions(MANY))
async def test_histories_are_the_truth_and_paid_for_once(reading: Reading, asked: list[Question]):
    reading.begin()
    reading.aws.slow("GetMetricData", _SLOW)
    async with reading.reader() as reader:
        await asyncio.gather(*(ask(reader, question) for question in asked))
        for question in asked:
            await reader.read(question.wanted, question.moments)
        paid = reading.budget.billed
        assert all([await ask(reader, Question(question.wanted, question.moments, 0, None)) for question in asked])
    assert paid == reading.budget.billed == reading.aws.billed


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(asked=questions(ONE), ceiling=st.integers(1, 12))
async def test_no_interleaving_spends_more_than_the_budget(reading: Reading, asked: list[Question], ceiling: int):
    reading.begin()
    reading.aws.slow("GetMetricData", _SLOW)
    async with reading.reader(ceiling) as reader:

        async def try_to(question: Question) -> bool:
            await asyncio.sleep(question.after * _SLOW / 2)
            try:
                (readout,) = await reader.read(question.wanted, question.moments)
            except (BackendUnavailable, BackendRefused):
                return False
            assert readout.moment == question.moments[0] or readout.marks
            assert readout.values == truth(question.wanted, readout.moment)
            return not readout.marks

        answered = await asyncio.gather(*map(try_to, asked))
        refused = reader.usage(reading.session).refused
    assert reading.aws.billed <= ceiling
    assert refused == answered.count(False)
