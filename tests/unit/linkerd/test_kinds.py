"""Which kinds a question is put to Linkerd viz in, and what is refused because viz can never tell it."""

from __future__ import annotations

from typing import Any

import pytest

from backends.linkerd.kinds import WORKLOADS, directions, is_member, peer_kinds, refusal, resource_kinds
from metrics_api import ANY_WORKLOAD, WORKLOAD_KINDS, Direction, Side, TrafficQuery, Window

TO, FROM = Direction.TO, Direction.FROM
PODS, BOTH = ("Pod",), ("Pod", ANY_WORKLOAD)


def query(*kinds: str, **more: Any) -> TrafficQuery:
    return TrafficQuery(kinds, Window(60), 0, **more)


@pytest.mark.parametrize(
    ("kinds", "members", "asked"),
    [
        pytest.param(("Deployment",), BOTH, ("Deployment",), id="a kind that viz knows"),
        pytest.param((*WORKLOAD_KINDS, ANY_WORKLOAD), PODS, WORKLOADS, id="all workloads, each kind once"),
        pytest.param((ANY_WORKLOAD,), (), WORKLOADS, id="workloads of any kind"),
        pytest.param(("ReplicaSet",), PODS, PODS, id="ReplicaSets by their pods"),
        pytest.param(("ReplicaSet",), (), ("ReplicaSet",), id="ReplicaSets as far as viz knows them"),
        pytest.param(("Job", "ReplicaSet"), PODS, PODS, id="what may have an owner, by its pods"),
        pytest.param(("Job", "Deployment"), PODS, ("Job", "Deployment"), id="Jobs among others: pods would count all again"),
        pytest.param(("Node",), PODS, PODS, id="nodes by their pods"),
        pytest.param(("Node",), (), (), id="nodes by nothing"),
        pytest.param(("Rollout",), BOTH, PODS, id="custom kinds by their pods"),
        pytest.param(("Service", "Pod"), (), ("Service",), id="one family alone"),
        pytest.param(("TrafficSplit",), (), (), id="splits"),
    ],
)
def test_each_request_is_asked_for_in_one_family_of_kinds(kinds: tuple[str, ...], members: tuple[str, ...], asked: tuple[str, ...]):
    question = query(*kinds, members=members)
    assert resource_kinds(question) == asked
    assert bool(asked) == (refusal(question) is None)
    assert is_member(question) == (asked == PODS or not asked)


@pytest.mark.parametrize(
    ("question", "to", "from_"),
    [
        pytest.param(query("Deployment", edges=True), WORKLOADS, WORKLOADS, id="peers of a workload are workloads"),
        pytest.param(query("Pod", edges=True), PODS, PODS, id="of a pod pods"),
        pytest.param(query("Namespace", edges=True), ("Namespace",), ("Namespace",), id="of a namespace namespaces"),
        pytest.param(query("Deployment", edges=True, peer_kind="Service"), ("Service",), (), id="Services are called"),
        pytest.param(
            query("Pod", edges=True, peer_kind="Service", peer_members=PODS), ("Service",), PODS, id="and call by their pods"
        ),
        pytest.param(query("Pod", edges=True, peer_kind="Node", peer_members=PODS), PODS, PODS, id="nodes by their pods"),
        pytest.param(query("Pod", edges=True, peer_kind="ReplicaSet", peer_members=PODS), PODS, PODS, id="ReplicaSets as well"),
    ],
)
def test_peers_are_asked_for_at_the_level_that_is_wanted(question: TrafficQuery, to: tuple[str, ...], from_: tuple[str, ...]):
    assert (peer_kinds(question, TO), peer_kinds(question, FROM)) == (to, from_)
    assert directions(question) == tuple(each for each, kinds in ((TO, to), (FROM, from_)) if kinds)


def test_a_service_is_called_and_calls_nobody():
    assert directions(query("Service", edges=True)) == (FROM,)


@pytest.mark.parametrize(
    ("question", "words"),
    [
        pytest.param(query("Node"), "nothing of nodes", id="nodes"),
        pytest.param(query("Rollout"), "nothing of rollouts, and nobody here knows which pods", id="custom kinds"),
        pytest.param(query("HTTPRoute"), "ask for the Services", id="routes"),
        pytest.param(query("TrafficSplit"), "ask for the Services", id="splits"),
        pytest.param(
            query("Deployment", side=Side.CLIENT), "totals of deployments as the server observed them", id="totals of callers"
        ),
        pytest.param(query("Service", side=Side.SERVER), "totals of services as the client observed them", id="totals of servers"),
        pytest.param(query("Pod", edges=True, side=Side.SERVER), "edges as the client observed them", id="edges of servers"),
        pytest.param(query("Service", edges=True, direction=TO), "a Service calls nobody", id="callees of a Service"),
        pytest.param(
            query("Pod", edges=True, peer_kind="Node"), "as peers, Linkerd viz tells nothing of nodes", id="nodes as peers"
        ),
        pytest.param(
            query("Pod", edges=True, peer_kind="Service", direction=FROM),
            "which Services callers belong to",
            id="Services as callers",
        ),
    ],
)
def test_what_viz_can_never_tell_is_refused_with_the_reason(question: TrafficQuery, words: str):
    assert words in (refusal(question) or "")


@pytest.mark.parametrize(
    "question",
    [
        query("Deployment", side=Side.SERVER),
        query("Service", side=Side.CLIENT),
        query("Deployment", edges=True, side=Side.CLIENT),
        query("Deployment", sums=True, quantiles=(0.5, 0.9, 0.999)),
        query("Pod", edges=True, peer_kind="Service"),
    ],
)
def test_what_viz_can_tell_is_not_refused(question: TrafficQuery):
    assert refusal(question) is None
