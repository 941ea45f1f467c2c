"""Whom edges name: what is reviewed, what is asked again, what is shared, and what happens when rights change."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from apiservice.answers import Answers
from apiservice.authorization import AuthorizationError, Decision
from apiservice.hiding import hide
from apiservice.identity import User
from apiservice.objects import Objects, StandaloneObjects
from apiservice.question import Question, fields_of, parse_question
from apiservice.requestinfo import RequestInfo, parse_request
from apiservice.result import Result
from apiservice.visibility import AuthorizedPeers, EveryPeer
from metrics_api import (
    UNKNOWN,
    BackendUnavailable,
    Direction,
    Expired,
    NotFound,
    ResourceRef,
    Sample,
    Side,
    Window,
    normalise,
)
from metrics_api.resources import host

ROOT = "/apis/metrics.smi-spec.io/v1alpha1"
EDGES = "namespaces/shop/deployments/api/edges"
WINDOW = Window(30)
ANN, SUE = User("ann"), User("sue", groups=("sre",))

API = ResourceRef("Deployment", "shop", "api")
WEB = ResourceRef("Deployment", "shop", "web")
SPY = ResourceRef("Deployment", "secret", "spy")
DB = ResourceRef("StatefulSet", "data", "db")


@dataclass
class Rights:
    """Who may list what: ``(user, resource, namespace)``, an empty namespace for all. ``reviewed`` lists what was asked."""

    granted: set[tuple[str, str, str]]
    reviewed: list[tuple[str, str, str]] = field(default_factory=list)
    failing: bool = False
    busy: int = 0
    busiest: int = 0

    async def authorize(self, user: User, info: RequestInfo, query: Mapping[str, str]) -> Decision:
        assert (info.verb, info.group, info.subresource, info.name, dict(query)) == ("list", "metrics.smi-spec.io", "", "", {})
        self.reviewed.append((user.name, info.resource, info.namespace))
        self.busy += 1
        self.busiest = max(self.busy, self.busiest)
        await asyncio.sleep(0)
        self.busy -= 1
        if self.failing:
            raise AuthorizationError("POST /apis/…: kube-apiserver does not answer")
        return Decision(allowed=(user.name, info.resource, info.namespace) in self.granted)


@dataclass
class Edges:
    """Edges of ``shop/api``, hidden as a question says; ``asked`` lists the questions."""

    peers: list[tuple[ResourceRef, Direction, float]]
    asked: list[Question] = field(default_factory=list)

    async def answer(self, question: Question, instant: int) -> Result:
        self.asked.append(question)
        samples = [Sample(API, peer, way, Side.SERVER, count, 0, None) for peer, way, count in self.peers]
        hidden: frozenset[ResourceRef] = frozenset()
        if question.visible is not None:
            samples, hidden = hide(samples, question.visible)
        rows = normalise(samples, instant, WINDOW, lambda _: {}, qualified=question.qualified)
        rows = [row for row in rows if question.fields.matches(fields_of(row))]
        if question.single:
            rows = [row for row in rows if row.name == question.name]
            if not rows:
                raise NotFound("trafficmetrics", question.name)
        return Result(tuple(rows), instant, WINDOW, hidden=hidden)


@dataclass
class Namespaces(StandaloneObjects):
    """A cluster that has these namespaces; None when they are not known."""

    existing: frozenset[str] | None

    async def view(self, kinds: Collection[str], namespace: str, name: str) -> Namespaces:
        assert (tuple(kinds), namespace, name) == (("Namespace",), "", "")
        return self

    def exists(self, resource: ResourceRef) -> bool | None:
        return None if self.existing is None else resource.name in self.existing


PEERS = [(WEB, Direction.FROM, 1.0), (SPY, Direction.FROM, 2.0), (DB, Direction.TO, 4.0), (UNKNOWN, Direction.FROM, 8.0)]
FROM, TO = Direction.FROM, Direction.TO
SHOP_READER = {("ann", "deployments", "shop")}
CLUSTER_READER = {("sue", "deployments", "")}


@dataclass
class Place:
    """A server with this policy, in one."""

    rights: Rights
    edges: Edges = field(default_factory=lambda: Edges(list(PEERS)))
    objects: Objects = field(default_factory=lambda: Namespaces(frozenset({"shop", "secret", "data"})))
    now: float = 103.7

    def __post_init__(self) -> None:
        answers = Answers(self.edges, refresh=5, clock=lambda: self.now)
        self.peers = AuthorizedPeers(answers, self.rights, self.objects, clock=lambda: self.now)

    def question(self, user: User, path: str = EDGES, **parameters: str) -> Question:
        info = parse_request("GET", f"{ROOT}/{path}", parameters)
        question: Question = self.peers.asked(parse_question(info, parameters, WINDOW), user, info)
        return question

    async def told(self, user: User, path: str = EDGES, **parameters: str) -> dict[tuple[ResourceRef, str], float]:
        """The requests of each peer and direction, as this user is told."""
        result = await self.peers.answer(self.question(user, path, **parameters))
        return {(row.edge.peer, row.edge.direction): (row.success or 0) / 1000 for row in result.rows}


async def test_who_may_read_the_resource_alone_is_told_of_peers_at_home():
    place = Place(Rights(SHOP_READER))
    assert await place.told(ANN) == {(WEB, FROM): 1, (UNKNOWN, FROM): 10, (UNKNOWN, TO): 4}


async def test_who_may_read_the_peers_is_told_of_them():
    place = Place(Rights(SHOP_READER | {("ann", "deployments", "data")}))
    assert await place.told(ANN) == {(WEB, FROM): 1, (UNKNOWN, FROM): 10, (DB, TO): 4}


async def test_who_may_read_all_namespaces_is_told_everything_after_one_review():
    place = Place(Rights(CLUSTER_READER))
    assert await place.told(SUE) == {(peer, way): count for peer, way, count in PEERS}
    assert place.rights.reviewed == [("sue", "deployments", "")]
    assert [question.visible for question in place.edges.asked] == [None]


async def test_each_namespace_is_reviewed_once_however_many_peers_are_in_it():
    place = Place(Rights(SHOP_READER))
    place.edges.peers += [(SPY._replace(name=f"spy-{number}"), FROM, 1.0) for number in range(100)]
    await place.told(ANN)
    assert sorted(place.rights.reviewed) == [("ann", "deployments", space) for space in ("", "data", "secret")]


async def test_reviews_are_asked_together_and_not_all_at_once():
    place = Place(Rights(SHOP_READER), Edges([(SPY._replace(namespace=f"team-{number}"), FROM, 1.0) for number in range(100)]))
    await place.told(ANN)
    assert 2 < place.rights.busiest <= 16


async def test_two_users_at_one_time_get_different_answers_of_the_same_samples():
    place = Place(Rights(SHOP_READER | CLUSTER_READER))
    ann, sue = await asyncio.gather(place.told(ANN), place.told(SUE))
    assert (SPY, FROM) not in ann
    assert (SPY, FROM) in sue
    assert sum(ann.values()) == sum(sue.values())


async def test_who_may_see_the_same_shares_one_answer():
    users = [User(f"user-{number}") for number in range(50)]
    place = Place(Rights({(user.name, "deployments", "data") for user in users}))
    told = await asyncio.gather(*(place.told(user) for user in users))
    assert all(each == told[0] for each in told)
    # With nobody to be told of, and with what all of them may be told.
    assert len(place.edges.asked) == 2


async def test_a_place_that_turns_up_meanwhile_is_hidden_until_it_is_reviewed():
    place = Place(Rights(SHOP_READER | {("ann", "deployments", "data"), ("ann", "deployments", "late")}))
    late = SPY._replace(namespace="late")

    async def answer(question: Question, instant: int) -> Result:
        result = await Edges.answer(place.edges, question, instant)
        place.edges.peers = [*PEERS, (late, FROM, 16.0)]
        return result

    place.edges.answer = answer  # type: ignore[method-assign]
    assert await place.told(ANN) == {(WEB, FROM): 1, (UNKNOWN, FROM): 26, (DB, TO): 4}
    place.now += 5
    assert (late, FROM) in await place.told(ANN)


@pytest.mark.parametrize(
    "selector",
    [
        pytest.param("edge.resource.namespace=secret", id="namespace"),
        pytest.param("edge.resource.name=spy", id="name"),
        pytest.param("edge.resource.name=spy,edge.resource.namespace=secret", id="both"),
        pytest.param("metadata.name=deployment.api.from.deployment.spy.secret", id="row"),
    ],
)
async def test_a_selector_for_what_is_hidden_finds_as_much_as_one_for_what_is_not_there(selector: str):
    path = "namespaces/shop/trafficmetrics"
    place = Place(Rights({("sue", "trafficmetrics", "")}))
    absent = selector.replace("secret", "nowhere").replace("spy", "nobody")
    assert await place.told(SUE, path, fieldSelector=f"{selector},edge.direction=from") == {(SPY, FROM): 2}
    assert await place.told(ANN, path, fieldSelector=f"{selector},edge.direction=from") == {}
    assert await place.told(ANN, path, fieldSelector=f"{absent},edge.direction=from") == {}


async def test_a_selector_for_the_others_counts_the_hidden_among_the_unknown():
    place = Place(Rights({("ann", "trafficmetrics", "shop")}))
    told = await place.told(ANN, "namespaces/shop/trafficmetrics", fieldSelector="edge.resource.name=unknown")
    assert told == {(UNKNOWN, FROM): 10, (UNKNOWN, TO): 4}
    # Had a source been asked for the unknown alone, the hidden were missing.
    assert {question.query(100).peer.name for question in place.edges.asked} == {""}


async def test_a_row_about_a_hidden_peer_is_not_found_and_one_about_another_is():
    path = "namespaces/shop/trafficmetrics/deployment.api.from.deployment.spy.secret"
    rights = Rights({("sue", "trafficmetrics", ""), ("dan", "trafficmetrics", "secret")})
    with pytest.raises(NotFound) as hidden:
        await Place(rights).told(ANN, path)
    with pytest.raises(NotFound) as absent:
        await Place(rights, Edges([(WEB, FROM, 1.0)])).told(ANN, path)
    assert hidden.value.message == absent.value.message
    for user in (SUE, User("dan")):
        assert await Place(rights).told(user, path) == {(SPY, FROM): 2}
    assert await Place(rights).told(ANN, "namespaces/shop/trafficmetrics/deployment.api.from.unknown") == {(UNKNOWN, FROM): 10}


@pytest.mark.parametrize(
    ("path", "reviewed"),
    [
        pytest.param("namespaces/shop/pods/api-1/edges", "pods", id="what was asked for"),
        pytest.param("namespaces/shop/deployments/api/edges?edgeKind=pods", "deployments", id="whatever the peers are"),
        pytest.param("namespaces/shop/trafficmetrics/deployment.api.from.unknown", "trafficmetrics", id="rows of traffic"),
        pytest.param("namespaces/shop/edges", "edges", id="a namespace"),
        pytest.param("nodes/n1/edges?edgeKind=pods", "pods", id="pods on a node"),
        pytest.param("nodes/n1/edges?edgeKind=workloads", "trafficmetrics", id="workloads on a node"),
    ],
)
async def test_the_right_reviewed_is_the_one_to_list_the_same_elsewhere(path: str, reviewed: str):
    place = Place(Rights(set()))
    path, _, query = path.partition("?")
    await place.told(ANN, path, **dict([query.split("=")] if query else []))
    assert {resource for _, resource, _ in place.rights.reviewed} == {reviewed}


async def test_nodes_are_named_to_who_may_list_nodes():
    nodes = [(ResourceRef("Node", "", name), FROM, 1.0) for name in ("n1", "n2")]
    rights = Rights({("ann", "nodes", ""), ("sue", "deployments", ""), ("sue", "trafficmetrics", "")})
    parameters = {"edgeKind": "nodes"}
    assert set(await Place(rights, Edges(nodes)).told(ANN, **parameters)) == {(node, FROM) for node, _, _ in nodes}
    assert await Place(rights, Edges(nodes)).told(SUE, **parameters) == {(UNKNOWN, FROM): 2}


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        pytest.param("payments.example.com", True, id="outside"),
        pytest.param("db.shop.svc.cluster.local:80", True, id="where the user may read"),
        pytest.param("spy.secret.svc.cluster.local", False, id="a Service"),
        pytest.param("spy.secret:8080", False, id="a short name"),
        pytest.param("secret-spy-80", False, id="joined"),
        pytest.param("kube-svc_secret-spy_80", False, id="a cluster of a proxy"),
    ],
)
async def test_a_host_that_has_a_namespace_in_its_name_is_named_to_who_may_read_that(name: str, *, shown: bool):
    place = Place(Rights(SHOP_READER), Edges([(host(name), TO, 3.0)]))
    assert await place.told(ANN) == {(host(name) if shown else UNKNOWN, TO): 3}


async def test_hosts_are_hidden_when_nobody_knows_which_namespaces_there_are():
    place = Place(Rights(SHOP_READER), Edges([(host("payments.example.com"), TO, 3.0)]), Namespaces(None))
    assert await place.told(ANN) == {(UNKNOWN, TO): 3}
    # Guesses are not reviewed.
    assert place.rights.reviewed == [("ann", "deployments", "")]


async def test_an_object_of_no_known_namespace_is_hidden():
    place = Place(Rights(SHOP_READER), Edges([(SPY._replace(namespace=""), FROM, 3.0)]))
    assert await place.told(ANN) == {(UNKNOWN, FROM): 3}


async def test_a_review_that_fails_is_an_error_that_names_nobody():
    place = Place(Rights(SHOP_READER, failing=True))
    with pytest.raises(BackendUnavailable) as caught:
        await place.told(ANN)
    assert "kube-apiserver does not answer" in caught.value.message
    place.rights.granted.clear()

    async def fail_for_places(user: User, info: RequestInfo, query: Mapping[str, str]) -> Decision:
        del user, query
        if info.namespace:
            raise AuthorizationError("POST /apis/…: kube-apiserver does not answer")
        return Decision(allowed=False)

    place.rights.authorize = fail_for_places  # type: ignore[method-assign]
    with pytest.raises(BackendUnavailable) as caught:
        await place.told(ANN)
    assert "secret" not in caught.value.message


async def test_totals_are_everybodys():
    place = Place(Rights(set()))
    question = place.question(ANN, "namespaces/shop/deployments")
    assert (question.asker, place.peers.whose(question)) == (None, "")
    assert question == place.question(SUE, "namespaces/shop/deployments")
    await place.peers.answer(question)
    assert place.rights.reviewed == []


async def test_a_right_that_comes_or_goes_shows_in_the_next_answer():
    place = Place(Rights(set(SHOP_READER)))
    assert (SPY, FROM) not in await place.told(ANN)
    place.rights.granted.add(("ann", "deployments", "secret"))
    assert (SPY, FROM) in await place.told(ANN)
    place.rights.granted.discard(("ann", "deployments", "secret"))
    assert (SPY, FROM) not in await place.told(ANN)


async def before_and_after(place: Place, change: Any) -> tuple[int, Question]:
    """A version that ann was told, whose rights change right afterwards; and her question, answered again."""
    question = place.question(ANN)
    version = (await place.peers.answer(question)).instant
    change(place.rights.granted)
    place.now += 5
    await place.peers.answer(question)
    return version, question


@pytest.mark.parametrize(
    ("granted", "change"),
    [
        pytest.param(SHOP_READER, {("ann", "deployments", "secret")}, id="one more"),
        pytest.param(SHOP_READER | {("ann", "deployments", "secret")}, {("ann", "deployments", "secret")}, id="one less"),
        pytest.param(SHOP_READER, {("ann", "deployments", "")}, id="all"),
        pytest.param(SHOP_READER | {("ann", "deployments", "")}, {("ann", "deployments", "")}, id="all no more"),
    ],
)
async def test_nobody_goes_on_from_a_version_at_which_they_were_told_of_others(
    granted: set[tuple[str, str, str]], change: set[tuple[str, str, str]]
):
    place = Place(Rights(set(granted)))
    version, question = await before_and_after(place, lambda rights: rights.symmetric_difference_update(change))
    with pytest.raises(Expired, match="list again"):
        await place.peers.answer(question, version)
    place.now += 10
    later = (await place.peers.answer(question)).instant
    assert (await place.peers.answer(question, later)).instant == later


async def test_everybody_else_goes_on():
    place = Place(Rights(set(SHOP_READER)))
    version, question = await before_and_after(place, lambda rights: rights.add(("dan", "deployments", "secret")))
    assert (await place.peers.answer(question, version)).instant == version


async def test_an_answer_of_some_time_ago_is_told_only_as_far_as_it_may_be_now():
    place = Place(Rights(SHOP_READER | {("ann", "deployments", "secret")}))
    question = place.question(ANN)
    kept = await place.peers.answer(question)
    await place.peers.confirm(question, kept)
    place.rights.granted.discard(("ann", "deployments", "secret"))
    with pytest.raises(Expired):
        await place.peers.confirm(question, kept)
    await place.peers.confirm(question, await place.peers.answer(question))


async def test_an_answer_belongs_to_its_user():
    place = Place(Rights(SHOP_READER))
    assert place.peers.whose(place.question(ANN)) == place.peers.whose(place.question(User("ann")))
    others = [User("ann", "7"), User("ann", groups=("sre",)), SUE]
    assert len({place.peers.whose(place.question(user)) for user in (ANN, *others)}) == 4


async def test_the_other_policy_leaves_questions_about_edges_as_they_are():
    question = parse_question(info := parse_request("GET", f"{ROOT}/{EDGES}", {}), {}, WINDOW)
    assert EveryPeer().asked(question, ANN, info) is question
    assert EveryPeer().whose(question) == ""


@pytest.mark.parametrize(
    ("path", "visible"),
    [
        pytest.param("namespaces/shop/deployments", frozenset(), id="of a namespace"),
        pytest.param("namespaces/shop/trafficmetrics/deployment.web", frozenset(), id="of one object"),
        pytest.param("namespaces/shop", frozenset(), id="of the namespace itself"),
        pytest.param("deployments", None, id="of all namespaces"),
        pytest.param("nodes/n1", None, id="of a node"),
    ],
)
async def test_beside_totals_of_a_namespace_no_other_is_named_by_either_policy(path: str, visible: frozenset[ResourceRef] | None):
    question = parse_question(info := parse_request("GET", f"{ROOT}/{path}", {}), {}, WINDOW)
    assert EveryPeer().asked(question, ANN, info).visible == visible
    assert Place(Rights(set())).peers.asked(question, ANN, info).visible == visible
