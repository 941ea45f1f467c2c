"""Edges of one object and of many: every one that viz knows of is told once in each direction, at the price of few calls."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from metrics_api import (
    ANY_WORKLOAD,
    WORKLOAD_KINDS,
    Answer,
    BackendRefused,
    Direction,
    Identities,
    ResourceRef,
    Side,
    TrafficQuery,
    Window,
)
from tests.backends.linkerd.stub import NOW, Fault, Stub, edge, open_backend
from tests.backends.linkerd.town import Calls, Town

TO, FROM = Direction.TO, Direction.FROM
WHOLE = (*WORKLOAD_KINDS, ANY_WORKLOAD)


def deployment(name: str, namespace: str = "shop") -> ResourceRef:
    return ResourceRef("Deployment", namespace, name)


WEB, API, PAY, DB = deployment("web"), deployment("api"), deployment("pay", "money"), ResourceRef("StatefulSet", "money", "db")
PROXY = ResourceRef("DaemonSet", "kube-system", "kube-proxy")
CALLS: Calls = {(WEB, API): 5, (API, PAY): 3, (PAY, DB): 2, (WEB, WEB): 1, (PAY, WEB): 4}
TOWN = Town(CALLS, idle=frozenset({deployment("idle")}), outside=frozenset({PROXY, deployment("bare")}))


def query(*kinds: str, name: str = "", namespace: str = "shop", **more: Any) -> TrafficQuery:
    return TrafficQuery(kinds or ("Deployment",), Window(90), NOW, namespace, name, edges=True, **more)


def edges_of(found: Answer) -> list[tuple[str, str, str, float | None]]:
    """Resource, direction, peer and successes."""
    assert {sample.side for sample in found.samples} <= {Side.CLIENT}
    assert {sample.failure for sample in found.samples} <= {0}
    return sorted((each.resource.name, each.direction.value, each.peer.name, each.success) for each in found.samples)


async def asked(question: TrafficQuery, town: Town = TOWN, **more: Any) -> tuple[Answer, Stub]:
    stub = Stub(town.summary)
    async with open_backend(stub, **more) as it:
        assert it.refusal(question) is None
        return await it.answer(question), stub


async def test_one_object_has_its_callers_and_its_callees_of_every_namespace_and_kind():
    found, _ = await asked(query(name="pay", namespace="money"))
    assert edges_of(found) == [("pay", "from", "api", 3), ("pay", "to", "db", 2), ("pay", "to", "web", 4)]


async def test_what_calls_itself_is_its_own_caller_and_its_own_callee():
    found, _ = await asked(query(name="web"))
    assert edges_of(found) == [
        ("web", "from", "pay", 4),
        ("web", "from", "web", 1),
        ("web", "to", "api", 5),
        ("web", "to", "web", 1),
    ]


async def test_a_peer_that_was_silent_in_the_window_had_no_requests():
    service = ResourceRef("Service", "shop", "api")
    silent = Town({(WEB, API): 0, (API, WEB): 0, (WEB, service): 0})
    assert edges_of((await asked(query(name="web"), silent))[0]) == [("web", "from", "api", 0), ("web", "to", "api", 0)]
    assert edges_of((await asked(query(namespace="shop", direction=TO), silent))[0]) == [
        ("api", "to", "web", 0),
        ("web", "to", "api", 0),
    ]
    assert edges_of((await asked(query(name="web", peer_kind="Service"), silent))[0]) == [("web", "to", "api", 0)]


@pytest.mark.parametrize("direction", [TO, FROM])
async def test_one_direction_costs_half(direction: Direction):
    found, both = await asked(query(name="web"))
    half, stub = await asked(query(name="web", direction=direction))
    assert half.samples == tuple(sample for sample in found.samples if sample.direction is direction)
    assert len(stub.summaries) * 2 == len(both.summaries)


async def test_only_kinds_of_which_something_is_in_the_mesh_are_asked_for_as_peers():
    # The DaemonSet of the town is outside. ReplicaSets are in every cluster, and which of them call is known by asking.
    _, stub = await asked(query(name="web", direction=TO))
    assert {request.selector.resource.type for request in stub.summaries} == {"deployment", "statefulset", "replicaset"}


async def test_what_ran_and_ended_in_the_window_is_asked_for_too():
    job = ResourceRef("Job", "shop", "report")
    stub = Stub(Town({**CALLS, (job, WEB): 2}).summary)

    def ended(request: Any) -> Any:
        rows = Town({**CALLS, (job, WEB): 2}).summary(request)
        for each in rows:
            if each.resource.type == "job":
                each.meshed_pod_count = each.running_pod_count = 0
        return rows

    stub.summary = ended
    async with open_backend(stub) as it:
        assert ("web", "from", "report", 2) in edges_of(await it.answer(query(name="web")))


async def test_the_kinds_there_are_are_asked_for_once_in_a_while():
    async with open_backend(stub := Stub(TOWN.summary)) as it:
        await it.answer(query(name="web"))
        before = len(stub.asked)
        await it.answer(query(name="api"))
    looks = [request for request in stub.asked if getattr(request, "skip_stats", False)]
    assert len(looks) == 6
    assert len(stub.asked) - before == 7  # two directions, three kinds, identities


async def test_a_peer_that_is_named_is_asked_for_alone():
    found, stub = await asked(query(name="web", peer=API, direction=TO))
    assert edges_of(found) == [("web", "to", "api", 5)]
    assert {(each.selector.resource.namespace, each.selector.resource.name) for each in stub.summaries} == {("shop", "api")}


async def test_a_list_asks_for_each_object_and_tells_callers_of_other_namespaces():
    found, _ = await asked(query(namespace="shop"))
    web = [("web", "from", "pay", 4), ("web", "from", "web", 1), ("web", "to", "api", 5), ("web", "to", "web", 1)]
    assert edges_of(found) == [("api", "from", "web", 5), ("api", "to", "pay", 3), *web]


async def test_a_list_of_everything_asks_what_each_calls_and_tells_it_in_both_directions():
    found, stub = await asked(query(*WHOLE, namespace=""))
    assert edges_of(found) == sorted(
        [
            *((caller.name, "to", callee.name, count) for (caller, callee), count in CALLS.items()),
            *((callee.name, "from", caller.name, count) for (caller, callee), count in CALLS.items()),
        ]
    )
    about_one = [request for request in stub.summaries if request.to_resource.name or request.from_resource.name]
    assert {request.WhichOneof("outbound") for request in about_one} == {"from_resource"}


async def test_a_list_asks_about_nothing_that_neither_calls_nor_is_called():
    _, stub = await asked(query(namespace=""))
    assert {request.to_resource.name for request in stub.summaries} - {""} == {"web", "api", "pay"}
    assert {request.from_resource.name for request in stub.summaries} - {""} == {"web", "api", "pay"}


async def test_kinds_of_which_there_is_nothing_have_no_edges():
    found, _ = await asked(query("DaemonSet", "CronJob", name="web"))
    assert found.samples == ()


async def test_a_list_of_more_than_the_limit_says_what_to_do():
    with pytest.raises(BackendRefused, match=r'2 deployments are more than 1: ask for one namespace .* raise "edgeListLimit"'):
        await asked(query(namespace="shop"), edge_list_limit=1)
    assert (await asked(query(namespace="shop"), edge_list_limit=2))[0].samples


async def test_workloads_are_found_by_name_whatever_their_kind():
    found, stub = await asked(query(*WHOLE, name="db", namespace="money"))
    assert edges_of(found) == [("db", "from", "pay", 2)]
    assert {request.to_resource.type for request in stub.summaries} == {"statefulset", ""}


async def test_of_namespaces_what_passed_between_them_is_told():
    shop, money = (ResourceRef("Namespace", "", name) for name in ("shop", "money"))
    found, _ = await asked(query("Namespace", name="shop", namespace=""), Town({(shop, money): 3, (money, shop): 4}))
    assert edges_of(found) == [("shop", "from", "money", 4), ("shop", "to", "money", 3)]


async def test_of_a_service_its_callers_are_told_and_that_it_calls_nobody():
    service = ResourceRef("Service", "shop", "web")
    found, _ = await asked(query("Service", name="web"), Town({(API, service): 3, (service, DB): 9}))
    assert edges_of(found) == [("web", "from", "api", 3)]
    assert any("tells who calls a Service" in warning for warning in found.warnings)
    listed, _ = await asked(query("Service"), Town({(API, service): 3}))
    assert edges_of(listed) == [("web", "from", "api", 3)]


async def test_services_are_peers_that_are_called_and_pods_are_told_of_those_that_call():
    service, pod = ResourceRef("Service", "shop", "api"), ResourceRef("Pod", "money", "pay-1")
    town = Town({(WEB, service): 3, (pod, WEB): 4})
    question = query(name="web", peer_kind="Service", peer_members=("Pod", ANY_WORKLOAD))
    assert edges_of((await asked(question, town))[0]) == [("web", "from", "pay-1", 4), ("web", "to", "api", 3)]


async def test_a_reader_is_told_once_who_is_not_among_the_peers():
    found, _ = await asked(query(namespace="shop"))
    nobody = 'source "viz" lists no peers outside the mesh'
    assert found.warnings == (f"{nobody}, nor pods that belong to no workload or to that of a custom controller",)
    assert (await asked(query("Pod", name="web-1"), Town({})))[0].warnings == (nobody,)


SECURE = Identities("web.shop.serviceaccount", "api.shop.serviceaccount")


async def identified(
    stub: Stub, question: TrafficQuery, **more: Any
) -> tuple[dict[tuple[str, str], Identities | None], tuple[str, ...]]:
    async with open_backend(stub, **more) as it:
        found = await it.answer(question)
    return {(sample.resource.name, sample.peer.name): sample.identities for sample in found.samples}, found.warnings[1:]


async def test_identities_are_told_of_edges_there_are_in_both_directions_and_of_no_others():
    open_now = [
        edge(WEB, API, SECURE),
        edge(API, PAY, Identities("a", "", "Not Provided By Remote")),
        edge(deployment("new"), API, SECURE),
    ]
    stub = Stub(TOWN.summary, lambda kind, _: open_now if kind == "deployment" else [])
    found, warnings = await identified(stub, query(name="api"))
    assert found == {("api", "web"): SECURE, ("api", "pay"): Identities("a", "", "Not Provided By Remote")}
    assert warnings == ()


async def test_the_identities_of_two_edges_between_the_same_objects_are_not_confused():
    there, back = Identities("a", "b"), Identities("b", "a")
    town = Town({(WEB, API): 1, (API, WEB): 2})
    async with open_backend(
        Stub(town.summary, lambda kind, _: [edge(WEB, API, there), edge(API, WEB, back)] * (kind == "deployment"))
    ) as it:
        found = await it.answer(query(name="web"))
    assert {sample.direction: sample.identities for sample in found.samples} == {TO: there, FROM: back}


async def test_nobody_asks_for_identities_who_does_not_want_them():
    stub = Stub(TOWN.summary, lambda _kind, _namespace: [edge(WEB, API, SECURE)])
    found, _ = await identified(stub, query(name="api"), identities=False)
    assert set(found.values()) == {None}
    assert not any(type(request).__name__ == "EdgesRequest" for request in stub.asked)


def fail(_kind: str, _namespace: str) -> Any:
    raise Fault(grpc.StatusCode.UNKNOWN, "no")


@pytest.mark.parametrize(
    ("faulty", "words"),
    [
        pytest.param(Stub(TOWN.summary, fail), "edges are told without identities", id="a call that fails"),
        pytest.param(Stub(TOWN.summary, edges_body="no"), "edges are told without identities", id="an error in the body"),
        pytest.param(Stub(TOWN.summary, edges_delay=60), "take longer than all else", id="a call that hangs"),
    ],
)
async def test_edges_without_identities_are_edges_and_a_warning(faulty: Stub, words: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("backends.linkerd.identities._PATIENCE", 0.05)
    found, warnings = await identified(faulty, query(name="api"))
    assert found == {("api", "web"): None, ("api", "pay"): None}
    assert [words in warning for warning in warnings] == [True]


NAMES = st.sampled_from(["web", "api", "db"])
REFS = st.builds(ResourceRef, st.sampled_from(["Deployment", "StatefulSet", "Job"]), st.sampled_from(["shop", "money"]), NAMES)


@given(st.dictionaries(st.tuples(REFS, REFS), st.integers(0, 50), max_size=6), st.sampled_from(["", "shop"]), st.booleans())
@settings(max_examples=40, deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow])
async def test_whoever_calls_whom_is_told_once_in_each_direction(calls: Calls, namespace: str, every: bool):  # noqa: FBT001 drawn
    kinds = WHOLE if every else ("Deployment",)
    found, _ = await asked(query(*kinds, namespace=namespace), Town(calls), identities=False)
    expected = {
        (resource, direction, peer): count
        for (caller, callee), count in calls.items()
        for resource, direction, peer in ((caller, TO, callee), (callee, FROM, caller))
        if namespace in ("", resource.namespace) and (every or resource.kind == "Deployment")
    }
    assert {(sample.resource, sample.direction, sample.peer): sample.success for sample in found.samples} == expected
    assert len(found.samples) == len(expected)
