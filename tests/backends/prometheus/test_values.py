"""From vectors to numbers: what is no number of requests never becomes one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

import pytest
from aiohttp import web

from backends.prometheus import PrometheusBackend
from metrics_api import Histogram, ResourceRef, Sample
from tests.backends.prometheus.queryapi import Asked, QueryApi, query_api, question, series, settings, vector

WEB = {"namespace": "shop", "app": "web"}
REF = ResourceRef("Deployment", "shop", "web")


@pytest.fixture
async def api() -> AsyncIterator[QueryApi]:
    async with query_api(lambda _: vector()) as double:
        yield double


def give(counts: list[Mapping[str, object]], buckets: list[Mapping[str, object]]):
    """A store that has these counts and buckets."""
    # Latencies are read of what has counts.
    named = dict.fromkeys((labels["namespace"], labels["app"]) for labels in (bucket["metric"] for bucket in buckets))  # type: ignore[index] # a series
    counted = counts or [series("0", code="200", namespace=namespace, app=app) for namespace, app in named]

    def answer(asked: Asked) -> web.Response:
        if "count(" in asked.promql:
            return vector(*[element for element in buckets if "histogram" in element][:1])
        return vector(*(buckets if "latency_ms" in asked.promql else counted))

    return answer


async def samples_of(api: QueryApi) -> dict[ResourceRef, Sample]:
    """What a total over that store is."""
    async with PrometheusBackend(settings(api)) as source:
        return {sample.resource: sample for sample in (await source.answer(question())).samples}


@pytest.mark.parametrize("value", ["NaN", "+Inf", "-Inf", "Inf", "-1", "-1e-9"])
async def test_a_count_that_is_no_count_is_as_if_it_were_not_there(api: QueryApi, value: str):
    api.answer = give([series(value, code="200", **WEB), series("2", code="503", **WEB)], [])
    sample = (await samples_of(api))[REF]
    assert (sample.success, sample.failure) == (0.0, 2.0)
    api.answer = give([series(value, code="200", **WEB)], [])
    assert await samples_of(api) == {}


@pytest.mark.parametrize("value", ["NaN", "+Inf", "-Inf", "-3"])
async def test_a_bucket_that_is_no_count_makes_the_histogram_coarser(api: QueryApi, value: str):
    counts = [series("10", code="200", **WEB)]
    api.answer = give(counts, [series("4", le="5", **WEB), series(value, le="10", **WEB), series("10", le="+Inf", **WEB)])
    sample = (await samples_of(api))[REF]
    assert sample.latency == Histogram((0.005, float("inf")), (4.0, 6.0))


@pytest.mark.parametrize("value", ["NaN", "+Inf", "-1"])
async def test_without_the_bucket_of_everything_nothing_is_known(api: QueryApi, value: str):
    counts = [series("10", code="200", **WEB)]
    for last in ([], [series(value, le="+Inf", **WEB)]):
        api.answer = give(counts, [series("4", le="5", **WEB), series("9", le="10", **WEB), *last])
        sample = (await samples_of(api))[REF]
        assert sample.success == 10.0
        assert sample.latency is None


@pytest.mark.parametrize("le", ["five", "", "NaN"])
async def test_a_bound_that_is_no_number_is_left_out(api: QueryApi, le: str):
    api.answer = give([], [series("4", le=le, **WEB), series("6", le="5.0", **WEB), series("10", le="+Inf", **WEB)])
    sample = (await samples_of(api))[REF]
    assert sample.latency == Histogram((0.005, float("inf")), (6.0, 4.0))


async def test_bounds_are_compared_as_numbers(api: QueryApi):
    buckets = [
        series("10", le="+Inf", **WEB),
        series("6", le="1e1", **WEB),
        series("9", le="100.0", **WEB),
        series("4", le="5", **WEB),
    ]
    api.answer = give([], buckets)
    sample = (await samples_of(api))[REF]
    assert sample.latency == Histogram((0.005, 0.01, 0.1, float("inf")), (4.0, 2.0, 3.0, 1.0))


async def test_one_bound_spelt_in_two_ways_is_one_bucket(api: QueryApi):
    buckets = [series(count, le=le, **WEB) for le, count in (("5", "4"), ("5.0", "2"), ("10", "8"), ("+Inf", "10"))]
    api.answer = give([], buckets)
    assert (await samples_of(api))[REF].latency == Histogram((0.005, 0.01, float("inf")), (6.0, 2.0, 2.0))


async def test_the_order_of_labels_does_not_matter(api: QueryApi):
    here, there = {"app": "web", "namespace": "shop"}, {"namespace": "shop", "app": "web"}
    buckets = [
        {"metric": {"le": "5", **here}, "value": [0, "4"]},
        {"metric": {**there, "le": "10"}, "value": [0, "6"]},
        {"metric": {"app": "web", "le": "+Inf", "namespace": "shop"}, "value": [0, "10"]},
    ]
    api.answer = give([], buckets)
    assert (await samples_of(api))[REF].latency == Histogram((0.005, 0.01, float("inf")), (4.0, 2.0, 4.0))


@pytest.mark.parametrize("name", ['x","le":"5', '"le":"5"', "le", '\\"le\\":\\"5\\"', "a\nb"])
async def test_a_name_that_looks_like_a_bound_is_a_name(api: QueryApi, name: str):
    labels = {"namespace": "shop", "app": name}
    api.answer = give([], [series("4", le="5", **labels), series("10", le="+Inf", **labels)])
    sample = (await samples_of(api))[REF._replace(name=name)]
    assert sample.latency == Histogram((0.005, float("inf")), (4.0, 6.0))


async def test_buckets_that_fall_back_are_raised(api: QueryApi):
    api.answer = give([], [series("4", le="5", **WEB), series("3.9", le="10", **WEB), series("10", le="+Inf", **WEB)])
    fell = (await samples_of(api))[REF].latency
    api.answer = give([], [series("4", le="5", **WEB), series("4", le="10", **WEB), series("10", le="+Inf", **WEB)])
    raised = (await samples_of(api))[REF].latency
    assert fell is not None
    assert raised is not None
    assert [fell.quantile(q) for q in (0.3, 0.5)] == pytest.approx([raised.quantile(q) for q in (0.3, 0.5)])


async def test_series_that_do_not_move_are_zero_and_have_no_percentile(api: QueryApi):
    api.answer = give([series("0", code="200", **WEB)], [series("0", le="5", **WEB), series("0", le="+Inf", **WEB)])
    sample = (await samples_of(api))[REF]
    assert (sample.success, sample.failure) == (0.0, 0.0)
    assert sample.latency is not None
    assert sample.latency.quantile(0.5) is None


async def test_no_series_is_no_sample(api: QueryApi):
    assert await samples_of(api) == {}


async def test_series_that_name_nobody_are_nobodys(api: QueryApi):
    api.answer = give([series("5", code="200", app="web"), series("5", code="200", namespace="shop"), series("5", code="200")], [])
    assert await samples_of(api) == {}


async def test_an_answer_in_any_order_is_the_same(api: QueryApi):
    counts = [series("5", code="200", **WEB), series("1", code="500", **WEB), series("2", code="404", **WEB)]
    buckets = [series("4", le="5", **WEB), series("8", le="+Inf", **WEB)]
    api.answer = give(counts, buckets)
    forwards = await samples_of(api)
    api.answer = give(counts[::-1], buckets[::-1])
    assert await samples_of(api) == forwards
    assert (forwards[REF].success, forwards[REF].failure) == (7.0, 1.0)


NATIVE = {"count": "10", "sum": "123.5", "buckets": [[0, "1", "2", "4"], [0, "2", "4", "5"], [0, "8", "16", "1"]]}


async def test_a_native_histogram_is_read(api: QueryApi):
    api.answer = give([series("10", code="200", **WEB)], [series(histogram=NATIVE, **WEB)])
    sample = (await samples_of(api))[REF]
    assert sample.latency is not None
    assert sample.latency.quantile(0.4) == pytest.approx(0.002)
    assert sample.latency.quantile(0.9) == pytest.approx(0.004)
    assert sample.latency.quantile(1.0) == pytest.approx(0.016)


@pytest.mark.parametrize(
    ("told", "mean"),
    [("123.5", 0.01235), ("NaN", None), ("+Inf", None), ("-1", None)],
    ids=["a sum", "nan", "infinite", "negative"],
)
async def test_a_native_histogram_tells_its_mean(api: QueryApi, told: str, mean: float | None):
    api.answer = give([], [series(histogram=NATIVE | {"sum": told}, **WEB)])
    sample = (await samples_of(api))[REF]
    assert sample.latency is not None
    assert sample.latency.mean() == (None if mean is None else pytest.approx(mean))


@pytest.mark.parametrize("count", ["NaN", "+Inf", "-2"])
async def test_a_native_bucket_that_is_no_count_is_left_out(api: QueryApi, count: str):
    odd = NATIVE | {"buckets": [*NATIVE["buckets"], [0, "16", "32", count]]}
    api.answer = give([], [series(histogram=odd, **WEB)])
    sample = (await samples_of(api))[REF]
    assert sample.latency is not None
    assert sample.latency.total == 10.0


async def test_a_native_histogram_without_buckets_has_no_percentile(api: QueryApi):
    api.answer = give([series("0", code="200", **WEB)], [series(histogram={"count": "0", "sum": "0"}, **WEB)])
    sample = (await samples_of(api))[REF]
    assert sample.latency is None or sample.latency.quantile(0.5) is None


async def test_native_and_classic_histograms_of_one_workload_add_up(api: QueryApi):
    classic = [series("5", le="4", **WEB), series("10", le="16", **WEB), series("10", le="+Inf", **WEB)]
    api.answer = give([], [*classic, series(histogram=NATIVE, **WEB)])
    sample = (await samples_of(api))[REF]
    assert sample.latency is not None
    assert sample.latency.total == 20.0
    assert sample.latency.quantile(0.7) == pytest.approx(0.004)


async def test_a_native_histogram_where_a_count_was_asked_for_counts_nothing(api: QueryApi):
    api.answer = give([series(histogram=NATIVE, code="200", **WEB), series("3", code="503", **WEB)], [])
    sample = (await samples_of(api))[REF]
    assert (sample.success, sample.failure) == (0.0, 3.0)


async def test_counts_are_fractions_until_they_are_shown(api: QueryApi):
    api.answer = give([series("9.473684210526315", code="200", **WEB)], [])
    assert (await samples_of(api))[REF].success == 9.473684210526315
