"""What shows only when sources are seen together, rule by rule: who is found to be worth a word, and who is not."""

from __future__ import annotations

import pytest

from apiservice.sources.overlaps import hints
from metrics_api import Merge, Offer, Source, Terms
from metrics_api.diagnosis import Diagnosis, Level, Mesh
from tests.unit.apiservice.sources import source

OK, WARNING, PROBLEM = Level.OK, Level.WARNING, Level.PROBLEM
ISTIO, LINKERD = Mesh("Istio", "istio"), Mesh("Linkerd", "linkerd")
VIZ = Mesh("Linkerd", "viz", ("2.366.0",), "proxy")
SUM = Terms(merge=Merge.SUM)
P95 = Offer((0.5, 0.95, 0.99))
LATE = Offer(None, 120)


def seen(
    name: str,
    terms: Terms = Terms(),  # noqa: B008 - frozen
    *meshes: Mesh,
    url: str = "",
    offer: Offer | None = None,
    namespaces: frozenset[str] | None = None,
) -> tuple[Source, Diagnosis]:
    return source(name, terms, offer), Diagnosis(name, facts={"url": url} if url else {}, meshes=meshes, namespaces=namespaces)


def told(*sources: tuple[Source, Diagnosis], home: str = "") -> list[tuple[str, Level, str]]:
    return [(name, finding.level, finding.check) for name, findings in hints(sources, home).items() for finding in findings]


def sentences(*sources: tuple[Source, Diagnosis], home: str = "") -> str:
    found = [finding for findings in hints(sources, home).values() for finding in findings]
    return "\n".join(f"{finding.what} -> {finding.advice}" for finding in found)


def test_sources_that_have_nothing_to_do_with_each_other_are_not_worth_a_word():
    assert told(seen("mesh", Terms(), ISTIO, namespaces=frozenset({"shop"})), seen("edge", Terms(), LINKERD)) == []


def test_of_two_that_tell_of_one_mesh_it_is_said_which_one_is_believed():
    pair = seen("mesh", Terms(), LINKERD), seen("viz", Terms(), VIZ)
    assert told(*pair) == [("viz", OK, "overlap")]
    assert sentences(*pair) == (
        'it tells of Linkerd, as source "mesh" does, which stands first and is believed where both have a row'
        " -> merge: sum for both adds them up, if no request is seen by both"
    )


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Terms(), Terms("west")),
        (Terms("east"), Terms("west")),
        (Terms("", ("shop",)), Terms("", ("data", "team-*"))),
    ],
    ids=["home and another cluster", "two clusters", "namespaces apart"],
)
def test_what_no_question_asks_of_both_does_not_overlap(one: Terms, other: Terms):
    assert [check for _, _, check in told(seen("a", one, ISTIO), seen("b", other, ISTIO), home="east") if check == "overlap"] == []


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Terms(), Terms("east")),
        (Terms("", ("shop",)), Terms()),
        (Terms("", ("shop",)), Terms("", ("sh*",))),
        (Terms("", ("team-*",)), Terms("", ("team-a",))),
    ],
    ids=["home by its name", "some and all", "name and pattern", "pattern and name"],
)
def test_what_a_question_may_ask_of_both_overlaps(one: Terms, other: Terms):
    assert told(seen("a", one, ISTIO), seen("b", other, ISTIO), home="east") == [("b", OK, "overlap")]


def test_rows_of_one_store_that_are_added_count_twice():
    url = "http://thanos:10902"
    twice = seen("a", SUM, ISTIO, url=url), seen("b", SUM, ISTIO, url=url)
    assert told(*twice) == [("b", WARNING, "overlap")]
    assert "each request counts twice" in sentences(*twice)
    assert told(twice[0], seen("b", SUM, ISTIO, url="http://other:9090")) == [("b", OK, "overlap")]


def test_one_sum_alone_adds_nothing():
    assert "only one of them has merge: sum" in sentences(seen("a", SUM, ISTIO), seen("b", Terms(), ISTIO))
    assert told(seen("a", SUM, ISTIO)) == [("a", OK, "overlap")]
    elsewhere = Terms("west", merge=Merge.SUM)
    assert sorted(told(seen("a", SUM, ISTIO), seen("b", elsewhere, ISTIO), home="east")) == [
        ("a", OK, "overlap"),
        ("b", OK, "cluster"),
        ("b", OK, "overlap"),
    ]


def test_sums_of_different_delays_can_never_be_added():
    pair = seen("aws", SUM, offer=LATE), seen("mesh", SUM, ISTIO)
    assert told(*pair) == [("aws", PROBLEM, "delay")]
    assert 'its numbers are 2m0s old and those of source "mesh" 0s' in sentences(*pair)
    assert told(seen("aws", SUM, offer=LATE), seen("other", SUM, offer=LATE)) == []
    assert told(seen("aws", Terms(), offer=LATE), seen("mesh", SUM, ISTIO)) == [("mesh", OK, "overlap")]


def test_latencies_of_sums_are_unknown_where_a_source_has_percentiles_alone():
    found = told(seen("viz", SUM, offer=P95), seen("a", SUM), seen("b", SUM))
    assert found == [("viz", WARNING, "percentiles")]
    assert told(seen("viz", Terms(), offer=P95), seen("a", Terms())) == []


def test_a_covered_namespace_of_which_nothing_is_seen_is_told_with_those_that_are():
    here = frozenset({"shop", "data", "team-a"})
    typo = seen("mesh", Terms("", ("shpo", "team-*")), namespaces=here)
    assert told(typo) == [("mesh", WARNING, "coverage")]
    assert sentences(typo) == (
        "it covers shpo, and no series of it names such a namespace"
        " -> correct covers.namespaces, unless there is no traffic yet; it has series of data, shop, team-a"
    )
    assert told(seen("mesh", Terms("", ("shop", "team-*")), namespaces=here)) == []


def test_where_namespaces_cannot_be_told_none_is_missed():
    assert told(seen("mesh", Terms("", ("shpo",)))) == []


@pytest.mark.parametrize(
    ("cluster", "home", "found"),
    [
        ("", "east", []),
        ("east", "east", []),
        ("west", "east", [("mesh", OK, "cluster")]),
        ("East", "east", [("mesh", WARNING, "cluster")]),
        ("west", "", [("mesh", OK, "cluster")]),
    ],
    ids=["untagged", "our own", "another one", "spelt otherwise", "ours has no name"],
)
def test_the_cluster_of_a_source_is_held_against_the_name_of_ours(cluster: str, home: str, found: list[object]):
    assert told(seen("mesh", Terms(cluster)), home=home) == found


def test_two_spellings_of_the_name_of_another_cluster_are_told_of_once():
    four = [seen(name, Terms(cluster)) for name, cluster in (("a", "west"), ("b", "West"), ("c", "West"), ("d", "north"))]
    assert [found for found in told(*four, home="east") if found[1] is WARNING] == [("b", WARNING, "cluster")]
    assert 'its cluster "West" and "west", that of source "a", differ in upper and lower case alone -> covers: {cluster: west}' in (
        sentences(*four, home="east")
    )
    assert [found for found in told(*four, home="west") if found[1] is WARNING] == [
        (name, WARNING, "cluster") for name in ("b", "c")
    ]
