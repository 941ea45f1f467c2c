"""Normalising: nothing unknown becomes a number, and every row has its own name and place."""

import math
from dataclasses import replace
from itertools import permutations

import pytest

from metrics_api.histogram import Histogram, Percentiles
from metrics_api.measures import parse_percentiles, parse_stats
from metrics_api.normalise import idle, normalise, row_name
from metrics_api.objects import SplitBackend, TrafficMetrics
from metrics_api.query import Direction, Side
from metrics_api.resources import EVERYTHING, UNKNOWN, ResourceRef, host
from metrics_api.sample import Sample
from metrics_api.table import RESOURCE_COLUMNS, cells
from metrics_api.window import Window

TO, FROM = Direction.TO, Direction.FROM
WEB = ResourceRef("Deployment", "shop", "web")
API = ResourceRef("Deployment", "shop", "api")


def sample(
    resource: ResourceRef = WEB,
    peer: ResourceRef = EVERYTHING,
    direction: Direction = FROM,
    *,
    success: float | None = None,
    failure: float | None = None,
    latency: Histogram | Percentiles | None = None,
) -> Sample:
    return Sample(resource, peer, direction, Side.SERVER, success, failure, latency, source="mesh")


def rows(*samples: Sample, qualified: bool = True) -> list[TrafficMetrics]:
    return normalise(samples, 1_790_000_000, Window(30), lambda _: {}, qualified=qualified)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -1.0, -1e-9, 2.0**63, 1e252, 1e306, None], ids=str)
def test_what_no_quantity_can_hold_never_reaches_an_object(value: float | None):
    latency = Percentiles({} if value is None else {0.5: value, 0.9: value, 0.99: value})
    [row] = rows(sample(success=value, failure=value, latency=latency))
    assert (row.success, row.failure, row.p50, row.p90, row.p99) == (None,) * 5
    assert [metric["value"] for metric in row.wire()["metrics"]] == [None] * 5


def test_a_measured_zero_is_a_zero():
    [row] = rows(sample(success=0.0, failure=-0.0, latency=Histogram((0.1, math.inf), (0, 0))))
    assert (row.success, row.failure) == (0, 0)
    assert (row.p50, row.p90, row.p99) == (None, None, None)


def test_each_value_is_unknown_by_itself():
    [row] = rows(sample(success=3.0, latency=Percentiles({0.9: 0.25})))
    assert (row.success, row.failure, row.p50, row.p90, row.p99) == (3000, None, None, 250_000, None)


def test_counts_are_rounded_to_the_thousandth_and_latencies_to_the_microsecond():
    [row] = rows(sample(success=73.4917, failure=1e-9, latency=Percentiles({0.5: 0.0101234564, 0.99: 1e-9})))
    assert (row.success, row.failure, row.p50, row.p99) == (73_492, 0, 10_123, 0)


ASKED = (*parse_percentiles(["75,99.9"]), *parse_stats(["stddev,mean"]))


def test_measures_that_are_asked_for_are_taken_from_the_same_histogram():
    latency = Histogram.from_cumulative([0.1, 0.2, math.inf], [50, 100, 100], 12.0)
    [row] = normalise([sample(latency=latency)], 0, Window(30), lambda _: {}, measures=ASKED)
    assert row.p50 == 100_000
    # Middles of 50 and 150 ms, 50 ms from their mean, in buckets of 100 ms.
    deviation = round(1_000_000 * math.sqrt(0.05**2 + 0.1**2 / 12))
    assert row.extras == (
        ("p75_response_latency", 150_000),
        ("p99.9_response_latency", 199_800),
        ("stddev_response_latency", deviation),
        ("mean_response_latency", 120_000),
    )


@pytest.mark.parametrize(
    "latency", [None, Percentiles({0.5: 0.1}), Histogram((0.1, math.inf), (0, 0))], ids=["none", "others only", "nothing observed"]
)
def test_a_measure_a_source_cannot_give_is_unknown(latency: Histogram | Percentiles | None):
    [row] = normalise([sample(success=1.0, latency=latency)], 0, Window(30), lambda _: {}, measures=ASKED)
    assert [extra.name for extra in row.extras] == [measure.name for measure in ASKED]
    assert [extra.micro for extra in row.extras] == [None] * 4
    assert idle(WEB, 0, Window(30), {}, measures=ASKED).extras == row.extras


def test_an_object_says_where_and_when_it_was_observed():
    [row] = normalise([sample(success=1.0)], 1_790_000_000, Window(60), lambda resource: {"app": resource.name})
    assert (row.name, row.namespace, row.resource, row.instant, row.window) == ("web", "shop", WEB, 1_790_000_000, Window(60))
    assert (row.labels, row.source, row.edge.side) == ({"app": "web"}, "mesh", Side.SERVER)


def test_rows_are_in_one_order_whatever_that_of_the_samples():
    ordered = [
        sample(ResourceRef("Deployment", "a", "z"), API, FROM),
        sample(API, WEB, FROM),
        sample(API, WEB, TO),
        sample(WEB, API, FROM),
        sample(WEB, ResourceRef("Deployment", "z", "api"), FROM),
        sample(WEB, API, TO),
    ]
    expected = [(row.resource, row.edge) for row in rows(*ordered, qualified=False)]
    assert expected == [(each.resource, row.edge) for each, row in zip(ordered, rows(*ordered, qualified=False), strict=True)]
    for shuffled in permutations(ordered):
        assert [(row.resource, row.edge) for row in rows(*shuffled, qualified=False)] == expected


@pytest.mark.parametrize(
    ("direction", "peer", "name"),
    [
        (FROM, EVERYTHING, "deployment.web"),
        (TO, EVERYTHING, "deployment.web"),
        (TO, API, "deployment.web.to.deployment.api"),
        (FROM, API, "deployment.web.from.deployment.api"),
        (TO, WEB, "deployment.web.to.deployment.web"),
        (FROM, WEB, "deployment.web.from.deployment.web"),
        (TO, ResourceRef("Deployment", "prod", "api"), "deployment.web.to.deployment.api.prod"),
        (TO, ResourceRef("Deployment", "shop", "api.prod"), "deployment.web.to.deployment.api.prod.shop"),
        (TO, ResourceRef("StatefulSet", "shop", "db"), "deployment.web.to.statefulset.db"),
        (FROM, ResourceRef("Namespace", "", "prod"), "deployment.web.from.namespace.prod"),
        (FROM, ResourceRef("Node", "", "ip-10-0-0-1.ec2.internal"), "deployment.web.from.node.ip-10-0-0-1.ec2.internal"),
        (FROM, UNKNOWN, "deployment.web.from.unknown"),
        (TO, host("example.com"), "deployment.web.to.example.com"),
    ],
)
def test_rows_of_trafficmetrics_are_named(direction: Direction, peer: ResourceRef, name: str):
    assert row_name(WEB, direction, peer) == name


def test_a_cluster_scoped_resource_and_its_peers_are_named():
    shop = ResourceRef("Namespace", "", "shop")
    assert row_name(shop, TO, ResourceRef("Namespace", "", "prod")) == "namespace.shop.to.namespace.prod"
    assert row_name(shop, TO, API) == "namespace.shop.to.deployment.api.shop"


def test_a_self_call_has_a_row_in_each_direction():
    names = [row.name for row in rows(sample(WEB, WEB, TO), sample(WEB, WEB, FROM))]
    assert names == ["deployment.web.from.deployment.web", "deployment.web.to.deployment.web"]


def test_calls_both_ways_between_two_resources_are_four_rows():
    found = rows(*(sample(one, other, direction) for one, other in ((WEB, API), (API, WEB)) for direction in Direction))
    assert len({row.name for row in found}) == 4


def test_a_peer_with_a_dotted_name_is_not_mistaken_for_one_in_another_namespace():
    dotted = ResourceRef("Deployment", "shop", "api.prod")
    elsewhere = ResourceRef("Deployment", "prod", "api")
    assert row_name(WEB, TO, dotted) != row_name(WEB, TO, elsewhere)


def test_an_idle_object_knows_no_value():
    row = idle(WEB, 1_790_000_000, Window(30), {"app": "web"})
    assert (row.name, row.namespace, row.labels) == ("web", "shop", {"app": "web"})
    assert [metric["value"] for metric in row.wire()["metrics"]] == [None] * 5
    assert row.wire()["edge"] == {"direction": "from", "side": "server", "resource": {}}
    assert idle(WEB, 0, Window(30), {}, qualified=True).name == "deployment.web"


def test_a_row_of_a_source_that_is_late_says_what_its_numbers_describe_and_has_the_version_of_the_answer():
    late = replace(sample(), source="aws")
    [row, other] = normalise(
        [late, replace(sample(), resource=WEB._replace(name="zoo"))],
        120,
        Window(30),
        lambda _: {},
        elsewhere={"aws": (60, Window(60))},
    )
    assert (row.instant, row.window, row.told_at) == (60, Window(60), 120)
    assert (other.instant, other.window, other.told_at) == (120, Window(30), 120)
    wire = row.wire()
    assert (wire["timestamp"], wire["window"], wire["metadata"]["resourceVersion"]) == ("1970-01-01T00:01:00Z", "1m0s", "120")


P50_AND_P95 = Percentiles({0.5: 0.1, 0.95: 0.4})


def test_a_percentile_that_only_the_source_has_comes_after_what_was_asked_for():
    latency = Percentiles({0.5: 0.1, 0.99: 0.5, 0.999: 0.7, 0.95: 0.4}, mean=0.2)
    [row] = normalise([sample(latency=latency)], 0, Window(30), lambda _: {}, measures=parse_stats(["mean"]))
    assert (row.p50, row.p90, row.p99) == (100_000, None, 500_000)
    assert row.extras == (
        ("mean_response_latency", 200_000),
        ("p95_response_latency", 400_000),
        ("p99.9_response_latency", 700_000),
    )
    shown = dict(zip((column.name for column in RESOURCE_COLUMNS), cells(row, RESOURCE_COLUMNS), strict=True))
    assert (shown["P50"], shown["P90"], shown["P99"]) == ("100ms", "-", "500ms")


def test_a_percentile_that_was_asked_for_comes_once_and_where_it_was_asked_for():
    asked = parse_percentiles(["99.9,95,75"])
    [row] = normalise([sample(latency=P50_AND_P95)], 0, Window(30), lambda _: {}, measures=asked)
    expected = {"p99.9_response_latency": None, "p95_response_latency": 400_000, "p75_response_latency": None}
    assert row.extras == tuple(expected.items())


def test_rows_of_one_answer_have_the_percentiles_that_their_own_sources_have():
    web, api, zoo = (sample(WEB._replace(name=name)) for name in ("api", "web", "zoo"))
    of_histogram = replace(api, latency=Histogram((0.1, math.inf), (1, 0)))
    idle_proxy = replace(zoo, latency=Percentiles({0.5: 0.1, 0.95: math.nan}))
    found = rows(replace(web, latency=P50_AND_P95), of_histogram, idle_proxy)
    assert [[extra.name for extra in row.extras] for row in found] == [["p95_response_latency"], [], []]


def test_what_part_of_split_traffic_a_source_tells_of_is_on_the_object():
    leaf = SplitBackend("web", "web-v2", 10)
    [row] = normalise([replace(sample(), backend=leaf)], 0, Window(30), lambda _: {})
    assert row.wire()["backend"] == {"apex": "web", "name": "web-v2", "weight": 10}
