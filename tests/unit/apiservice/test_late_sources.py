"""A source whose numbers are of another window, or of another instant, than those of the first one."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from apiservice.answers import Answers
from apiservice.objects import StandaloneObjects
from apiservice.question import Question
from apiservice.result import Result
from apiservice.visibility import AuthorizedPeers
from metrics_api import Answer, TrafficQuery, Window, timestamp
from tests.unit.apiservice.test_traffic import WEB, Source, answer, total
from tests.unit.apiservice.test_visibility import ANN, PEERS, SHOP_READER, Edges, Place, Rights

STANDALONE = StandaloneObjects("Deployment")


@dataclass
class Late(Source):
    """A source that knows whole minutes, some of which are over."""

    name: str = "aws"

    async def answer(self, query: TrafficQuery) -> Answer:
        found = await Source.answer(self, query)
        return replace(found, instant=query.instant - 40, window=Window(60), warnings=('source "aws" has whole minutes',))


def late(*deployments: str) -> Late:
    return Late(tuple(replace(total(WEB._replace(name=name)), source="aws") for name in deployments))


async def test_each_row_says_what_its_own_numbers_describe_and_has_the_version_of_the_answer():
    result = await answer([Source((total(WEB),)), late("api", "web")], STANDALONE, "namespaces/shop/deployments")
    told = {row.name: (row.instant, row.window.seconds, row.told_at, row.source) for row in result.rows}
    assert told == {"web": (100, 30, 100, "mesh"), "api": (60, 60, 100, "aws")}
    assert (result.instant, result.window) == (100, Window(30))


async def test_the_rate_of_a_row_is_that_of_its_own_window():
    result = await answer([Source((total(WEB, 30),)), late("api")], STANDALONE, "namespaces/shop/deployments")
    assert {row.name: (row.success or 0) / 1000 / row.window.seconds for row in result.rows} == {
        "web": 1.0,
        "api": pytest.approx(10 / 60),
    }


async def test_a_source_that_is_alone_says_when_its_answer_is_of():
    result = await answer([late("web")], STANDALONE, "namespaces/shop/deployments/web")
    (row,) = result.rows
    assert (result.instant, result.window, row.instant, row.window) == (60, Window(60), 60, Window(60))
    assert row.wire()["timestamp"] == timestamp(60)


@pytest.mark.parametrize("refresh", [5, 7])
async def test_a_source_that_is_late_is_asked_about_the_same_instant_with_and_without_peers(refresh: int):
    rights = Rights(SHOP_READER | {("ann", "deployments", "data")})
    edges = Edges(list(PEERS))
    asked: list[int] = []

    async def answer(question: Question, instant: int) -> Result:
        asked.append(instant)
        result = await Edges.answer(edges, question, instant)
        return replace(result, instant=60, warnings=() if instant == 60 else ("the numbers are of a minute that is over",))

    edges.answer = answer  # type: ignore[method-assign]
    place = Place(rights, edges)
    place.peers = AuthorizedPeers(Answers(edges, refresh, lambda: 103.7), rights, place.objects, lambda: 103.7)
    result = await place.peers.answer(place.question(ANN))
    assert asked == [103 // refresh * refresh] * 2
    assert (result.instant, result.warnings) == (60, ("the numbers are of a minute that is over",))
