"""A source whose numbers are of another window, or of another instant, than those of the first one."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

import pytest

from apiservice.answers import Answers
from apiservice.objects import StandaloneObjects
from apiservice.question import Question
from apiservice.result import Result
from apiservice.visibility import AuthorizedPeers
from metrics_api import Answer, BackendUnavailable, ResourceRef, TrafficQuery, Window, timestamp
from tests.unit.apiservice.test_traffic import API, WEB, Cluster, Source, answer, total
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


async def test_that_the_first_source_fails_does_not_turn_the_version_of_the_answer_back():
    """Whoever watches would hear nothing, not even of the failure, until the late source has come so far."""
    down = Source(error=BackendUnavailable("mesh", "is down"))
    result = await answer([down, late("api")], STANDALONE, "namespaces/shop/deployments")
    assert (result.instant, result.window, result.incomplete) == (100, Window(30), True)
    assert [(row.instant, row.window, row.told_at) for row in result.rows] == [(60, Window(60), 100)]


async def test_each_row_says_how_much_older_its_numbers_are_than_what_was_asked_about():
    result = await answer([Source((total(WEB),)), late("api")], STANDALONE, "namespaces/shop/deployments")
    told = {
        row.name: {name.removeprefix("metrics.smi-spec.io/"): text for name, text in row.annotations.items()} for row in result.rows
    }
    assert told == {
        "web": {"source": "mesh", "effective-window": "30s", "staleness": "0s"},
        "api": {"source": "aws", "effective-window": "1m0s", "staleness": "40s"},
    }
    (alone,) = (await answer([late("web")], STANDALONE, "namespaces/shop/deployments/web")).rows
    assert alone.annotations["metrics.smi-spec.io/staleness"] == "40s"


async def test_what_nobody_observed_comes_from_nowhere():
    cluster = Cluster({WEB: {}, API: {}})
    result = await answer([late("web")], cluster, "namespaces/shop/deployments", "includeIdle=true")
    assert [(row.name, bool(row.annotations)) for row in result.rows] == [("api", False), ("web", True)]


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


class Owning(Cluster):
    """A cluster in which every pod is one of ``web``."""

    def members(self, kinds: Collection[str]) -> tuple[str, ...]:  # noqa: ARG002 whatever they are
        return ("Pod",)

    def above(self, resource: ResourceRef, kinds: Collection[str]) -> tuple[ResourceRef, ...]:  # noqa: ARG002 whatever they are
        return (WEB,) if resource.kind == "Pod" else (resource,)


@pytest.mark.parametrize(("second", "success", "incomplete"), [(Source, 7_000, False), (Late, 5_000, True)], ids=["same", "late"])
async def test_pods_that_two_sources_tell_of_are_added_where_both_are_of_one_instant(
    second: type[Source], success: int, *, incomplete: bool
):
    pods = [replace(total(ResourceRef("Pod", "shop", name), count), source=source) for name, count, source in PODS]
    sources = [Source((pods[0],), name="mesh"), second((pods[1],), name="aws")]
    result = await answer(sources, Owning({WEB: {}}), "namespaces/shop/deployments")
    (row,) = result.rows
    assert (row.success, result.incomplete, row.source) == (success, incomplete, "mesh" if incomplete else "mesh,aws")
    told = 'these numbers are of source "mesh" alone, because those of "aws" are of another window or instant and cannot be added: shop/web'
    assert (told in result.warnings) is incomplete


PODS = [("web-1", 5, "mesh"), ("web-2", 2, "aws")]
