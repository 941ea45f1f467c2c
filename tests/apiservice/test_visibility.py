"""Whom edges name, asked of the whole application by two people at once: ann may read "shop" alone, sue everything."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import pytest
from aiohttp import ClientResponse, web
from aiohttp.test_utils import TestClient

from apiservice.answers import Answers
from apiservice.app import AppOptions
from apiservice.authorization import Decision, SubjectAccessReviews
from apiservice.federation.fanout import Fanout
from apiservice.identity import User
from apiservice.kube import KubeClient
from apiservice.objects import StandaloneObjects
from apiservice.requestinfo import RequestInfo
from apiservice.traffic import TrafficService
from apiservice.visibility import AuthorizedPeers
from metrics_api import UNKNOWN, Answer, Direction, Histogram, Naming, ResourceRef, Sample, Side, TrafficQuery
from metrics_api.resources import host
from tests.apiservice.asking import SHOP, client, status_of
from tests.apiservice.changing import Stream, watching
from tests.doubles.clock import ManualClock
from tests.doubles.kube import ACCESS_REVIEWS, Failure, KubeDouble, running_kube

EDGES = f"{SHOP}/deployments/api/edges"
TRAFFIC = f"{SHOP}/trafficmetrics"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
METADATA = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"

API = ResourceRef("Deployment", "shop", "api")
WEB = ResourceRef("Deployment", "shop", "web")
SPY = ResourceRef("Deployment", "hideout", "spy")
VAULT = ResourceRef("StatefulSet", "hideout", "vault")
DB = ResourceRef("StatefulSet", "cellar", "wine")
MOLE = ResourceRef("Workload", "hideout", "mole")
HOST = host("spy.hideout.svc.cluster.local")
WORDS = re.compile(rb"hideout|cellar|spy|vault|wine|mole|statefulset", re.IGNORECASE)
"""All that may not be told to ann."""
ANN, SUE = {"X-User": "ann"}, {"X-User": "sue"}


def seconds(*counts: float) -> Histogram:
    return Histogram((0.01, 0.1, 1.0, float("inf")), (*counts, 0.0))


def sample(peer: ResourceRef, direction: Direction, success: float, failure: float, latency: Histogram | None) -> Sample:
    side = Side.SERVER if direction is Direction.FROM else Side.CLIENT
    return Sample(API, peer, direction, side, success, failure, latency, source="mesh")


FROM, TO = Direction.FROM, Direction.TO
TRUTH = (
    sample(WEB, FROM, 90, 10, seconds(100, 0, 0)),
    sample(SPY, FROM, 2, 1, seconds(0, 3, 0)),
    sample(VAULT, FROM, 4, 0, seconds(0, 0, 4)),
    sample(UNKNOWN, FROM, 8, 0, seconds(8, 0, 0)),
    sample(DB, TO, 16, 0, seconds(16, 0, 0)),
    sample(HOST, TO, 32, 0, None),
)


@dataclass
class Source:
    """A source that has these samples, and leaves out what is not asked for as early as it can."""

    samples: tuple[Sample, ...] = TRUTH
    warnings: tuple[str, ...] = ()
    incomplete: bool = False
    name: str = "mesh"
    asked: list[TrafficQuery] = field(default_factory=list)

    def refusal(self, query: TrafficQuery) -> str | None:
        del query
        return None

    async def answer(self, query: TrafficQuery) -> Answer:
        self.asked.append(query)
        samples = [
            sample
            for sample in self.samples
            if query.direction in (None, sample.direction)
            and all(want in ("", have) for want, have in zip(query.peer[1:], sample.peer[1:], strict=True))
        ]
        return Answer(tuple(samples) if query.edges else (), query.instant, query.window, self.warnings, incomplete=self.incomplete)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        pass


class Namespaces(StandaloneObjects):
    """A cluster of which these namespaces are known and nothing else."""

    async def view(self, kinds: Collection[str], namespace: str, name: str) -> Namespaces:
        del kinds, namespace, name
        return self

    async def view_of(self, resources: Collection[ResourceRef]) -> Namespaces:
        return Ambiguous("Deployment") if MOLE in resources else self

    def exists(self, resource: ResourceRef) -> bool | None:
        return resource.name in ("shop", "hideout", "cellar") if resource.kind == "Namespace" else None


class Ambiguous(Namespaces):
    """What there is to say of names alone."""

    @property
    def warnings(self) -> tuple[str, ...]:
        return (Naming("hideout has a Deployment and a Job called mole", [MOLE]),)


class Gate:
    """Believes everybody, and asks the cluster what they may."""

    def __init__(self, reviews: SubjectAccessReviews) -> None:
        self._reviews = reviews

    async def authenticate(self, request: web.Request) -> User:
        return User(request.headers["X-User"])

    async def authorize(self, user: User, info: RequestInfo, query: Mapping[str, str]) -> Decision:
        return await self._reviews.authorize(user, info, query)


class Shop(NamedTuple):
    """A server, its source, and the cluster that says who may what: ``rights`` are ``(user, namespace)``."""

    session: TestClient[Any, Any]
    source: Source
    kube: KubeDouble
    rights: set[tuple[str, str]]
    clock: ManualClock

    async def get(self, path: str, user: Mapping[str, str], **headers: str) -> ClientResponse:
        return await self.session.get(path, headers={**user, **headers})

    async def rows(self, path: str, user: Mapping[str, str]) -> dict[tuple[str, str], dict[str, Any]]:
        """The items by direction and the peer's name."""
        response = await self.get(path, user)
        assert response.status == 200, await response.text()
        items = (await response.json())["items"]
        found = {(item["edge"]["direction"], item["edge"]["resource"]["name"]): item for item in items}
        assert len(found) == len(items)
        return found

    def forget(self) -> None:
        """Let reviews grow old."""
        self.clock.advance(11)


@asynccontextmanager
async def opened(directory: Path, *, authorized: bool = True, source: Source | None = None) -> AsyncIterator[Shop]:
    source = source or Source()
    async with running_kube(directory) as kube, KubeClient.connect(str(kube.kubeconfig)) as calls:
        rights = {("ann", "shop"), ("sue", "")}

        def allows(spec: dict[str, Any]) -> bool:
            namespace = spec["resourceAttributes"].get("namespace", "")
            return bool({(spec["user"], namespace), (spec["user"], "")} & rights)

        kube.allows = allows
        clock = ManualClock()
        gate = Gate(SubjectAccessReviews(calls, clock, deadline=2))
        answers = Answers(TrafficService(Fanout.of([source], keep=0.5), Namespaces("Deployment")), refresh=1)
        peers = AuthorizedPeers(answers, gate, Namespaces("Deployment")) if authorized else None
        options = AppOptions("0.1.0", refresh=1)
        async with client(peers or answers, gate, options=options, peers=peers) as session:
            yield Shop(session, source, kube, rights, clock)


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    async with opened(tmp_path) as running:
        yield running


def numbers(item: dict[str, Any]) -> dict[str, str | None]:
    return {metric["name"]: metric["value"] for metric in item["metrics"]}


async def test_by_default_edges_name_every_peer(tmp_path: Path) -> None:
    async with opened(tmp_path, authorized=False) as shop:
        assert await shop.rows(EDGES, ANN) == await shop.rows(EDGES, SUE)
        assert ("from", "spy") in await shop.rows(EDGES, ANN)
        # Nobody is asked more than whether the request itself is allowed.
        assert {spec["resourceAttributes"]["namespace"] for spec in shop.kube.asked} == {"shop"}


async def test_hidden_peers_are_one_row_with_all_their_numbers(shop: Shop) -> None:
    ann, sue = await shop.rows(EDGES, ANN), await shop.rows(EDGES, SUE)
    assert set(ann) == {("from", "web"), ("from", "unknown"), ("to", "unknown")}
    assert set(sue) == {(sample.direction.value, sample.peer.name) for sample in TRUTH}
    assert numbers(ann["from", "web"]) == numbers(sue["from", "web"])
    unknown = ann["from", "unknown"]
    assert unknown["edge"] == {"direction": "from", "side": "server", "resource": {"name": "unknown"}}
    # Of fifteen requests eight took up to 10 ms, three up to 100 ms, four up to a second.
    assert numbers(unknown) == {
        "p99_response_latency": "966250u",
        "p90_response_latency": "662500u",
        "p50_response_latency": "9375u",
        "success_count": "14",
        "failure_count": "1",
    }
    assert numbers(ann["to", "unknown"])["success_count"] == "48"


@pytest.mark.parametrize("accept", ["application/json", "application/yaml", TABLE, METADATA])
@pytest.mark.parametrize(
    "path",
    [
        pytest.param(EDGES, id="edges"),
        pytest.param(f"{EDGES}?edgeKind=pods", id="edges at another level"),
        pytest.param(f"{TRAFFIC}?fieldSelector=edge.direction=from", id="rows of traffic"),
        pytest.param(f"{TRAFFIC}?fieldSelector=edge.direction!=from&includeObject=Object", id="with their objects"),
        pytest.param(f"{TRAFFIC}?fieldSelector=edge.side=client&pretty=true", id="indented"),
        pytest.param(f"{EDGES}?limit=1", id="a page"),
        pytest.param(f"{EDGES}?time=2026-11-21T22:25:55Z", id="the past"),
    ],
)
async def test_no_form_of_an_answer_tells_of_the_hidden(shop: Shop, path: str, accept: str) -> None:
    response = await shop.get(path, ANN, Accept=accept)
    body = await response.read()
    assert response.status == 200, body
    assert b"shop" in body
    assert not WORDS.search(body)
    assert not WORDS.search(repr(response.headers).encode())
    if accept != METADATA and "limit" not in path:
        assert WORDS.search(await (await shop.get(path, SUE, Accept=accept)).read())


@pytest.mark.parametrize(
    ("selector", "absent"),
    [
        ("edge.resource.namespace=hideout", "edge.resource.namespace=nowhere"),
        ("edge.resource.name=spy", "edge.resource.name=nobody"),
        ("edge.resource.kind=StatefulSet", "edge.resource.kind=DaemonSet"),
        ("metadata.name=deployment.api.from.deployment.spy.hideout", "metadata.name=deployment.api.from.deployment.nobody.nowhere"),
        ("edge.resource.namespace!=hideout", "edge.resource.namespace!=nowhere"),
    ],
)
async def test_a_selector_finds_of_the_hidden_what_it_finds_of_what_is_not_there(shop: Shop, selector: str, absent: str) -> None:
    """Beside the version of the answer and the fields asked for, even the bytes are the same."""

    async def told(text: str, user: Mapping[str, str]) -> tuple[str, list[str]]:
        response = await shop.get(f"{TRAFFIC}?fieldSelector={text},edge.direction=from&limit=1", user)
        document = await response.json()
        metadata = {key: value for key, value in document["metadata"].items() if key not in ("resourceVersion", "continue")}
        items = [{**item, "timestamp": "", "metadata": item["metadata"]["name"]} for item in document["items"]]
        return json.dumps([metadata, items]), response.headers.getall("Warning", [])

    assert await told(selector, ANN) == await told(absent, ANN)
    if "!=" not in selector:
        assert await told(selector, SUE) != await told(absent, SUE)


async def test_unknown_peers_can_be_selected_and_are_all_there(shop: Shop) -> None:
    selected = await shop.rows(f"{EDGES}?fieldSelector=edge.resource.name=unknown", ANN)
    assert {key: numbers(item)["success_count"] for key, item in selected.items()} == {
        ("from", "unknown"): "14",
        ("to", "unknown"): "48",
    }


async def test_one_row_is_not_found_as_if_it_were_not_there(shop: Shop) -> None:
    path = f"{TRAFFIC}/deployment.api.from.deployment"
    hidden, absent = await shop.get(f"{path}.spy.hideout", ANN), await shop.get(f"{path}.nobody.nowhere", ANN)
    assert (hidden.status, absent.status) == (404, 404)
    told = (await status_of(hidden))["message"]
    assert told.replace("spy.hideout", "nobody.nowhere") == (await status_of(absent))["message"]
    assert (await shop.get(f"{path}.spy.hideout", SUE)).status == 200
    assert (await shop.get(f"{TRAFFIC}/deployment.api.from.unknown", ANN)).status == 200


async def test_warnings_name_nobody_who_is_hidden(shop: Shop) -> None:
    shop.source.warnings = (
        Naming("knows connections alone of spy", [API, SPY], "knows connections alone of some"),
        Naming("hideout has a spy and a spy", [SPY]),
        "the window is short",
    )
    ann, sue = await shop.get(EDGES, ANN), await shop.get(EDGES, SUE)
    assert ann.headers.getall("Warning") == ['299 - "knows connections alone of some"', '299 - "the window is short"']
    assert len(sue.headers.getall("Warning")) == 3


async def test_what_is_said_of_names_alone_names_nobody_who_is_hidden(shop: Shop) -> None:
    shop.source.samples = (*TRUTH, sample(MOLE, FROM, 64, 0, None))
    ann, sue = await shop.get(EDGES, ANN), await shop.get(EDGES, SUE)
    assert sue.headers.getall("Warning") == ['299 - "hideout has a Deployment and a Job called mole"']
    assert "Warning" not in ann.headers
    assert numbers((await shop.rows(EDGES, ANN))["from", "unknown"])["success_count"] == "78"


async def test_no_error_names_who_is_hidden(shop: Shop) -> None:
    shop.source.incomplete = True
    shop.source.warnings = (Naming("knows connections alone of spy", [API, SPY], "knows connections alone of some"),)
    path = f"{TRAFFIC}/deployment.api.from.deployment.nobody.nowhere"
    ann, sue = await shop.get(path, ANN), await shop.get(path, SUE)
    assert (ann.status, sue.status) == (503, 503)
    assert "alone of some" in (await status_of(ann))["message"]
    assert "alone of spy" in (await status_of(sue))["message"]


async def test_pages_count_what_may_be_told(shop: Shop) -> None:
    first = await (await shop.get(f"{EDGES}?limit=1", ANN)).json()
    assert first["metadata"]["remainingItemCount"] == 2
    path, seen = f"{EDGES}?limit=1", []
    for _ in range(3):
        page = await (await shop.get(path, ANN)).json()
        seen += [(item["edge"]["direction"], item["edge"]["resource"]["name"]) for item in page["items"]]
        path = f"{EDGES}?limit=1&continue={page['metadata'].get('continue', '')}"
    assert seen == [("from", "unknown"), ("from", "web"), ("to", "unknown")]
    assert "continue" not in page["metadata"]


async def test_a_token_is_good_for_who_was_given_it(shop: Shop) -> None:
    token = (await (await shop.get(f"{EDGES}?limit=1", SUE)).json())["metadata"]["continue"]
    stolen = await shop.get(f"{EDGES}?limit=1&continue={token}", ANN)
    assert stolen.status == 400
    assert not WORDS.search(await stolen.read())
    assert (await shop.get(f"{EDGES}?limit=1&continue={token}", SUE)).status == 200


async def test_pages_end_when_a_right_is_taken_away_between_them(shop: Shop) -> None:
    shop.rights.add(("ann", "hideout"))
    token = (await (await shop.get(f"{EDGES}?limit=1", ANN)).json())["metadata"]["continue"]
    assert (await shop.get(f"{EDGES}?limit=5&continue={token}", ANN)).status == 200
    shop.rights.discard(("ann", "hideout"))
    shop.forget()
    response = await shop.get(f"{EDGES}?limit=5&continue={token}", ANN)
    assert response.status == 410
    assert not WORDS.search(await response.read())


async def test_a_review_that_fails_is_503_and_names_nobody(shop: Shop) -> None:
    assert (await shop.get(EDGES, ANN)).status == 200
    # The request itself is allowed still, while nobody says what becomes of the peers.
    shop.source.samples = (*TRUTH, sample(SPY._replace(namespace="attic"), FROM, 1, 0, None))
    shop.kube.fail(ACCESS_REVIEWS, *[Failure(403, "told to fail")] * 5)
    response = await shop.get(f"{EDGES}?window=31s", ANN)
    status = await status_of(response)
    assert (response.status, status["reason"]) == (503, "ServiceUnavailable")
    assert "whether you may be told who is at the other end cannot be found out" in status["message"]
    assert not re.search(r"attic|hideout", status["message"])
    shop.kube.failures.clear()
    assert (await shop.get(f"{EDGES}?window=31s", ANN)).status == 200


async def test_the_source_is_asked_once_for_all_who_ask(shop: Shop) -> None:
    shop.rights.add(("dan", "shop"))
    for user in (ANN, SUE, {"X-User": "dan"}):
        await shop.rows(f"{EDGES}?time=2026-11-21T22:25:55Z", user)
    assert len(shop.source.asked) == 1


async def test_a_watch_shows_rights_that_come_and_go(shop: Shop) -> None:
    selected = f"{TRAFFIC}?watch=true&fieldSelector=edge.direction=from"
    spy = "deployment.api.from.deployment.spy.hideout"
    vault = "deployment.api.from.statefulset.vault.hideout"
    async with watching(shop.session, selected, **ANN) as ann, watching(shop.session, selected, **SUE) as sue:
        assert await ann.told(2) == [("ADDED", "deployment.api.from.deployment.web"), ("ADDED", "deployment.api.from.unknown")]
        assert len(await sue.told(4)) == 4
        shop.rights.add(("ann", "hideout"))
        shop.forget()
        assert sorted(await ann.told(3)) == [("ADDED", spy), ("ADDED", vault), ("MODIFIED", "deployment.api.from.unknown")]
        shop.rights.discard(("ann", "hideout"))
        shop.forget()
        assert sorted(await ann.told(3)) == [("DELETED", spy), ("DELETED", vault), ("MODIFIED", "deployment.api.from.unknown")]
        assert await sue.quiet()


async def test_a_watch_goes_on_only_from_a_version_that_told_the_same(shop: Shop) -> None:
    selected = f"{TRAFFIC}?fieldSelector=edge.direction=from"
    version = (await (await shop.get(selected, ANN)).json())["metadata"]["resourceVersion"]
    again = f"{selected}&watch=true&timeoutSeconds=1&resourceVersion={version}"
    async with watching(shop.session, again, **ANN) as stream:
        assert await stream.ended()
    shop.rights.add(("ann", "hideout"))
    shop.forget()
    await shop.get(selected, ANN)
    async with watching(shop.session, again, **ANN) as stream:
        event = await Stream.next(stream)
    assert (event["type"], event["object"]["code"]) == ("ERROR", 410)
