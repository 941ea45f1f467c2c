"""Reading for surfaces: in the user's name, no more than the user may, and a history out of one question to each source."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import pytest

from apiservice.answers import Answers
from apiservice.authorization import Decision
from apiservice.federation.fanout import Fanout
from apiservice.identity import User
from apiservice.objects import StandaloneObjects
from apiservice.question import Question, parse_question
from apiservice.requestinfo import RequestInfo
from apiservice.status import StatusError
from apiservice.surfaces.reading import Asked, Reader
from apiservice.traffic import TrafficService
from apiservice.visibility import AuthorizedPeers
from metrics_api import (
    EVERYTHING,
    Answer,
    BackendTimeout,
    BackendUnavailable,
    BadQuery,
    Direction,
    NotFound,
    ResourceRef,
    Sample,
    Side,
    Source,
    Span,
    TrafficQuery,
    Window,
    timestamp,
)
from tests.unit.apiservice.unopened import Unopened

ANN = User("ann")
NOW = 1_800_000_000
SPAN = Span(NOW - 120, NOW, 30)
WEB, API, SPY = (ResourceRef("Deployment", *name) for name in (("shop", "web"), ("shop", "api"), ("secret", "spy")))
LIST = Asked("deployments", "shop")


@dataclass
class Store(Unopened):
    """A source with a past: ``told`` says how many requests there were at an instant, of whom; None is not observed."""

    name: str = "store"
    error: Exception | None = None
    calls: list[tuple[TrafficQuery, Span | None]] = field(default_factory=list)
    since: int = 0

    async def answer(self, query: TrafficQuery) -> Answer:
        self.calls.append((query, None))
        return self._answer(query)

    async def history(self, query: TrafficQuery, span: Span) -> tuple[Answer, ...]:
        self.calls.append((query, span))
        await asyncio.sleep(0)
        if self.error is not None:
            raise self.error
        return tuple([self._answer(replace(query, instant=instant)) for instant in span.instants])

    def _answer(self, query: TrafficQuery) -> Answer:
        if query.instant < self.since:
            return Answer((), query.instant, query.window)
        count = float(query.instant - NOW + 1000)
        if query.edges:
            rows = [edge(API, WEB, count), edge(API, SPY, 1.0)]
        else:
            rows = [Sample(ref, EVERYTHING, Direction.FROM, Side.SERVER, count, 1.0, None, source=self.name) for ref in (WEB, API)]
        rows = [row for row in rows if query.name in ("", row.resource.name)]
        return Answer(tuple(rows), query.instant, query.window)


def edge(resource: ResourceRef, peer: ResourceRef, count: float) -> Sample:
    return Sample(resource, peer, Direction.FROM, Side.SERVER, count, 0.0, None, source="store")


@dataclass
class Rights:
    """Who may do what: ``(verb, resource/subresource, namespace)``."""

    granted: set[tuple[str, str, str]]
    asked: list[tuple[str, str, str]] = field(default_factory=list)

    async def authorize(self, user: User, info: RequestInfo, query: Mapping[str, str]) -> Decision:
        del user, query
        action = (info.verb, "/".join(filter(None, (info.resource, info.subresource))), info.namespace)
        self.asked.append(action)
        return Decision(action in self.granted)


READER = {("list", "deployments", "shop"), ("get", "deployments", "shop"), ("get", "deployments/edges", "shop")}


def reader_over(
    sources: Sequence[Store], granted: set[tuple[str, str, str]], *, authorized: bool = False, keep: float = 5.0
) -> Reader:
    objects = StandaloneObjects("Deployment")
    fanout = Fanout([Source(source) for source in sources], keep=keep)
    answers = Answers(TrafficService(fanout, objects), 5, lambda: NOW)
    rights = Rights(granted)
    peers = AuthorizedPeers(answers, rights, objects, lambda: NOW) if authorized else None

    def parse(info: RequestInfo, query: Mapping[str, str]) -> Question:
        return parse_question(info, query, Window(30), lambda: NOW)

    return Reader(peers or answers, parse, rights, peers)


async def test_a_read_is_what_the_api_answers():
    result = await reader_over([Store()], READER).read(ANN, LIST)
    assert [(row.name, row.success, row.instant) for row in result.rows] == [("api", 1_000_000, NOW), ("web", 1_000_000, NOW)]


async def test_a_path_that_leads_nowhere_is_404_whoever_asks():
    rights: set[tuple[str, str, str]] = set()
    for asked in (Asked("unicorns", "shop"), Asked("nodes", "shop"), Asked("edges", "shop", "web")):
        with pytest.raises(StatusError, match="could not find the requested resource") as caught:
            await reader_over([Store()], rights).read(ANN, asked)
        assert caught.value.code == 404


@pytest.mark.parametrize(
    ("asked", "granted"),
    [
        (LIST, {("get", "deployments", "shop")}),
        (Asked("deployments", "shop", "web"), {("list", "deployments", "shop")}),
        (Asked("deployments", "shop", "web", edges=True), {("get", "deployments", "shop")}),
        (Asked("deployments"), {("list", "deployments", "shop")}),
        (Asked("trafficmetrics", "shop"), READER),
        (Asked("namespaces"), READER),
    ],
    ids=["list", "get", "edges", "all namespaces", "another resource", "namespaces"],
)
async def test_who_may_not_read_it_from_the_api_is_refused(asked: Asked, granted: set[tuple[str, str, str]]):
    store = Store()
    reader = reader_over([store], granted)
    for read in (reader.read(ANN, asked), reader.history(ANN, asked, SPAN)):
        with pytest.raises(StatusError) as caught:
            await read
        assert caught.value.code == 403
    assert store.calls == []


@pytest.mark.parametrize("name", ["web/edges", "..", ".", "a%2Fb"])
async def test_a_name_cannot_lead_to_another_path(name: str):
    with pytest.raises(BadQuery, match="is no name of Kubernetes"):
        await reader_over([Store()], READER).read(ANN, Asked("deployments", "shop", name))
    with pytest.raises(BadQuery, match="is no name of Kubernetes"):
        await reader_over([Store()], READER).read(ANN, Asked("deployments", name))


async def test_edges_are_those_of_one_object():
    with pytest.raises(BadQuery, match="edges are those of one object"):
        await reader_over([Store()], READER).read(ANN, Asked("deployments", "shop", edges=True))


async def test_a_history_asks_each_source_once_and_says_what_each_instant_would():
    store = Store()
    reader = reader_over([store], READER)
    history = await reader.history(ANN, LIST, SPAN)
    assert [span for _, span in store.calls] == [SPAN]
    assert all(query.span is None for query, _ in store.calls)
    assert [result.instant for result in history] == list(SPAN.instants)
    plain = reader_over([Store()], READER)
    for result, instant in zip(history, SPAN.instants, strict=True):
        alone = await plain.read(ANN, replace(LIST, parameters=(("time", timestamp(instant)),)))
        assert alone.rows == result.rows
        assert [row.success for row in result.rows] == [(instant - NOW + 1000) * 1000] * 2


async def test_the_same_history_is_not_made_twice_and_another_question_about_the_same_samples_not_read_twice():
    store = Store()
    reader = reader_over([store], READER)
    both = await asyncio.gather(reader.history(ANN, LIST, SPAN), reader.history(ANN, LIST, SPAN))
    assert both[0] is both[1] is await reader.history(ANN, LIST, SPAN)
    # What selectors leave is chosen from the same samples.
    await reader.history(ANN, replace(LIST, parameters=(("fieldSelector", "metadata.name!=api"),)), SPAN)
    assert len(store.calls) == 1


async def test_what_was_not_observed_at_an_instant_has_no_row_then():
    reader = reader_over([Store(since=NOW - 60)], READER)
    history = await reader.history(ANN, Asked("deployments", "shop", "web"), SPAN)
    assert [len(result.rows) for result in history] == [0, 0, 1, 1, 1]


async def test_what_was_never_observed_is_not_found():
    with pytest.raises(NotFound):
        await reader_over([Store()], READER).history(ANN, Asked("deployments", "shop", "gone"), SPAN)
    assert [result.rows for result in await reader_over([Store(since=NOW + 1)], READER).history(ANN, LIST, SPAN)] == [()] * 5


async def test_a_source_that_fails_makes_a_history_incomplete_and_all_that_fail_an_error():
    error = BackendUnavailable("far", "cannot be reached")
    both = await reader_over([Store("far", error), Store()], READER).history(ANN, LIST, SPAN)
    assert all(result.incomplete and 'source "far": cannot be reached' in result.warnings for result in both)
    assert [len(result.rows) for result in both] == [2] * 5
    with pytest.raises(BackendUnavailable):
        await reader_over([Store("far", error)], READER).history(ANN, LIST, SPAN)


async def test_a_history_has_its_own_times():
    asked = replace(LIST, parameters=(("time", timestamp(NOW - 10)),))
    with pytest.raises(BadQuery, match="leave out time"):
        await reader_over([Store()], READER).history(ANN, asked, SPAN)


async def test_a_history_too_large_to_hold_is_refused_with_what_to_do():
    class Crowd(Store):
        async def history(self, query: TrafficQuery, span: Span) -> tuple[Answer, ...]:
            row = Sample(WEB, EVERYTHING, Direction.FROM, Side.SERVER, 1.0, 0.0, None, source=self.name)
            return tuple([Answer((row,) * 20_001, instant, query.window) for instant in span.instants])

    with pytest.raises(BadQuery, match=r"100005 rows of traffic at 5 instants .* take a longer step"):
        await reader_over([Crowd()], READER).history(ANN, LIST, SPAN)


async def test_peers_that_a_user_may_not_know_are_hidden_in_a_history_too():
    asked = Asked("deployments", "shop", "api", edges=True)
    store = Store()
    history = await reader_over([store], READER, authorized=True).history(ANN, asked, SPAN)
    peers = {row.edge.peer for result in history for row in result.rows}
    assert peers == {WEB, ResourceRef("", "", "unknown")}
    assert len(store.calls) == 1
    everybody = {*READER, ("list", "deployments", "")}
    history = await reader_over([Store()], everybody, authorized=True).history(ANN, asked, SPAN)
    assert {row.edge.peer for result in history for row in result.rows} == {WEB, SPY}


@dataclass
class LateStore(Store):
    """A store that always tells of a little while ago, as those do that know whole minutes; nobody calls anybody."""

    def _answer(self, query: TrafficQuery) -> Answer:
        found = Store._answer(self, replace(query, instant=query.instant - 7))
        return replace(found, samples=() if query.edges else found.samples)


async def test_the_history_of_what_has_no_edges_is_empty_also_where_a_source_is_late():
    history = await reader_over([LateStore()], READER).history(ANN, Asked("deployments", "shop", "web", edges=True), SPAN)
    assert [result.rows for result in history] == [()] * 5


@dataclass
class Crowded(Store):
    """A store that notes how many histories are read from it at one time."""

    now: int = 0
    most: int = 0

    async def history(self, query: TrafficQuery, span: Span) -> tuple[Answer, ...]:
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(0.01)
        self.now -= 1
        return await Store.history(self, query, span)


async def test_few_histories_are_put_together_at_one_time():
    """Each may take 100 MB until it is told."""
    store = Crowded()
    reader = reader_over([store], READER)
    spans = [Span(NOW - 60 * each, NOW, 30) for each in range(1, 31)]
    histories = await asyncio.gather(*(reader.history(ANN, LIST, span) for span in spans))
    assert [len(history) for history in histories] == [len(span.instants) for span in spans]
    assert store.most == 8


@dataclass
class Overtaxed(Store):
    """A store that answers plain questions, unless it is ``down``, and fails with every history."""

    down: bool = False

    async def answer(self, query: TrafficQuery) -> Answer:
        if self.down:
            raise BackendUnavailable(self.name, "is down")
        return await Store.answer(self, query)


async def test_histories_that_are_too_much_for_a_source_do_not_keep_it_from_telling_anything_else():
    store = Overtaxed(error=BackendTimeout("store", "did not answer"))
    reader = reader_over([store], READER)
    for each in range(1, 6):
        with pytest.raises(BackendTimeout):
            await reader.history(ANN, LIST, Span(NOW - 60 * each, NOW, 30))
    assert len((await reader.read(ANN, LIST)).rows) == 2


async def test_a_source_that_is_cut_off_is_tried_with_a_plain_question_before_a_history():
    store = Overtaxed(down=True)
    reader = reader_over([store], READER, keep=0.2)
    for each in range(3):
        with pytest.raises(BackendUnavailable, match="is down"):
            await reader.read(ANN, replace(LIST, parameters=(("window", f"{each + 1}m"),)))
    with pytest.raises(BackendUnavailable, match="was not asked"):
        await reader.history(ANN, LIST, SPAN)
    store.down = False
    await asyncio.sleep(0.15)
    assert [len(result.rows) for result in await reader.history(ANN, LIST, SPAN)] == [2] * 5
    assert [span for _, span in store.calls] == [None, SPAN]
