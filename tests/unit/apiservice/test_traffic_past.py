"""A past instant: what was observed then meets what exists now, which says little about then."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from urllib.parse import parse_qsl

import pytest

from apiservice.answers import Answers
from apiservice.federation.fanout import Fanout
from apiservice.objects import Objects, StandaloneObjects
from apiservice.question import parse_question
from apiservice.requestinfo import parse_request
from apiservice.result import Result
from apiservice.traffic import TrafficService
from metrics_api import ANY_WORKLOAD, BackendForgot, BackendUnavailable, NotFound, ResourceRef, Span, TrafficQuery, Window
from tests.unit.apiservice.test_traffic import API, ROOT, WEB, Cluster, Source, edge, total

NOW = 1_795_300_003.7
THEN = "2026-11-21T20:00:02Z"
INSTANT = 1_795_291_202
GONE = ResourceRef("Deployment", "shop", "gone")
CLUSTER = Cluster({WEB: {"app": "web"}, API: {"app": "api"}})
NOTHING = f"nothing of it was observed at {THEN}: there were no requests, or it is before what the sources keep"


async def answer(sources: Collection[Source], objects: Objects, path: str, query: str = "") -> Result:
    parameters = dict(parse_qsl(f"time={THEN}&{query}", keep_blank_values=True))
    request = parse_request("GET", f"{ROOT}/{path}", parameters)
    question = parse_question(request, parameters, Window(30), clock=lambda: NOW)
    return await Answers(TrafficService(Fanout.of(tuple(sources)), objects), refresh=5, clock=lambda: NOW).answer(question)


def names(result: Result) -> list[str]:
    return [row.name for row in result.rows]


async def test_everything_is_of_the_instant_that_was_asked_about():
    source = Source((total(WEB), total(API)))
    result = await answer([source], CLUSTER, "deployments")
    assert [query.instant for query in source.asked] == [INSTANT]
    assert {result.instant, *(row.instant for row in result.rows)} == {INSTANT}
    assert result.warnings == ()


async def test_what_was_observed_is_shown_though_it_is_gone():
    source = Source((total(WEB), total(GONE)))
    assert names(await answer([source], CLUSTER, "deployments")) == ["gone", "web"]
    (row,) = (await answer([source], CLUSTER, "namespaces/shop/deployments/gone")).rows
    assert (row.name, row.success, row.labels) == ("gone", 10_000, {})
    (row,) = (await answer([source], CLUSTER, "namespaces/shop/trafficmetrics/deployment.gone")).rows
    assert row.resource == GONE


async def test_edges_of_what_is_gone_are_shown():
    result = await answer([Source((edge(GONE, API),))], CLUSTER, "namespaces/shop/deployments/gone/edges")
    assert [row.edge.peer for row in result.rows] == [API]


async def test_objects_of_today_are_added_only_when_they_are_asked_for():
    source = Source((total(WEB),))
    assert names(await answer([source], CLUSTER, "deployments")) == ["web"]
    result = await answer([source], CLUSTER, "deployments", "includeIdle=true")
    assert [(row.name, row.success) for row in result.rows] == [("api", None), ("web", 10_000)]
    (row,) = (await answer([source], CLUSTER, "namespaces/shop/deployments/api")).rows
    assert (row.success, row.instant) == (None, INSTANT)


@pytest.mark.parametrize("objects", [CLUSTER, StandaloneObjects("Deployment")], ids=["cluster", "standalone"])
@pytest.mark.parametrize("path", ["gone", "gone/edges"])
async def test_what_was_not_observed_and_is_not_there_is_not_found(objects: Objects, path: str):
    with pytest.raises(NotFound, match=NOTHING):
        await answer([Source()], objects, f"namespaces/shop/deployments/{path}")
    with pytest.raises(NotFound):
        await answer([Source((total(WEB),))], objects, f"namespaces/shop/deployments/{path}")


async def test_an_object_of_today_without_edges_then_has_an_empty_list_of_them():
    result = await answer([Source((total(WEB),))], CLUSTER, "namespaces/shop/deployments/web/edges")
    assert (result.rows, result.warnings) == ((), (NOTHING,))


async def test_an_empty_list_says_that_it_may_be_too_long_ago():
    result = await answer([Source()], CLUSTER, "deployments")
    assert (result.rows, result.warnings) == ((), (NOTHING,))


async def test_a_history_says_at_its_end_alone_that_it_may_be_too_long_ago():
    """Each of its instants would say it of itself."""
    request = parse_request("GET", f"{ROOT}/deployments", {})
    span = Span(INSTANT - 60, INSTANT, 30)
    service = TrafficService(Fanout.of((Source(),)), CLUSTER)
    told = []
    for instant in span.instants:
        question = replace(parse_question(request, {}, Window(30), clock=lambda: NOW), instant=instant, span=span)
        told.append((await service.answer(question, instant)).warnings)
    assert told == [(), (), (NOTHING,)]


async def test_absence_is_not_claimed_while_a_source_that_may_know_is_down():
    sources = [Source(error=BackendUnavailable("aws", "is down"), name="aws"), Source((total(WEB),))]
    with pytest.raises(BackendUnavailable, match="whether it exists is not known"):
        await answer(sources, CLUSTER, "namespaces/shop/deployments/gone")


async def test_a_source_that_forgot_is_no_empty_list_and_no_trouble():
    forgot = Source(error=BackendForgot("mesh", f"keeps nothing of {THEN}"))
    with pytest.raises(BackendForgot, match="keeps nothing of"):
        await answer([forgot], CLUSTER, "deployments")
    # Beside one that remembers it is something that may be missing.
    result = await answer([forgot, Source((total(WEB),), name="store")], CLUSTER, "deployments")
    assert (names(result), result.incomplete, result.warnings) == (["web"], True, (f'source "mesh": keeps nothing of {THEN}',))
    fanout = Fanout.of([forgot])
    with pytest.raises(BackendForgot):
        await fanout.gather(TrafficQuery(("Deployment",), Window(30), INSTANT))
    # Its health is about now.
    assert fanout.trouble("mesh") is None


async def test_a_label_selector_compares_the_labels_of_now_and_says_whose_are_not_known():
    source = Source((total(WEB), total(API), total(GONE)))
    result = await answer([source], CLUSTER, "deployments", "labelSelector=app in (web)")
    assert names(result) == ["web"]
    assert result.warnings == ("labelSelector compares the labels objects have now: those of 1 that are gone are not known",)
    blind = Cluster({}, warnings=("deployments cannot be listed: forbidden",))
    with pytest.raises(BackendUnavailable, match="a label selector cannot be applied"):
        await answer([source], blind, "deployments", "labelSelector=app=web")


async def test_a_workload_known_by_name_alone_that_is_gone_is_left_out_and_named():
    bare = [ResourceRef(ANY_WORKLOAD, "shop", name) for name in ("web", "e", "d", "c", "b", "a")]
    source = Source(tuple(map(total, bare)))
    why = "because the mesh tells no more than their names, and what exists now does not tell what they were"
    left_out = f"left out of {THEN}, {why}: shop/a, shop/b, shop/c and 2 more"
    result = await answer([source], CLUSTER, "deployments")
    assert (names(result), result.warnings) == (["web"], (left_out,))
    with pytest.raises(NotFound, match=r"does not tell what they were: shop/a$"):
        await answer([source], CLUSTER, "namespaces/shop/deployments/a")
    # Whoever may read another namespace is told no names of this one.
    assert (await answer([source], CLUSTER, "namespaces/back/deployments")).warnings == ()
    assert names(await answer([source], StandaloneObjects("Deployment"), "deployments")) == ["a", "b", "c", "d", "e", "web"]


async def test_what_is_told_is_plain_text_that_every_encoder_takes():
    bare = [ResourceRef(ANY_WORKLOAD, "shop", name) for name in ("web", "gone")]
    result = await answer([Source(tuple(map(total, bare)))], CLUSTER, "deployments")
    assert result.warnings
    assert {type(warning) for warning in result.warnings} == {str}


async def test_an_instant_is_asked_about_once_however_many_want_it():
    source = Source((total(WEB),))
    service = Answers(TrafficService(Fanout.of([source]), CLUSTER), refresh=5, clock=lambda: NOW)
    for query in (
        {"time": THEN},
        {"time": "2026-11-21T20:00:02.5Z"},
        {"time": THEN, "percentiles": "95"},
        {"time": THEN, "stats": "stddev"},
    ):
        question = parse_question(parse_request("GET", f"{ROOT}/deployments", query), query, Window(30), clock=lambda: NOW)
        await service.answer(question)
    assert len(source.asked) == 1
