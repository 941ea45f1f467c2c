"""Sources of some namespaces, or of some requests, beside others: what they say of nodes, of members, and by incomplete names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl

import pytest

from apiservice.answers import Answers
from apiservice.federation.fanout import Fanout
from apiservice.inventory.store import Store
from apiservice.inventory.view import ClusterObjects
from apiservice.question import parse_question
from apiservice.requestinfo import parse_request
from apiservice.result import Result
from apiservice.traffic import TrafficService
from metrics_api import (
    CALLED_HOST,
    EVERYTHING,
    JOINED_SERVICE,
    Answer,
    Direction,
    Merge,
    ResourceRef,
    Sample,
    Side,
    Source,
    Terms,
    TrafficQuery,
    Window,
)
from tests.doubles.inventory import fill, obj, pod, slice_of
from tests.unit.apiservice.unopened import Unopened

WEB_1, TILL_1 = ResourceRef("Pod", "shop", "web-1"), ResourceRef("Pod", "pay", "till-1")
NODE = ResourceRef("Node", "", "node-1")
OBJECTS = [
    obj("Node", "node-1"),
    obj("Service", "web"),
    obj("Service", "till", namespace="pay"),
    pod("web-1"),
    pod("web-2"),
    pod("till-1", namespace="pay"),
    slice_of("web", "web-1", "web-2"),
    slice_of("till", "till-1", namespace="pay"),
]


@dataclass
class Mesh(Unopened):
    """A source with these requests, by resource; of those it tells the ones of the first kind it is asked about that it can name."""

    name: str
    rows: Mapping[ResourceRef, float]
    peer: ResourceRef = EVERYTHING
    refuses: str | None = None

    async def answer(self, query: TrafficQuery) -> Answer:
        names = {"Service": ("Service", JOINED_SERVICE, CALLED_HOST)}
        kinds = next(
            (
                found
                for kind in (*query.kinds, *query.members)
                if (found := {*names.get(kind, (kind,))} & {ref.kind for ref in self.rows})
            ),
            set[str](),
        )
        told = [
            Sample(ref, self.peer, Direction.FROM, Side.SERVER, count, 0, None, source=self.name)
            for ref, count in self.rows.items()
            if ref.kind in kinds and (self.peer != EVERYTHING) is query.edges
        ]
        return Answer(tuple(told), query.instant, query.window)


async def ask(path: str, *sources: Source, parameters: str = "") -> Result:
    query = dict(parse_qsl(parameters))
    question = parse_question(parse_request("GET", f"/apis/metrics.smi-spec.io/v1alpha1/{path}", query), query, Window(30))
    service = TrafficService(Fanout(sources), ClusterObjects(fill(Store(), OBJECTS), patience=0.01))
    return await Answers(service, refresh=5, clock=lambda: 103.7).answer(question)


def numbers(result: Result) -> dict[str, float]:
    return {f"{row.namespace}/{row.name}": row.success / 1000 for row in result.rows if row.success is not None}


def covers(*namespaces: str, merge: Merge = Merge.FIRST) -> Terms:
    return Terms(namespaces=namespaces, merge=merge)


async def test_a_service_whose_namespace_is_joined_to_its_name_is_heard_where_it_turns_out_to_be_covered():
    joined = {ResourceRef(JOINED_SERVICE, "", name): count for name, count in (("shop-web", 5), ("pay-till", 7))}
    assert numbers(await ask("services", Source(Mesh("a", joined), covers("shop")))) == {"shop/web": 5}
    both = (Source(Mesh("a", joined), covers("shop")), Source(Mesh("b", joined), covers("pay")))
    assert numbers(await ask("services", *both)) == {"shop/web": 5, "pay/till": 7}


async def test_whom_a_caller_of_another_namespace_called_is_heard_where_it_turns_out_to_be_covered():
    called = Mesh("a", {ResourceRef(CALLED_HOST, "shop", "till.pay.svc"): 5}, peer=ResourceRef("Pod", "shop", "web-1"))
    path = "namespaces/pay/services/till/edges"
    assert numbers(await ask(path, Source(called, covers("pay")))) == {"pay/till": 5}
    assert numbers(await ask(path, Source(called, covers("p*")))) == {"pay/till": 5}


async def test_a_node_is_all_its_pods_also_when_a_source_of_some_namespaces_stands_before_one_of_all():
    some = Source(Mesh("some", {WEB_1: 100}), covers("shop"))
    everything = Source(Mesh("all", {NODE: 1000, WEB_1: 90, TILL_1: 900}))
    assert numbers(await ask("nodes/node-1", some, everything)) == {"/node-1": 1000}
    assert numbers(await ask("nodes/node-1", everything, some)) == {"/node-1": 990}
    assert numbers(await ask("nodes/node-1", everything)) == {"/node-1": 1000}


async def test_a_node_whose_pods_are_not_all_covered_is_said_to_be_told_in_part():
    result = await ask("nodes/node-1", Source(Mesh("a", {WEB_1: 5}), covers("shop")))
    assert numbers(result) == {"/node-1": 5}
    assert result.warnings == ("numbers of nodes are those of pods in namespaces that a source covers, which are shop",)


async def test_a_sum_says_which_part_of_it_cannot_be_told():
    parts = (
        Source(Mesh("a", {WEB_1: 5}), covers(merge=Merge.SUM)),
        Source(Mesh("b", {}, refuses="it knows no pods"), covers(merge=Merge.SUM)),
    )
    result = await ask("namespaces/shop/pods/web-1", *parts)
    assert numbers(result) == {"shop/web-1": 5}
    assert result.warnings == ('source "b", whose numbers are to be added to those of "a", cannot tell: it knows no pods',)
    elsewhere = Source(Mesh("b", {}, refuses="it knows no pods"), covers("pay", merge=Merge.SUM))
    assert (await ask("namespaces/shop/pods/web-1", parts[0], elsewhere)).warnings == ()


WEB_2 = ResourceRef("Pod", "shop", "web-2")


@pytest.mark.parametrize("at", [0, 1, 2])
async def test_pods_that_disjoint_sources_know_are_added_to_those_that_another_one_knows(at: int):
    """The same pod is believed of the first, or added up where sources are disjoint; different pods are different requests."""
    sources = [Source(Mesh(name, {WEB_2: count}), covers(merge=Merge.SUM)) for name, count in (("a", 7), ("b", 3))]
    sources.insert(at, Source(Mesh("other", {WEB_1: 100, WEB_2: 1000})))
    result = await ask("namespaces/shop/services/web", *sources)
    assert numbers(result) == {"shop/web": 1100 if at == 0 else 110}
    assert (result.warnings, result.incomplete) == ((), False)


@pytest.mark.parametrize(
    ("path", "others", "told"),
    [
        pytest.param("pods", (), True, id="all namespaces"),
        pytest.param("namespaces/shop/pods", (), False, id="another namespace"),
        pytest.param("pods", (Source(Mesh("c", {})),), False, id="another source tells of it"),
    ],
)
async def test_that_the_only_source_of_a_namespace_cannot_tell_is_said(path: str, others: tuple[Source, ...], *, told: bool):
    only = Source(Mesh("b", {}, refuses="it knows no pods"), covers("pay"))
    result = await ask(path, Source(Mesh("a", {WEB_1: 5}), covers("shop")), only, *others)
    assert numbers(result) == {"shop/web-1": 5}
    assert (result.warnings == ('nothing is told of pay, because source "b" cannot tell: it knows no pods',)) is told
    assert bool(result.warnings) is told
