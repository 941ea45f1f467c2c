"""Several sources, one answer: for each row the first with data, or the sum of those that are disjoint, and never anything else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import permutations
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics_api import (
    EVERYTHING,
    Answer,
    Backend,
    Direction,
    Histogram,
    Identities,
    Merge,
    Percentiles,
    ResourceRef,
    Sample,
    Side,
    Source,
    Terms,
    Window,
    lift,
)
from metrics_api.federation import merged, ranks, settled
from metrics_api.sample import Covered

MINUTE = Window(60)
NOW: Covered = (120, MINUTE)
WEB = ResourceRef("Deployment", "shop", "web")
API = ResourceRef("Deployment", "shop", "api")
PAY = ResourceRef("Deployment", "pay", "till")
PODS = {name: ResourceRef("Pod", "shop", name) for name in ("web-1", "web-2")}
BOUNDS = (0.01, 0.1, 1.0)

Rows = dict[tuple[ResourceRef, ResourceRef], tuple[float | None, float | None, Any]]


class Named:
    """A source that is known by its name alone."""

    def __init__(self, name: str) -> None:
        self.name = name


def source(name: str, merge: Merge = Merge.FIRST, *namespaces: str) -> Source:
    return Source(cast("Backend", Named(name)), Terms(merge=merge, namespaces=namespaces))


def sample(resource: ResourceRef, success: float | None, failure: float | None = 0, latency: Any = None, **more: Any) -> Sample:
    peer = more.pop("peer", EVERYTHING)
    return Sample(resource, peer, Direction.FROM, Side.SERVER, success, failure, latency, **more)


def answer(*samples: Sample, covered: Covered = NOW) -> Answer:
    return Answer(samples, *covered)


def seen(pairs: Sequence[tuple[Source, Answer]]) -> Rows:
    """The rows of an answer put together of these."""
    return {(found.resource, found.peer): (found.success, found.failure, found.latency) for found in put_together(pairs)[0]}


def put_together(pairs: Sequence[tuple[Source, Answer]]) -> tuple[tuple[Sample, ...], tuple[str, ...]]:
    told = [
        (each, replace(said, samples=tuple(replace(sample, source=each.name) for sample in said.samples))) for each, said in pairs
    ]
    order = ranks([each for each, _ in pairs])
    elsewhere = {each.name: (said.instant, said.window) for each, said in told if (said.instant, said.window) != NOW}
    found = settled(merged(told, order), order, NOW, elsewhere)
    return found.samples, found.warnings


def counts(pairs: Sequence[tuple[Source, Answer]]) -> dict[ResourceRef, tuple[float | None, float | None]]:
    return {resource: (success, failure) for (resource, _), (success, failure, _) in seen(pairs).items()}


def histogram(*observed: float) -> Histogram:
    return Histogram(BOUNDS, observed)


# --- the first source with data -----------------------------------------------------------------


def test_of_several_sources_with_a_row_the_first_in_the_configuration_is_believed():
    pairs = [(source("a"), answer(sample(WEB, 5))), (source("b"), answer(sample(WEB, 7), sample(API, 3)))]
    assert counts(pairs) == {WEB: (5, 0), API: (3, 0)}


def test_it_does_not_matter_which_answers_first():
    first, second = source("a"), source("b")
    order = ranks([first, second])
    late = merged([(second, answer(sample(WEB, 7, source="b"))), (first, answer(sample(WEB, 5, source="a")))], order)
    assert [found.source for found in late] == ["a"]


def test_a_source_that_counts_is_believed_before_one_that_knows_of_connections_alone():
    pairs = [(source("a"), answer(sample(WEB, None, None))), (source("b"), answer(sample(WEB, 7)))]
    assert counts(pairs) == {WEB: (7, 0)}


def test_a_measured_zero_is_data():
    assert counts([(source("a"), answer(sample(WEB, 0))), (source("b"), answer(sample(WEB, 7)))]) == {WEB: (0, 0)}


def test_counts_and_latency_of_a_row_are_of_one_source():
    with_none = sample(WEB, 5)
    pairs = [(source("a"), answer(with_none)), (source("b"), answer(sample(WEB, 7, latency=histogram(7, 0, 0))))]
    assert seen(pairs)[WEB, EVERYTHING] == (5, 0, None)


def test_who_the_ends_of_an_edge_are_is_told_by_whoever_knows_it():
    """A Prometheus counts better than viz, which alone knows of mutual TLS."""
    mine, theirs = Identities("web.shop", "api.shop"), Identities(insecure="not meshed")
    pairs = [
        (source("a"), answer(sample(WEB, 5, peer=API), sample(PAY, 1, peer=API, identities=mine))),
        (source("b"), answer(sample(WEB, 7, peer=API, identities=mine), sample(PAY, 1, peer=API, identities=theirs))),
    ]
    told = {one.resource: (one.success, one.identities) for one in put_together(pairs)[0]}
    assert told == {WEB: (5, mine), PAY: (1, mine)}


# --- disjoint sources ---------------------------------------------------------------------------


def test_disjoint_sources_are_added_counts_and_histograms():
    pairs = [
        (source("a", Merge.SUM), answer(sample(WEB, 5, 1, histogram(4, 2, 0)))),
        (source("b", Merge.SUM), answer(sample(WEB, 7, 2, histogram(0, 8, 1)))),
    ]
    assert seen(pairs)[WEB, EVERYTHING] == (12, 3, histogram(4, 10, 1))
    (row,) = put_together(pairs)[0]
    assert row.source == "a,b"
    assert row.share == ""


def test_percentiles_of_disjoint_sources_are_never_added_nor_averaged():
    given_ones = Percentiles({0.5: 0.01})
    pairs = [
        (source("a", Merge.SUM), answer(sample(WEB, 5, 0, given_ones))),
        (source("b", Merge.SUM), answer(sample(WEB, 7, 0, given_ones))),
    ]
    assert seen(pairs)[WEB, EVERYTHING] == (12, 0, None)


def test_a_latency_of_some_of_the_requests_is_none_of_all():
    pairs = [
        (source("a", Merge.SUM), answer(sample(WEB, 5, 0, histogram(4, 1, 0)))),
        (source("b", Merge.SUM), answer(sample(WEB, 7, 0))),
    ]
    assert seen(pairs)[WEB, EVERYTHING] == (12, 0, None)


def test_what_one_of_them_alone_knows_stays_as_it_is():
    given_ones = Percentiles({0.5: 0.01})
    pairs = [(source("a", Merge.SUM), answer(sample(WEB, 5, 0, given_ones))), (source("b", Merge.SUM), answer(sample(API, 7)))]
    assert seen(pairs) == {(WEB, EVERYTHING): (5, 0, given_ones), (API, EVERYTHING): (7, 0, None)}


@pytest.mark.parametrize("late", [(60, MINUTE), (120, Window(30))], ids=["another instant", "another window"])
def test_numbers_of_another_window_or_instant_are_not_added_and_that_is_said(late: Covered):
    pairs = [(source("a", Merge.SUM), answer(sample(WEB, 5))), (source("b", Merge.SUM), answer(sample(WEB, 7), covered=late))]
    (row,), (warning,) = put_together(pairs)
    assert (row.success, row.source) == (5, "a")
    assert warning == (
        'these numbers are of source "a" alone, because those of "b" are of another window or instant and cannot be added: shop/web'
    )


def test_a_sum_that_is_of_another_instant_says_so():
    late = (60, MINUTE)
    order = {"a": 0, "b": 0}
    samples = [replace(sample(WEB, count), source=name, share=name) for name, count in (("a", 5), ("b", 7))]
    found = settled(samples, order, NOW, {"a": late, "b": late})
    assert found.elsewhere["a,b"] == late


@pytest.mark.parametrize("at", [0, 1, 2])
def test_together_they_stand_where_the_first_of_them_does(at: int):
    """A source before them is believed alone, one behind the first of them is not heard where they have data."""
    pairs = [(source("a", Merge.SUM), answer(sample(WEB, 5))), (source("b", Merge.SUM), answer(sample(WEB, 7)))]
    pairs.insert(at, (source("other"), answer(sample(WEB, 100))))
    assert counts(pairs) == {WEB: (100 if at == 0 else 12, 0)}


def test_disjoint_sources_that_know_a_workload_by_different_members_are_added_all_the_same():
    order = {"a": 0, "b": 0}
    by_name = merged(
        [
            (source("a", Merge.SUM), answer(sample(WEB, 5, source="a"))),
            (source("b", Merge.SUM), answer(*(sample(pod, 3, source="b") for pod in PODS.values()))),
        ],
        order,
    )
    lifted = lift(by_name, lambda ref: (WEB,) if ref.kind == "Pod" else (ref,), lambda peer: peer)
    (row,) = settled(lifted, order, NOW, {}).samples
    assert row.success == 11


LATE: Covered = (60, MINUTE)


@pytest.mark.parametrize("elsewhere", [{}, {"a": LATE, "b": LATE}], ids=["now", "late"])
def test_members_that_two_sources_tell_of_say_what_their_numbers_describe_beside_a_sum(elsewhere: dict[str, Covered]):
    """They are one sample by then, that is of both."""
    order = {"a": 0, "b": 1, "c": 2}
    samples = [replace(sample(WEB, 12), source="a,b"), replace(sample(API, 3), source="c", share="c")]
    for told in (samples, samples[:1]):
        found = settled(told, order, NOW, elsewhere)
        assert found.samples[0] == samples[0]
        assert found.elsewhere.get("a,b") == elsewhere.get("a")


# --- coverage -----------------------------------------------------------------------------------


def test_what_a_source_says_of_what_it_does_not_cover_is_not_heard():
    pairs = [(source("a", Merge.FIRST, "shop"), answer(sample(WEB, 5), sample(PAY, 100))), (source("b"), answer(sample(PAY, 7)))]
    assert counts(pairs) == {WEB: (5, 0), PAY: (7, 0)}


@pytest.mark.parametrize(
    ("resource", "heard"),
    [
        pytest.param(WEB, True, id="in the namespace"),
        pytest.param(ResourceRef("Deployment", "shop-eu", "web"), False, id="a name is not a beginning"),
        pytest.param(ResourceRef("Deployment", "team-a", "web"), True, id="a pattern"),
        pytest.param(ResourceRef("Namespace", "", "shop"), True, id="the namespace itself"),
        pytest.param(ResourceRef("Namespace", "", "pay"), False, id="another namespace"),
        pytest.param(ResourceRef("Node", "", "node-a"), False, id="what is in none"),
    ],
)
def test_namespaces_are_covered_by_name_or_pattern(resource: ResourceRef, heard: bool):  # noqa: FBT001
    pairs = [(source("a", Merge.FIRST, "shop", "team-*"), answer(sample(resource, 5)))]
    assert bool(seen(pairs)) is heard


# --- whatever they say --------------------------------------------------------------------------

resources = st.sampled_from([WEB, API, PAY])
peers = st.sampled_from([EVERYTHING, API, PAY])
amounts = st.one_of(st.none(), st.integers(0, 50).map(float))


@st.composite
def samples(draw: st.DrawFn) -> Sample:
    """What a source may say: who counts no requests has no latency of any."""
    success, failure = draw(amounts), draw(amounts)
    latency: Any = None
    if success or failure:
        observed = histogram(*draw(st.tuples(*[st.integers(1, 9).map(float)] * len(BOUNDS))))
        latency = draw(st.sampled_from([None, observed, Percentiles({0.5: 0.02, 0.99: 0.3})]))
    return sample(draw(resources), success, failure, latency, peer=draw(peers))


said = st.lists(samples(), max_size=5, unique_by=lambda each: (each.resource, each.peer)).map(lambda found: answer(*found))
merges = st.sampled_from(Merge)


@st.composite
def several(draw: st.DrawFn, merge: Merge | None = None) -> list[tuple[Source, Answer]]:
    many = draw(st.integers(1, 4))
    return [(source(name, merge or draw(merges)), draw(said)) for name in "abcd"[:many]]


@given(several())
def test_no_number_is_invented(pairs: list[tuple[Source, Answer]]):
    """Every row is what one source said of it, or the sum of what all disjoint ones did."""
    for key, (success, failure, _) in seen(pairs).items():
        told = [(each, one) for each, said in pairs for one in said.samples if (one.resource, one.peer) == key]
        alone = [(one.success, one.failure) for each, one in told if each.terms.merge is Merge.FIRST]
        parts = [one for each, one in told if each.terms.merge is Merge.SUM and one.counted]
        sums = [
            sum(known) if (known := [value for value in values if value is not None]) else None
            for values in ([one.success for one in parts], [one.failure for one in parts])
        ]
        assert (success, failure) in [*alone, tuple(sums)]


@given(several())
def test_every_row_that_somebody_has_is_there(pairs: list[tuple[Source, Answer]]):
    assert seen(pairs).keys() == {(one.resource, one.peer) for _, said in pairs for one in said.samples}


@given(several(Merge.SUM))
def test_the_order_of_disjoint_sources_changes_no_number(pairs: list[tuple[Source, Answer]]):
    assert len({repr(sorted(seen(list(each)).items(), key=repr)) for each in permutations(pairs)}) == 1


@given(st.lists(said, min_size=3, max_size=3), merges)
def test_merging_is_associative(answers: list[Answer], merge: Merge):
    """Two sources put together, and then a third, are the same as all three at once; whichever two are first."""

    def together(*names: tuple[str, Answer]) -> Answer:
        found, _ = put_together([(source(name, merge), each) for name, each in names])
        return answer(*(replace(one, source="") for one in found))

    def rows(name_and_answers: Sequence[tuple[str, Answer]]) -> Rows:
        return seen([(source(name, merge), each) for name, each in name_and_answers])

    a, b, c = answers
    at_once = rows([("a", a), ("b", b), ("c", c)])
    left = rows([("ab", together(("a", a), ("b", b))), ("c", c)])
    right = rows([("a", a), ("bc", together(("b", b), ("c", c)))])
    assert left == right == at_once
