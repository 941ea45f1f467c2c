"""A hundred thousand requests nobody has thought of, and what is left of them afterwards: nothing."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.campaign import Campaign, learn
from tests.fuzz.grammar import Grammar
from tests.fuzz.process import Target
from tests.fuzz.rules import Rules
from tests.fuzz.wire import Connection

ALWAYS_SEEN = {200, 400, 401, 404, 405, 406, 410, 421, 422, 431, 503, 504}
"""Statuses every long run meets: one that does not has stopped to ask what leads to them."""


@pytest.mark.timeout(600)
def test_generated_requests_are_answered_by_the_rules_and_leave_nothing_behind(target: Target, seed: str, amount: int):
    campaign = Campaign.over(lambda: Connection(target.plain), seed)
    empty = target.measure()
    # What is kept on purpose, answers and series, has its bounds; they are reached before growth is measured.
    campaign.run(amount // 3)
    campaign.close()
    before = target.settled(empty)
    campaign.run(amount - amount // 3)
    campaign.close()
    after = target.settled(empty)
    assert campaign.statuses.total() == amount
    assert after.descriptors <= empty.descriptors
    assert after.tasks <= empty.tasks
    assert after.objects - before.objects < 10_000
    assert after.resident - before.resident < 32 * 1024 * 1024
    if amount >= 20_000:
        assert ALWAYS_SEEN - campaign.statuses.keys() == set()
        assert campaign.statuses[200] > amount / 5
    assert target.log == "", seed


def test_a_request_that_breaks_a_rule_is_made_as_plain_as_can_be(target: Target):
    """Hypothesis draws in the place of the generator: what it prints is the plainest request that fails."""
    document, others = learn(lambda: Connection(target.plain))
    rules = Rules(document)

    @settings(max_examples=500, deadline=None, derandomize=True, database=None)
    @given(st.randoms(use_true_random=False))
    def holds(random: random.Random) -> None:
        shaped = Grammar(document["paths"], others, random).make()
        with Connection(target.plain) as connection:
            connection.send(shaped.request.encode())
            response = connection.receive(shaped.request.method)
            assert response is not None
            rules.check(shaped, response)

    holds()
