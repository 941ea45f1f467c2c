"""Roll-up: what is added, what is merged, and what never is."""

import math
from dataclasses import replace

import pytest

from metrics_api.histogram import Histogram, Percentiles
from metrics_api.objects import SplitBackend
from metrics_api.query import Direction, Side
from metrics_api.resources import EVERYTHING, UNKNOWN, ResourceRef
from metrics_api.rollup import best_observers, blurred, rename, roll_up
from metrics_api.sample import Identities, Sample

WEB = ResourceRef("Deployment", "shop", "web")
API = ResourceRef("Deployment", "shop", "api")
POD_A, POD_B = ResourceRef("Pod", "shop", "web-a"), ResourceRef("Pod", "shop", "web-b")


def sample(  # noqa: PLR0913 a sample has that many sides
    resource: ResourceRef = WEB,
    *,
    peer: ResourceRef = EVERYTHING,
    direction: Direction = Direction.FROM,
    side: Side = Side.SERVER,
    success: float | None = 1.0,
    failure: float | None = 0.0,
    latency: Histogram | Percentiles | None = None,
    trust: int = 0,
    source: str = "mesh",
) -> Sample:
    return Sample(resource, peer, direction, side, success, failure, latency, trust, source)


def histogram(*counts: float) -> Histogram:
    return Histogram((0.1, 0.2, math.inf), counts)


def test_counts_are_added_and_histograms_merged():
    [added] = roll_up(
        [sample(success=3, failure=1, latency=histogram(1, 2, 3)), sample(success=4, failure=0, latency=histogram(4, 5, 6))]
    )
    assert added == sample(success=7, failure=1, latency=histogram(5, 7, 9))


@pytest.mark.parametrize(
    ("one", "other", "total"),
    [(None, None, None), (None, 2.0, 2.0), (2.0, None, 2.0), (0.0, 0.0, 0.0), (None, 0.0, 0.0), (0.1, 0.2, 0.3)],
)
def test_an_unknown_count_is_not_a_zero(one: float | None, other: float | None, total: float | None):
    [added] = roll_up([sample(success=one, failure=other), sample(success=other, failure=one)])
    assert added.success == pytest.approx(total)
    assert added.failure == pytest.approx(total)


def test_percentiles_are_never_merged_with_others():
    given = Percentiles({0.5: 0.1})
    assert roll_up([sample(latency=given), sample(latency=given)])[0].latency is None
    assert roll_up([sample(latency=given), sample(latency=histogram(1, 0, 0))])[0].latency is None
    assert roll_up([sample(latency=given)])[0].latency is given


def test_a_part_without_latency_leaves_that_of_the_others():
    assert roll_up([sample(latency=None), sample(latency=histogram(1, 2, 3))])[0].latency == histogram(1, 2, 3)
    assert roll_up([sample(latency=None), sample(latency=None)])[0].latency is None


@pytest.mark.parametrize(
    "other",
    [
        sample(API),
        sample(peer=API),
        sample(direction=Direction.TO),
        sample(side=Side.CLIENT),
        sample(trust=1),
        sample(source="other"),
        sample(ResourceRef("Deployment", "other", "web")),
        sample(ResourceRef("StatefulSet", "shop", "web")),
    ],
    ids=["resource", "peer", "direction", "side", "trust", "source", "namespace", "kind"],
)
def test_samples_of_different_things_or_observers_are_not_added(other: Sample):
    assert roll_up([sample(), other]) == [sample(), other]


def test_nothing_rolls_up_to_nothing():
    assert roll_up([]) == []
    assert best_observers([]) == []


def test_the_most_trusted_observer_speaks_for_each_thing():
    client = sample(side=Side.CLIENT, success=9, trust=1)
    server = sample(side=Side.SERVER, success=10, trust=0)
    assert best_observers([client, server]) == [server]
    assert best_observers([server, client]) == [server]


def test_observers_are_never_added():
    [kept] = best_observers([sample(success=9, trust=1), sample(success=10, trust=0), sample(success=11, trust=2)])
    assert kept.success == 10


def test_of_equally_trusted_observers_the_first_is_kept():
    first, second = sample(source="one"), sample(source="two")
    assert best_observers([first, second]) == [first]
    assert best_observers([second, first]) == [second]


def test_of_several_sources_the_first_that_counts_is_believed_whatever_it_trusts():
    first, second = sample(source="one", trust=5), sample(source="two", success=9)
    connections = sample(source="zero", success=None, failure=None)
    assert best_observers([first, second]) == [first]
    assert best_observers([connections, first, second]) == [first]
    assert best_observers([first, connections]) == [first]


def test_each_direction_and_peer_has_its_own_best_observer():
    samples = [
        sample(peer=API, direction=Direction.TO, side=Side.CLIENT),
        sample(peer=API, direction=Direction.FROM, side=Side.SERVER),
        sample(peer=UNKNOWN, direction=Direction.FROM, side=Side.SERVER),
    ]
    assert best_observers(samples) == samples


def test_pods_renamed_to_their_owner_become_one():
    def owner(resource: ResourceRef) -> ResourceRef:
        return WEB if resource.kind == "Pod" else resource

    [added] = rename([sample(POD_A, success=1, peer=API), sample(POD_B, success=2, peer=API)], owner)
    assert added == sample(WEB, success=3, peer=API)


def test_peers_are_renamed_too():
    def owner(resource: ResourceRef) -> ResourceRef:
        return WEB if resource.kind == "Pod" else resource

    [added] = rename([sample(API, peer=POD_A), sample(API, peer=POD_B)], owner)
    assert added == sample(API, peer=WEB, success=2)


def test_percentiles_of_some_of_the_requests_are_not_those_of_all():
    [added] = roll_up([sample(success=3, latency=Percentiles({0.99: 0.5})), sample(success=4)])
    assert added.latency is None


def test_percentiles_survive_beside_what_counts_no_request():
    [added] = roll_up([sample(success=3, latency=Percentiles({0.99: 0.5})), sample(success=0)])
    assert added.latency is not None
    assert added.latency.quantile(0.99) == 0.5


def test_marks_of_all_parts_are_marks_of_the_whole():
    parts = [sample(), sample()]
    [added] = roll_up([parts[0], parts[1]])
    assert added.marks == frozenset()
    marked = Sample(WEB, EVERYTHING, Direction.FROM, Side.SERVER, 1, 0, None, 0, "mesh", frozenset({"sampled"}))
    [added] = roll_up([sample(), marked])
    assert added.marks == {"sampled"}


MUTUAL = Identities("web.shop", "api.shop")


@pytest.mark.parametrize(
    ("field", "values", "together"),
    [
        pytest.param("dialect", ["istio", "istio"], "istio", id="one dialect"),
        pytest.param("dialect", ["linkerd", "istio"], "istio,linkerd", id="two dialects"),
        pytest.param(
            "dialect", ["istio,linkerd", "envoy", "linkerd"], "envoy,istio,linkerd", id="dialects that were joined before"
        ),
        pytest.param("dialect", ["", "istio"], "istio", id="a dialect nobody tells"),
        pytest.param("dialect", ["", ""], "", id="no dialect at all"),
        pytest.param("identities", [MUTUAL, MUTUAL], MUTUAL, id="the same identities"),
        pytest.param("identities", [MUTUAL, Identities("web.shop", "db.data")], None, id="two servers"),
        pytest.param("identities", [MUTUAL, None], None, id="identities of some alone"),
        pytest.param("identities", [None, MUTUAL, MUTUAL], None, id="identities of most alone"),
        pytest.param("backend", [SplitBackend("web", "v1", 9)] * 2, SplitBackend("web", "v1", 9), id="one backend"),
        pytest.param("backend", [SplitBackend("web", "v1", 9), SplitBackend("web", "v2", 1)], None, id="two backends"),
        pytest.param("backend", [SplitBackend("web", "v1", 9), None], None, id="a backend and what is split by nobody"),
    ],
)
def test_what_is_said_of_a_sum_is_true_of_every_part(field: str, values: list[object], together: object):
    [added] = roll_up([replace(sample(), **{field: value}) for value in values])  # type: ignore[arg-type] # one field
    assert getattr(added, field) == together


def test_whose_percentiles_were_lost_in_adding_up_is_told():
    parts = [
        sample(WEB, latency=Percentiles({0.99: 0.5})),
        sample(WEB, latency=Percentiles({0.99: 0.7})),
        sample(API, latency=Percentiles({0.99: 0.5})),
    ]
    assert blurred(parts, roll_up(parts)) == [WEB]


def test_what_had_no_percentiles_or_no_requests_lost_none():
    parts = [sample(WEB), sample(WEB, latency=Percentiles({0.99: 0.5})), sample(API, success=0), sample(API, success=0)]
    assert blurred(parts, roll_up(parts)) == []
    histograms = [sample(latency=histogram(1, 2, 3)), sample(latency=None)]
    assert blurred(histograms, roll_up(histograms)) == []
