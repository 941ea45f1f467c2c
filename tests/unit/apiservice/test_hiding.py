"""Peers that may not be told of: one row of unknown ones, whose numbers are all there, and no sentence that names them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from apiservice.hiding import NODES, discreet, hide, home_of, left_alone, namespace_of, place_of, words_of
from metrics_api import EVERYTHING, UNKNOWN, Direction, Histogram, Identities, Naming, Percentiles, ResourceRef, Sample, Side
from metrics_api.resources import host

API = ResourceRef("Deployment", "shop", "api")
WEB = ResourceRef("Deployment", "shop", "web")
SPY = ResourceRef("Deployment", "secret", "spy")
VAULT = ResourceRef("StatefulSet", "secret", "vault")
DB = ResourceRef("StatefulSet", "data", "db")
NODE = ResourceRef("Node", "", "n1")
DATA = namespace_of("data")
NOBODY: frozenset[ResourceRef] = frozenset()


def edge(
    peer: ResourceRef,
    success: float | None = 1,
    latency: Histogram | Percentiles | None = None,
    *,
    resource: ResourceRef = API,
    direction: Direction = Direction.FROM,
    side: Side = Side.SERVER,
    trust: int = 0,
    source: str = "mesh",
) -> Sample:
    failure = None if success is None else 0
    return Sample(resource, peer, direction, side, success, failure, latency, trust, source)


def histogram(*counts: float) -> Histogram:
    return Histogram((0.1, 1.0, float("inf")), counts)


@pytest.mark.parametrize(
    ("peer", "home", "place"),
    [
        pytest.param(WEB, "shop", None, id="at home"),
        pytest.param(SPY, "shop", namespace_of("secret"), id="elsewhere"),
        pytest.param(namespace_of("shop"), "shop", None, id="the namespace itself"),
        pytest.param(namespace_of("secret"), "shop", namespace_of("secret"), id="another namespace"),
        pytest.param(NODE, "shop", NODES, id="a node"),
        pytest.param(SPY, "", namespace_of("secret"), id="seen from a node"),
        pytest.param(host("example.com"), "shop", host("example.com"), id="a host"),
        pytest.param(UNKNOWN, "shop", None, id="unknown already"),
        pytest.param(EVERYTHING, "shop", None, id="everybody"),
        pytest.param(
            ResourceRef("Deployment", "", "spy"), "shop", ResourceRef("Deployment", "", "spy"), id="in no known namespace"
        ),
    ],
)
def test_a_peer_is_where_its_reader_would_have_to_look(peer: ResourceRef, home: str, place: ResourceRef | None):
    assert place_of(peer, home) == place


def test_home_is_the_namespace_whose_reader_asks():
    assert [home_of(ref) for ref in (API, namespace_of("shop"), NODE)] == ["shop", "shop", ""]


def test_all_hidden_peers_are_one_unknown_peer_with_all_their_requests():
    samples = [
        edge(WEB, 1),
        edge(SPY, 2, histogram(2, 0, 0)),
        edge(VAULT, 4, histogram(0, 4, 0)),
        edge(UNKNOWN, 8, histogram(0, 0, 8)),
    ]
    shown, hidden = hide(samples, NOBODY)
    assert {sample.peer: sample.success for sample in shown} == {WEB: 1, UNKNOWN: 14}
    (unknown,) = [sample for sample in shown if sample.peer == UNKNOWN]
    assert unknown.latency == histogram(2, 4, 8)
    assert hidden == {namespace_of("secret")}


def test_percentiles_of_several_hidden_peers_are_not_known():
    shown, _ = hide([edge(SPY, 2, Percentiles({0.5: 0.1})), edge(VAULT, 4, Percentiles({0.5: 0.3}))], NOBODY)
    assert [(sample.success, sample.latency) for sample in shown] == [(6, None)]


def test_hidden_peers_are_one_whoever_saw_them():
    samples = [
        edge(SPY, 2, side=Side.CLIENT, trust=7, source="other"),
        edge(VAULT, 4, side=Side.SERVER, trust=1),
        edge(UNKNOWN, 8, side=Side.SERVER, trust=3),
    ]
    (unknown,), _ = hide(samples, NOBODY)
    assert (unknown.success, unknown.side, unknown.trust, unknown.source) == (14, Side.SERVER, 1, "mesh,other")


SPYING = Identities(
    "spy.secret.serviceaccount.identity.linkerd.cluster.local", "api.shop.serviceaccount.identity.linkerd.cluster.local"
)


@pytest.mark.parametrize("peer", [SPY, UNKNOWN], ids=["a hidden peer", "a peer of whom only the identity is known"])
def test_an_identity_names_nobody_who_is_not_named_otherwise(peer: ResourceRef):
    (alone,), _ = hide([replace(edge(peer), identities=SPYING)], NOBODY)
    (together,), _ = hide([replace(edge(each), identities=SPYING) for each in (peer, VAULT)], NOBODY)
    assert (alone.peer, alone.identities, together.identities) == (UNKNOWN, None, None)


def test_identities_of_a_peer_that_may_be_told_of_are_told():
    (shown,), _ = hide([replace(edge(SPY), identities=SPYING)], frozenset({namespace_of("secret")}))
    assert shown.identities == SPYING


def test_resources_and_directions_are_not_mixed():
    samples = [edge(SPY, 1), edge(VAULT, 2, direction=Direction.TO), edge(SPY, 4, resource=WEB)]
    shown, _ = hide(samples, NOBODY)
    assert {(sample.resource, sample.direction): sample.success for sample in shown} == {
        (API, Direction.FROM): 1,
        (API, Direction.TO): 2,
        (WEB, Direction.FROM): 4,
    }


def test_connections_nobody_counted_stay_unknown_among_the_hidden():
    (alone,), _ = hide([edge(SPY, None)], NOBODY)
    assert (alone.peer, alone.success, alone.failure) == (UNKNOWN, None, None)
    (together,), _ = hide([edge(SPY, None), edge(VAULT, 3)], NOBODY)
    assert together.success == 3


def test_what_may_be_told_of_stays_as_it_was():
    samples = [edge(WEB), edge(DB), edge(SPY)]
    shown, hidden = hide(samples, frozenset({DATA}))
    assert shown[:2] == samples[:2]
    assert (shown[2].peer, hidden) == (UNKNOWN, {namespace_of("secret")})


def test_a_node_that_calls_itself_is_no_secret():
    own = edge(NODE, resource=NODE)
    assert hide([own, edge(ResourceRef("Node", "", "n2"), resource=NODE)], NOBODY)[0][0] == own


def test_peers_of_a_namespace_are_at_home_in_it():
    shop = namespace_of("shop")
    shown, hidden = hide([edge(WEB, resource=shop), edge(SPY, resource=shop)], NOBODY)
    assert ([sample.peer for sample in shown], hidden) == ([WEB, UNKNOWN], {namespace_of("secret")})


def test_a_sentence_about_the_hidden_names_nobody():
    warnings = [
        Naming("TCP of spy", [API, SPY], "TCP of some"),
        Naming("a spy and a spy", [SPY]),
        Naming("TCP of db", [API, DB]),
        "slow",
    ]
    assert discreet(warnings, frozenset({DATA}), "shop") == ("TCP of some", "TCP of db", "slow")
    assert discreet(warnings, None, "shop") == tuple(warnings)


def test_a_sentence_without_names_is_told_once():
    warnings = [Naming("TCP of spy", [SPY], "TCP of some"), Naming("TCP of vault", [VAULT], "TCP of some")]
    assert discreet(warnings, NOBODY, "shop") == ("TCP of some",)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        pytest.param("db.data.svc.cluster.local", {"db", "data", "svc", "cluster", "local"}, id="cluster DNS"),
        pytest.param("DB.Data:80", {"db", "data", "80"}, id="port and capitals"),
        pytest.param("data-eu-db", {"data", "eu", "db", "data-eu", "eu-db", "data-eu-db"}, id="joined"),
        pytest.param("data_db|80", {"data", "db", "80"}, id="other joints"),
        pytest.param("--", frozenset(), id="nothing"),
    ],
)
def test_any_part_of_a_host_may_be_a_namespace(name: str, words: set[str]):
    assert words_of(name) == words


def test_the_name_of_a_host_costs_what_it_is_long():
    assert len(words_of("a-" * 5000)) < 5000


@pytest.mark.parametrize(
    ("second", "unknown", "left"),
    [
        pytest.param((0, None), 101, 0, id="disjoint"),
        pytest.param((1, None), 1, 1, id="the same requests, maybe"),
        pytest.param((0, 60), 1, 1, id="another window or instant"),
    ],
)
def test_requests_that_two_sources_saw_are_added_to_one_unknown_peer_where_these_are_disjoint(
    second: tuple[int, int | None], unknown: float, left: int
):
    """Who calls from outside of one mesh is unknown there, and has a name in the other."""
    origin = {"a": (0, None), "b": second, "a,b": (0, None)}.__getitem__
    seen = [edge(SPY, 100, source="b"), edge(UNKNOWN, 1, source="a"), edge(WEB, 7, source="b")]
    shown, _ = hide(seen, NOBODY, origin)
    assert {sample.peer: sample.success for sample in shown} == {WEB: 7, UNKNOWN: unknown}
    told = left_alone(seen, shown, origin)
    why = "of peers that may not be told of the numbers are those of one source, because others may have seen the same requests: shop/api"
    assert told == (why,) * left


def test_a_source_that_counts_the_requests_of_unknown_peers_is_believed_before_one_that_does_not():
    origin = {"a": (0, None), "b": (1, None)}.__getitem__
    seen = [edge(UNKNOWN, None, source="a"), edge(SPY, 5, source="b")]
    shown, _ = hide(seen, NOBODY, origin)
    assert [(sample.success, sample.source) for sample in shown] == [(5, "b")]
    assert left_alone(seen, shown, origin) == ()


@pytest.mark.parametrize(("source", "latency"), [("a", histogram(2, 0, 0)), ("b", None)], ids=["one source", "two sources"])
def test_a_latency_of_the_requests_of_one_source_is_none_of_those_of_two(source: str, latency: Histogram | None):
    (shown,), _ = hide([edge(SPY, 2, histogram(2, 0, 0), source="a"), edge(VAULT, 4, source=source)], NOBODY)
    assert (shown.success, shown.latency, shown.source) == (6, latency, ",".join(dict.fromkeys(("a", source))))
