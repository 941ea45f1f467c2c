"""Normalising: whatever sources say, objects hold whole numbers or nothing, and names tell rows apart."""

import json
import re
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from metrics_api.histogram import Percentiles
from metrics_api.normalise import normalise, row_name
from metrics_api.objects import LatencyUnit
from metrics_api.quantity import Quantity
from metrics_api.query import Direction, Side
from metrics_api.resources import EVERYTHING, UNKNOWN, ResourceRef, host
from metrics_api.rollup import best_observers, roll_up
from metrics_api.sample import Sample
from metrics_api.table import EDGE_COLUMNS, RESOURCE_COLUMNS, SPLIT_COLUMNS, SPLIT_EDGE_COLUMNS, cells
from metrics_api.window import Window

numbers = st.none() | st.floats() | st.floats(0, 1e6) | st.integers(0, 10**9).map(float)
plain_names = st.from_regex(r"[a-z]([a-z0-9-]{0,5}[a-z0-9])?", fullmatch=True)
dotted_names = st.builds("{}.{}".format, plain_names, plain_names)
namespaces = st.sampled_from(["shop", "prod", "api"])
kinds = st.sampled_from(["Deployment", "StatefulSet", "Pod", "Service"])
resources = st.builds(ResourceRef, kinds, st.just("shop"), plain_names)
peers = st.one_of(
    st.just(EVERYTHING),
    st.just(UNKNOWN),
    st.builds(ResourceRef, kinds, namespaces, plain_names | dotted_names | st.sampled_from(["web", "api", "web.api", "web.prod"])),
    st.builds(ResourceRef, st.sampled_from(["Namespace", "Node"]), st.just(""), plain_names | dotted_names),
    st.builds(host, st.builds("www.{}.example.com".format, plain_names)),
)
samples = st.builds(
    Sample,
    resource=resources,
    peer=peers,
    direction=st.sampled_from(Direction),
    side=st.sampled_from(Side),
    success=numbers,
    failure=numbers,
    latency=st.none() | st.dictionaries(st.sampled_from([0.5, 0.9, 0.99]), st.floats()).map(Percentiles),
    trust=st.integers(0, 2),
    source=st.sampled_from(["one", "two"]),
)


@given(samples, st.sampled_from(LatencyUnit))
def test_whatever_a_source_says_the_object_is_json_that_kubernetes_can_read(sample: Sample, unit: LatencyUnit):
    [row] = normalise([sample], 1_790_000_000, Window(30), lambda _: {})
    wire = json.loads(json.dumps(row.wire(unit), allow_nan=False))
    assert len(wire["metrics"]) == 5
    for metric in wire["metrics"]:
        assert metric["value"] is None or Quantity.parse(metric["value"]).nano >= 0


@given(samples)
def test_a_count_is_unknown_exactly_when_the_source_gave_no_number(sample: Sample):
    [row] = normalise([sample], 0, Window(30), lambda _: {})
    for given_count, count in ((sample.success, row.success), (sample.failure, row.failure)):
        known = given_count is not None and 0 <= given_count < 2**63
        assert (count is not None) is known
        if known:
            assert abs(count - given_count * 1000) <= 0.5 + given_count * 1e-9


@given(samples)
def test_every_row_can_be_shown(sample: Sample):
    [row] = normalise([sample], 0, Window(30), lambda _: {})
    for columns in (RESOURCE_COLUMNS, EDGE_COLUMNS, SPLIT_COLUMNS, SPLIT_EDGE_COLUMNS):
        shown = cells(row, columns)
        assert len(shown) == len(columns)
        assert all(shown)
        first = [column.name for column in columns].index("Success")
        measures = shown[first : first + 5]
        assert all(re.fullmatch(r"-|[0-9]+(\.[0-9]+)?(%|rps|ms|s)", cell) for cell in measures)


@given(st.tuples(resources, st.sampled_from(Direction), peers), st.tuples(resources, st.sampled_from(Direction), peers))
def test_rows_about_different_things_have_different_names(
    one: tuple[ResourceRef, Direction, ResourceRef], other: tuple[ResourceRef, Direction, ResourceRef]
):
    about = [(resource, None if peer == EVERYTHING else direction, peer) for resource, direction, peer in (one, other)]
    assert (row_name(*one) == row_name(*other)) is (about[0] == about[1])


@given(st.lists(samples, max_size=6), st.randoms(use_true_random=False))
def test_rows_come_in_the_same_order_whatever_that_of_the_samples(found: list[Sample], random: Random):
    best = best_observers(found)
    shuffled = list(best)
    random.shuffle(shuffled)
    assert normalise(best, 0, Window(30), lambda _: {}) == normalise(shuffled, 0, Window(30), lambda _: {})


@given(st.lists(samples, max_size=8))
def test_the_best_observers_are_one_for_each_thing_and_the_most_trusted(found: list[Sample]):
    best = best_observers(found)
    assert len({sample.about for sample in best}) == len(best) == len({sample.about for sample in found})
    for source in ("one", "two"):
        alone = [sample for sample in found if sample.source == source]
        for sample in best_observers(alone):
            assert sample.trust == min(other.trust for other in alone if other.about == sample.about)


@given(st.lists(samples, max_size=8))
def test_rolling_up_twice_changes_nothing(found: list[Sample]):
    once = roll_up(found)
    assert repr(roll_up(once)) == repr(once)
    assert len({(sample.about, sample.side, sample.trust, sample.source) for sample in once}) == len(once)
