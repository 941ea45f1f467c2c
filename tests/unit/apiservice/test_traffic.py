"""What the sources saw, meeting what exists."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

import pytest

from apiservice.answers import Answers
from apiservice.federation.fanout import Fanout
from apiservice.objects import Objects, StandaloneObjects, Unowned
from apiservice.question import parse_question
from apiservice.requestinfo import parse_request
from apiservice.result import Result
from apiservice.traffic import TrafficService
from metrics_api import (
    ANY_WORKLOAD,
    EVERYTHING,
    JOINED_SERVICE,
    Answer,
    BackendError,
    BackendTimeout,
    BackendUnavailable,
    Direction,
    NotFound,
    ResourceRef,
    Sample,
    Side,
    TrafficQuery,
    Unsupported,
    Window,
)
from tests.unit.apiservice.unopened import Unopened

ROOT = "/apis/metrics.smi-spec.io/v1alpha1"
WEB = ResourceRef("Deployment", "shop", "web")
API = ResourceRef("Deployment", "shop", "api")
OLD = ResourceRef("Deployment", "shop", "old")


def total(resource: ResourceRef, success: float = 10, failure: float = 0) -> Sample:
    return Sample(resource, EVERYTHING, Direction.FROM, Side.SERVER, success, failure, None, source="mesh")


def edge(resource: ResourceRef, peer: ResourceRef, direction: Direction = Direction.TO) -> Sample:
    return Sample(resource, peer, direction, Side.CLIENT, 1, 0, None, source="mesh")


@dataclass
class Source(Unopened):
    """A source that says what it is told to, and counts the questions."""

    samples: tuple[Sample, ...] = ()
    name: str = "mesh"
    error: BackendError | None = None
    refuses: str | None = None
    warnings: tuple[str, ...] = ()
    asked: list[TrafficQuery] = field(default_factory=list)
    gate: asyncio.Event | None = None

    async def answer(self, query: TrafficQuery) -> Answer:
        self.asked.append(query)
        if self.gate is not None:
            await self.gate.wait()
        if self.error is not None:
            raise self.error
        samples = tuple(
            sample
            for sample in self.samples
            if (sample.peer != EVERYTHING) is query.edges
            and (query.members or query.name in ("", sample.resource.name) or sample.resource.kind == JOINED_SERVICE)
        )
        return Answer(samples, query.instant, query.window, self.warnings, incomplete=bool(self.warnings))


@dataclass
class Cluster(Unowned):
    """Objects as a cluster would know them: labels by reference."""

    objects: Mapping[ResourceRef, Mapping[str, str]]
    warnings: tuple[str, ...] = ()

    async def view(self, kinds: Collection[str], namespace: str, name: str) -> Cluster:
        del kinds, namespace, name
        return self

    async def view_of(self, resources: Collection[ResourceRef]) -> Cluster:
        del resources
        return self

    def exists(self, resource: ResourceRef) -> bool | None:
        return None if self.warnings else resource in self.objects

    def labels(self, resource: ResourceRef) -> Mapping[str, str] | None:
        return None if self.warnings else self.objects.get(resource, {})

    def refs(self) -> Collection[ResourceRef]:
        return self.objects.keys()

    def named(self, resource: ResourceRef) -> ResourceRef:
        if resource.kind != ANY_WORKLOAD:
            return resource
        return next((known for known in self.objects if known[1:] == resource[1:]), resource._replace(kind=""))


async def answer(sources: Collection[Source], objects: Objects, path: str, query: str = "") -> Result:
    parameters = dict(parse_qsl(query, keep_blank_values=True))
    question = parse_question(parse_request("GET", f"{ROOT}/{path}", parameters), parameters, Window(30))
    return await Answers(TrafficService(Fanout.of(tuple(sources)), objects), refresh=5, clock=lambda: 103.7).answer(question)


CLUSTER = Cluster({WEB: {"app": "web"}, API: {"app": "api", "tier": "back"}})
STANDALONE = StandaloneObjects("Deployment")


async def test_the_instant_is_one_and_a_multiple_of_the_refresh():
    result = await answer([Source((total(WEB),))], CLUSTER, "deployments")
    assert result.instant == 100
    assert [row.instant for row in result.rows] == [100]


async def test_an_object_without_series_is_unknown_when_asked_for():
    (row,) = (await answer([Source()], CLUSTER, "namespaces/shop/deployments/web")).rows
    assert row.labels == {"app": "web"}
    assert (row.p99, row.p90, row.p50, row.success, row.failure) == (None,) * 5


async def test_an_object_without_series_is_left_out_of_a_list():
    result = await answer([Source((total(WEB),))], CLUSTER, "namespaces/shop/deployments")
    assert [row.name for row in result.rows] == ["web"]


async def test_include_idle_lists_objects_without_series():
    result = await answer([Source((total(WEB),))], CLUSTER, "namespaces/shop/deployments", "includeIdle=true")
    assert [(row.name, row.success) for row in result.rows] == [("api", None), ("web", 10_000)]


async def test_an_object_that_is_gone_is_left_out_though_its_series_linger():
    result = await answer([Source((total(WEB), total(OLD)))], CLUSTER, "deployments")
    assert [row.name for row in result.rows] == ["web"]
    with pytest.raises(NotFound):
        await answer([Source((total(OLD),))], CLUSTER, "namespaces/shop/deployments/old")


async def test_standalone_what_has_series_exists_and_nothing_else_does():
    result = await answer([Source((total(OLD),))], STANDALONE, "namespaces/shop/deployments/old")
    assert len(result.rows) == 1
    with pytest.raises(NotFound):
        await answer([Source()], STANDALONE, "namespaces/shop/deployments/web")


async def test_standalone_a_service_joined_to_its_namespace_by_one_of_several_hyphens_is_said_to_be_left_out():
    joined = Source((total(ResourceRef(JOINED_SERVICE, "", "shop-web-front")),))
    result = await answer([joined], STANDALONE, "services")
    assert result.rows == ()
    (warning,) = result.warnings
    assert "the numbers of shop-web-front are shown for no Service" in warning
    with pytest.raises(NotFound, match=r"not found; .*shop-web-front are shown for no Service"):
        await answer([joined], STANDALONE, "namespaces/shop/services/web-front")
    assert (await answer([Source((total(WEB),))], STANDALONE, "deployments")).warnings == ()


async def test_existence_that_cannot_be_looked_up_is_not_denied():
    blind = Cluster({}, warnings=("deployments cannot be listed: forbidden",))
    with pytest.raises(BackendUnavailable, match="forbidden"):
        await answer([Source()], blind, "namespaces/shop/deployments/web")
    result = await answer([Source((total(WEB),))], blind, "namespaces/shop/deployments/web")
    assert result.warnings == ("deployments cannot be listed: forbidden",)


async def test_an_object_without_edges_has_an_empty_list_of_them():
    assert (await answer([Source()], CLUSTER, "namespaces/shop/deployments/web/edges")).rows == ()
    assert (await answer([Source((total(WEB),))], STANDALONE, "namespaces/shop/deployments/web/edges")).rows == ()


async def test_edges_of_nothing_are_not_found():
    for objects in (CLUSTER, STANDALONE):
        with pytest.raises(NotFound):
            await answer([Source()], objects, "namespaces/shop/deployments/gone/edges")


async def test_a_label_selector_filters_objects_by_the_labels_shown():
    result = await answer([Source((total(WEB), total(API)))], CLUSTER, "deployments", "labelSelector=tier in (back)")
    assert [(row.name, dict(row.labels)) for row in result.rows] == [("api", {"app": "api", "tier": "back"})]


async def test_a_label_selector_without_labels_is_said_and_not_ignored():
    result = await answer([Source((total(WEB),))], STANDALONE, "deployments", "labelSelector=app=web")
    assert result.rows == ()
    assert "without a cluster there are none" in result.warnings[0]
    blind = Cluster({}, warnings=("deployments cannot be listed: forbidden",))
    with pytest.raises(BackendUnavailable):
        await answer([Source((total(WEB),))], blind, "deployments", "labelSelector=app=web")


async def test_field_selectors_hold_for_every_row():
    source = Source((total(WEB), total(API)))
    result = await answer([source], CLUSTER, "deployments", "fieldSelector=metadata.name!=web")
    assert [row.name for row in result.rows] == ["api"]


async def test_a_bare_workload_name_gets_its_kind():
    bare = ResourceRef(ANY_WORKLOAD, "shop", "web")
    (row,) = (await answer([Source((total(bare),))], STANDALONE, "trafficmetrics")).rows
    assert (row.name, row.resource) == ("deployment.web", WEB)
    stateful = ResourceRef("StatefulSet", "shop", "web")
    (row,) = (await answer([Source((total(bare),))], Cluster({stateful: {}}), "trafficmetrics")).rows
    assert row.resource == stateful
    assert (await answer([Source((total(bare),))], Cluster({stateful: {}}), "deployments")).rows == ()


async def test_trafficmetrics_names_edges_uniquely():
    other = ResourceRef("Deployment", "back", "api")
    samples = (edge(WEB, API), edge(WEB, other), edge(WEB, WEB), edge(WEB, WEB, Direction.FROM))
    result = await answer([Source(samples)], CLUSTER, "namespaces/shop/trafficmetrics", "fieldSelector=edge.side=client")
    assert [row.name for row in result.rows] == [
        "deployment.web.from.deployment.web",
        "deployment.web.to.deployment.api",
        "deployment.web.to.deployment.api.back",
        "deployment.web.to.deployment.web",
    ]
    (row,) = (await answer([Source(samples)], CLUSTER, "namespaces/shop/trafficmetrics/deployment.web.to.deployment.api.back")).rows
    assert row.edge.peer == other


async def test_all_sources_failing_is_an_error_and_never_an_empty_list():
    with pytest.raises(BackendTimeout, match="mesh"):
        await answer([Source(error=BackendTimeout("mesh", "did not answer"))], CLUSTER, "deployments")


async def test_some_sources_failing_leaves_what_is_known_and_says_so():
    sources = [Source(error=BackendUnavailable("aws", "is down"), name="aws"), Source((total(WEB),))]
    result = await answer(sources, CLUSTER, "deployments")
    assert [row.name for row in result.rows] == ["web"]
    assert result.incomplete
    assert 'source "aws": is down' in result.warnings


async def test_no_source_that_can_answer_is_an_error_with_the_reason():
    with pytest.raises(Unsupported, match="no node label"):
        await answer([Source(refuses="no node label")], CLUSTER, "nodes")


async def test_the_first_source_with_a_row_gives_it():
    sources = [Source((total(WEB, 1),)), Source((total(WEB, 2), total(API, 3)), name="second")]
    result = await answer(sources, CLUSTER, "deployments")
    assert [(row.name, row.success) for row in result.rows] == [("api", 3000), ("web", 1000)]


async def test_identical_questions_at_one_time_are_asked_once():
    source = Source((total(WEB),), gate=asyncio.Event())
    service = Answers(TrafficService(Fanout.of([source]), CLUSTER), refresh=5, clock=lambda: 103.7)
    question = parse_question(parse_request("GET", f"{ROOT}/deployments", {}), {}, Window(30))
    asking = [asyncio.ensure_future(service.answer(question)) for _ in range(50)]
    await asyncio.sleep(0)
    assert source.gate is not None
    source.gate.set()
    results = await asyncio.gather(*asking)
    await service.answer(question)
    assert len(source.asked) == 1
    assert all(result.rows == results[0].rows for result in results)


async def test_the_next_refresh_asks_again():
    now = [100.0]
    source = Source((total(WEB),))
    service = Answers(TrafficService(Fanout.of([source]), CLUSTER), refresh=5, clock=lambda: now[0])
    question = parse_question(parse_request("GET", f"{ROOT}/deployments", {}), {}, Window(30))
    for now[0] in (100.0, 104.9, 105.0):
        await service.answer(question)
    assert [query.instant for query in source.asked] == [100, 105]


async def test_an_incomplete_answer_is_asked_for_once_in_a_refresh_too():
    source = Source((total(WEB),), warnings=("half of it is missing",))
    service = Answers(TrafficService(Fanout.of([source]), CLUSTER), refresh=5, clock=lambda: 103.7)
    question = parse_question(parse_request("GET", f"{ROOT}/deployments", {}), {}, Window(30))
    for _ in range(2):
        assert (await service.answer(question)).incomplete
    assert len(source.asked) == 1


async def test_an_answer_of_a_past_refresh_takes_no_memory():
    fanout = Fanout.of([Source((total(WEB),))], keep=0.05)
    for instant in range(3):
        await fanout.gather(TrafficQuery(kinds=("Deployment",), window=Window(30), instant=instant))
    await asyncio.sleep(0.06)
    await fanout.gather(TrafficQuery(kinds=("Deployment",), window=Window(30), instant=9))
    assert len(fanout._kept) == 1


async def test_absence_is_not_claimed_while_a_source_that_may_know_is_down():
    sources = [Source(error=BackendUnavailable("aws", "is down"), name="aws"), Source()]
    for path in ("deployments/nope", "deployments/nope/edges"):
        with pytest.raises(BackendUnavailable, match="whether it exists is not known"):
            await answer(sources, STANDALONE, f"namespaces/shop/{path}")
