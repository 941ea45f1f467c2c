"""What split traffic came to: a row for each backend, whatever the sources can tell of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import parse_qsl

import pytest

from apiservice.federation.fanout import Gathered
from apiservice.objects import BackendService, Split, StandaloneObjects, ThenView, Unowned
from apiservice.question import Question, parse_question
from apiservice.requestinfo import parse_request
from apiservice.result import Result
from apiservice.splits import answer_split
from metrics_api import (
    EVERYTHING,
    UNKNOWN,
    BackendTimeout,
    Direction,
    Edge,
    Histogram,
    NotFound,
    ResourceRef,
    Sample,
    Side,
    SplitBackend,
    TrafficQuery,
    Unsupported,
    Window,
)

CANARY = ResourceRef("TrafficSplit", "shop", "canary")
ROUTE = ResourceRef("HTTPRoute", "shop", "web")
CALLER = ResourceRef("Deployment", "shop", "front")


def service(name: str, namespace: str = "shop") -> ResourceRef:
    return ResourceRef("Service", namespace, name)


def split(ref: ResourceRef, *backends: tuple[str, int] | tuple[str, int, str], apex: str = "web") -> Split:
    found = (BackendService(more[0] if more else ref.namespace, name, weight) for name, weight, *more in backends)
    return Split(ref, apex, tuple(found))


def sent(to: ResourceRef, success: float, failure: float = 0, side: Side = Side.CLIENT) -> Sample:
    """What clients sent to a Service."""
    latency = Histogram((0.1, 1.0, float("inf")), (success, failure, 0.0))
    return Sample(to, EVERYTHING, Direction.FROM, side, success, failure, latency, source="mesh")


def called(to: ResourceRef, caller: ResourceRef, success: float) -> Sample:
    return replace(sent(to, success), peer=caller)


def routed(route: ResourceRef, to: ResourceRef, success: float) -> Sample:
    """What went to a Service by a route."""
    return replace(sent(route, success), peer=to, direction=Direction.TO)


@dataclass
class View(Unowned):
    """Splits as a cluster has them, with labels; those of ``broken`` are there, and make no sense."""

    known: tuple[Split, ...] = ()
    broken: tuple[ResourceRef, ...] = ()
    labelled: Mapping[ResourceRef, Mapping[str, str]] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    absent: str = ""

    def splits(self, kind: str, namespace: str, name: str) -> tuple[Split, ...]:
        if self.absent:
            raise Unsupported(self.absent)
        return tuple(
            each
            for each in self.known
            if each.ref.kind == kind and namespace in ("", each.ref.namespace) and name in ("", each.ref.name)
        )

    def exists(self, resource: ResourceRef) -> bool | None:
        return resource in self.refs()

    def labels(self, resource: ResourceRef) -> Mapping[str, str] | None:
        return self.labelled.get(resource, {})

    def refs(self) -> Collection[ResourceRef]:
        return [*(each.ref for each in self.known), *self.broken]

    def named(self, resource: ResourceRef) -> ResourceRef:
        return resource


@dataclass
class Sources:
    """What the sources saw. They refuse what is asked of ``refused`` sides, and of routes unless they tell them."""

    samples: tuple[Sample, ...] = ()
    tells_routes: bool = False
    refused: frozenset[Side | None] = frozenset()
    asked: list[TrafficQuery] = field(default_factory=list)

    async def __call__(self, query: TrafficQuery) -> Gathered:
        self.asked.append(query)
        if query.side in self.refused or (query.kinds != ("Service",) and not self.tells_routes):
            raise Unsupported("no source can tell")
        found = tuple(
            sample
            for sample in self.samples
            if sample.resource.kind in query.kinds
            and (sample.peer != EVERYTHING) is query.edges
            and query.namespace in ("", sample.resource.namespace)
            and query.name in ("", sample.resource.name)
        )
        return Gathered(found, query.instant, query.window, ("a scrape was late",), incomplete=True)


def asked(path: str, query: str = "") -> Question:
    parameters = dict(parse_qsl(query, keep_blank_values=True))
    info = parse_request("GET", f"/apis/metrics.smi-spec.io/v1alpha1/{path}", parameters)
    return parse_question(info, parameters, Window(30), clock=lambda: 200.0)


async def answer(sources: Sources, view: View, path: str, query: str = "", instant: int = 100) -> Result:
    question = asked(path, query)
    seen = view if question.instant is None else ThenView(view)
    return await answer_split(question, instant, sources, seen)


ONE = "namespaces/shop/trafficsplits/canary"
NINETY_TEN = View((split(CANARY, ("web-v1", 90), ("web-v2", 10)),))
SEEN = (sent(service("web-v1"), 890, 10), sent(service("web-v2"), 60, 40), sent(service("web"), 5))


async def test_a_split_has_a_row_for_each_backend_as_the_specification_has_it():
    first, second = (await answer(Sources(SEEN), NINETY_TEN, ONE)).rows
    assert first.resource == second.resource == CANARY
    assert (first.name, first.namespace, second.name) == ("canary", "shop", "canary")
    assert first.edge == second.edge == Edge(Direction.FROM, Side.CLIENT, EVERYTHING)
    assert (first.backend, first.success, first.failure) == (SplitBackend("web", "web-v1", 90), 890_000, 10_000)
    assert (second.backend, second.success, second.failure) == (SplitBackend("web", "web-v2", 10), 60_000, 40_000)
    assert (second.p50, second.source) == (83_333, "mesh")


async def test_backends_keep_their_order():
    view = View((split(CANARY, ("web-v2", 10), ("web-v1", 90)),))
    rows = (await answer(Sources(SEEN), view, ONE)).rows
    assert [row.backend and row.backend.name for row in rows] == ["web-v2", "web-v1"]


async def test_a_backend_without_series_is_there_without_numbers():
    view = View((split(CANARY, ("web-v1", 1), ("web-v9", 0)),))
    seen, row = (await answer(Sources(SEEN), view, ONE, "percentiles=95")).rows
    assert [(extra.name, extra.micro) for extra in seen.extras] == [("p95_response_latency", 96_067)]
    assert (row.p99, row.p90, row.p50, row.success, row.failure) == (None,) * 5
    assert [(extra.name, extra.micro) for extra in row.extras] == [("p95_response_latency", None)]
    assert (row.edge, row.backend) == (Edge(Direction.FROM, Side.CLIENT, EVERYTHING), SplitBackend("web", "web-v9", 0))


async def test_a_row_says_where_its_numbers_come_from_and_how_old_they_are():
    async def late(query: TrafficQuery) -> Gathered:
        return replace(await Sources(SEEN)(query), instant=query.instant - 40)

    view = View((split(CANARY, ("web-v1", 1), ("web-v9", 0)),))
    seen, unseen = (await answer_split(asked(ONE), 100, late, view)).rows
    told = {name.removeprefix("metrics.smi-spec.io/"): text for name, text in seen.annotations.items()}
    assert told == {"source": "mesh", "effective-window": "30s", "staleness": "40s"}
    assert unseen.annotations == {}


async def test_a_list_has_the_backends_of_every_split_in_order():
    other = split(ResourceRef("TrafficSplit", "data", "reads"), ("replica", 1), apex="db")
    again = split(ResourceRef("TrafficSplit", "shop", "again"), ("web-v1", 1))
    view = View((*NINETY_TEN.known, again, other))
    result = await answer(Sources((*SEEN, sent(service("replica", "data"), 7))), view, "trafficsplits")
    found = [(row.namespace, row.name, row.backend and row.backend.name, row.success) for row in result.rows]
    assert found == [
        ("data", "reads", "replica", 7_000),
        ("shop", "again", "web-v1", 890_000),
        ("shop", "canary", "web-v1", 890_000),
        ("shop", "canary", "web-v2", 60_000),
    ]


async def test_a_split_of_another_kind_is_none_of_the_list():
    view = View((*NINETY_TEN.known, split(ROUTE, ("web-v1", 1))))
    assert {row.resource for row in (await answer(Sources(SEEN), view, "trafficsplits")).rows} == {CANARY}


async def test_clients_are_asked_about_one_backend_by_its_name_and_about_several_by_their_namespace():
    sources = Sources(SEEN)
    await answer(sources, NINETY_TEN, ONE)
    await answer(sources, View((split(CANARY, ("web-v1", 1)),)), ONE)
    several, one = sources.asked
    assert (several.kinds, several.edges, several.side) == (("Service",), False, Side.CLIENT)
    assert (several.namespace, several.name) == ("shop", "")
    assert (one.namespace, one.name) == ("shop", "web-v1")
    assert (one.instant, one.window) == (100, Window(30))


async def test_where_no_source_has_anything_of_clients_it_is_as_servers_saw_it():
    seen = tuple(replace(sample, side=Side.SERVER) for sample in SEEN)
    sources = Sources(seen, refused=frozenset({Side.CLIENT}))
    first, _ = (await answer(sources, NINETY_TEN, ONE)).rows
    assert (first.edge.side, first.success) == (Side.SERVER, 890_000)


async def test_what_no_source_can_ever_tell_is_refused_with_its_reason():
    with pytest.raises(Unsupported, match="no source can tell"):
        await answer(Sources(SEEN, refused=frozenset({Side.CLIENT, None})), NINETY_TEN, ONE)


async def test_a_source_that_fails_is_no_source_that_refuses():
    async def fail(query: TrafficQuery) -> Gathered:
        raise BackendTimeout("mesh", f"nothing within a second about {query.kinds[0]}")

    question = parse_question(parse_request("GET", f"/apis/metrics.smi-spec.io/v1alpha1/{ONE}", {}), {}, Window(30))
    with pytest.raises(BackendTimeout):
        await answer_split(question, 100, fail, NINETY_TEN)


async def test_how_far_the_numbers_can_be_trusted_is_told():
    result = await answer(Sources(SEEN), replace(NINETY_TEN, warnings=("labels are old",)), ONE)
    assert (result.warnings, result.incomplete, result.instant) == (("a scrape was late", "labels are old"), True, 100)


async def test_where_the_cluster_has_no_such_kind_that_is_the_answer_to_get_and_list():
    view = View(absent="trafficsplits.split.smi-spec.io are not installed in this cluster")
    for path in (ONE, "trafficsplits"):
        with pytest.raises(Unsupported, match="not installed"):
            await answer(Sources(SEEN), view, path)


async def test_without_a_cluster_nobody_knows_of_splits():
    with pytest.raises(Unsupported, match="httproutes are read from Kubernetes"):
        StandaloneObjects("Deployment").splits("HTTPRoute", "shop", "")


async def test_a_split_that_does_not_exist_is_not_found():
    with pytest.raises(NotFound) as caught:
        await answer(Sources(SEEN), NINETY_TEN, "namespaces/shop/trafficsplits/none")
    assert (caught.value.resource, caught.value.name) == ("trafficsplits.metrics.smi-spec.io", "none")


async def test_a_split_that_makes_no_sense_is_said_to_and_the_rest_are_there():
    broken = ResourceRef("TrafficSplit", "shop", "broken")
    view = replace(NINETY_TEN, broken=(broken, broken._replace(namespace="data"), broken._replace(kind="HTTPRoute")))
    result = await answer(Sources(SEEN), view, "namespaces/shop/trafficsplits")
    assert len(result.rows) == 2
    assert "trafficsplits left out, because what their spec says cannot be understood: shop/broken" in result.warnings
    alone = await answer(Sources(SEEN), view, "namespaces/shop/trafficsplits/broken")
    assert (alone.rows, len(alone.warnings)) == ((), 1)
    assert not any("cannot be understood" in warning for warning in (await answer(Sources(SEEN), view, ONE)).warnings)


@pytest.mark.parametrize("ref", [CANARY, ROUTE], ids=lambda ref: ref.kind)
async def test_what_has_no_backends_has_no_rows_and_asks_nobody(ref: ResourceRef):
    sources = Sources(SEEN, tells_routes=True)
    path = f"namespaces/shop/{ref.kind.lower()}s/{ref.name}"
    result = await answer(sources, View((split(ref),)), path, "window=5m")
    assert (result.rows, result.instant, result.window, sources.asked) == ((), 100, Window(300), [])


async def test_labels_are_those_of_the_split_and_can_be_selected():
    stable = split(ResourceRef("TrafficSplit", "shop", "stable"), ("web-v1", 1))
    view = View((*NINETY_TEN.known, stable), labelled={CANARY: {"tier": "front"}})
    rows = (await answer(Sources(SEEN), view, "trafficsplits", "labelSelector=tier=front")).rows
    assert [(row.name, dict(row.labels)) for row in rows] == [("canary", {"tier": "front"})] * 2


@pytest.mark.parametrize(
    ("selector", "backends"),
    [
        ("backend.name=web-v2", ["web-v2"]),
        ("backend.name!=web-v2", ["web-v1"]),
        ("backend.apex=web", ["web-v1", "web-v2"]),
        ("backend.apex=api", []),
        ("metadata.name=canary", ["web-v1", "web-v2"]),
        ("metadata.name=other", []),
    ],
)
async def test_rows_are_selected_by_their_fields(selector: str, backends: list[str]):
    rows = (await answer(Sources(SEEN), NINETY_TEN, "namespaces/shop/trafficsplits", f"fieldSelector={selector}")).rows
    assert [row.backend and row.backend.name for row in rows] == backends


async def test_of_the_past_the_backends_are_those_of_now_which_is_told():
    result = await answer(Sources(SEEN), NINETY_TEN, ONE, "time=1970-01-01T00:01:40Z")
    assert [row.success for row in result.rows] == [890_000, 60_000]
    assert "backends and weights are those of now; which they were then is not known" in result.warnings


async def test_callers_are_told_for_each_backend():
    batch = ResourceRef("Job", "shop", "batch")
    sources = Sources(
        (called(service("web-v1"), CALLER, 8), called(service("web-v2"), CALLER, 1), called(service("web-v2"), batch, 2))
    )
    result = await answer(sources, NINETY_TEN, f"{ONE}/edges")
    found = [(row.backend and row.backend.name, row.edge.peer, row.success) for row in result.rows]
    assert found == [("web-v1", CALLER, 8_000), ("web-v2", CALLER, 1_000), ("web-v2", batch, 2_000)]
    assert {row.edge.direction for row in result.rows} == {Direction.FROM}
    (query,) = sources.asked
    assert (query.kinds, query.edges, query.direction, query.side) == (("Service",), True, Direction.FROM, Side.CLIENT)


async def test_a_split_that_nobody_called_has_no_edges():
    assert (await answer(Sources(), NINETY_TEN, f"{ONE}/edges")).rows == ()


async def test_edges_are_asked_for_at_the_level_and_side_that_are_wanted():
    sources = Sources((called(service("web-v1"), UNKNOWN, 8),))
    await answer(sources, NINETY_TEN, f"{ONE}/edges", "edgeKind=pods&fieldSelector=edge.side=server,edge.resource.name=front-1")
    (query,) = sources.asked
    assert (query.peer_kind, query.side, query.peer.name) == ("Pod", Side.SERVER, "front-1")


MESH_ROUTE = View((split(ROUTE, ("web-v1", 90), ("web-v2", 10), ("web-v3", 0, "data")),))
VIA = "namespaces/shop/httproutes/web"
OTHER_WAY = (
    "no source tells HTTPRoutes apart here: the numbers of a backend are those of its Service, by whatever way requests came"
)


async def test_of_a_route_that_sources_tell_apart_the_numbers_are_its_own():
    native = (routed(ROUTE, service("web-v1"), 9), routed(ROUTE, service("web-v3", "data"), 3), routed(ROUTE, service("old"), 1))
    sources = Sources((*native, *SEEN), tells_routes=True)
    result = await answer(sources, MESH_ROUTE, VIA)
    found = [(row.backend and row.backend.name, row.success, row.edge) for row in result.rows]
    own = Edge(Direction.FROM, Side.CLIENT, EVERYTHING)
    assert found == [("web-v1", 9_000, own), ("web-v2", None, own), ("web-v3.data", 3_000, own)]
    assert result.warnings == ("a scrape was late",)
    (query,) = sources.asked
    assert (query.kinds, query.edges, query.direction, query.side) == (("HTTPRoute",), True, Direction.TO, Side.CLIENT)
    assert (query.peer_kind, query.namespace, query.name) == ("Service", "shop", "web")


async def test_of_other_routes_they_are_those_of_the_services_which_is_told():
    result = await answer(Sources(SEEN), MESH_ROUTE, VIA)
    assert [row.success for row in result.rows][:2] == [890_000, 60_000]
    assert OTHER_WAY in result.warnings


async def test_who_may_write_a_route_reads_nothing_of_another_namespace_by_it():
    sources = Sources((*SEEN, sent(service("web-v3", "data"), 77)))
    result = await answer(sources, MESH_ROUTE, VIA)
    last = result.rows[-1]
    assert (last.backend, last.success) == (SplitBackend("web", "web-v3.data", 0), None)
    assert {query.namespace for query in sources.asked} == {"shop"}
    assert any("another namespace" in warning and "web-v3.data" in warning for warning in result.warnings)


async def test_that_a_route_of_that_namespace_has_it_as_well_makes_no_difference():
    theirs = split(ResourceRef("HTTPRoute", "data", "theirs"), ("web-v3", 1))
    sources = Sources((*SEEN, sent(service("web-v3", "data"), 77)))
    rows = (await answer(sources, View((*MESH_ROUTE.known, theirs)), "httproutes")).rows
    assert [(row.namespace, row.success) for row in rows if row.backend and "web-v3" in row.backend.name] == [
        ("data", 77_000),
        ("shop", None),
    ]


async def test_a_route_with_backends_elsewhere_alone_asks_nobody_for_services():
    sources = Sources(SEEN)
    result = await answer(sources, View((split(ROUTE, ("web-v3", 1, "data")),)), VIA)
    assert [row.success for row in result.rows] == [None]
    assert {query.kinds for query in sources.asked} == {("HTTPRoute",)}


async def test_callers_by_a_route_are_those_of_its_services_which_is_told():
    sources = Sources((called(service("web-v1"), CALLER, 8),), tells_routes=True)
    result = await answer(sources, MESH_ROUTE, f"{VIA}/edges")
    assert [(row.backend and row.backend.name, row.edge.peer) for row in result.rows] == [("web-v1", CALLER)]
    told = "who called by which HTTPRoute is not told: the callers of a backend are all that called its Service, by whatever way"
    assert told in result.warnings


async def test_a_caller_whose_namespace_may_not_be_read_is_unknown_and_its_place_is_said():
    stranger = ResourceRef("Deployment", "data", "batch")
    sources = Sources((called(service("web-v1"), CALLER, 8), called(service("web-v1"), stranger, 3)))
    parameters: dict[str, str] = {}
    info = parse_request("GET", f"/apis/metrics.smi-spec.io/v1alpha1/{ONE}/edges", parameters)
    question = replace(parse_question(info, parameters, Window(30)), visible=frozenset())
    result = await answer_split(question, 100, sources, NINETY_TEN)
    assert {(row.edge.peer, row.success) for row in result.rows} == {(CALLER, 8_000), (UNKNOWN, 3_000)}
    assert result.hidden == {ResourceRef("Namespace", "", "data")}
