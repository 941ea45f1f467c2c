"""Measures that are asked for beside the five: how they are spelt, and what becomes of each."""

import math

import pytest

from metrics_api.errors import BadQuery
from metrics_api.histogram import Histogram, Percentiles
from metrics_api.measures import MOST_PERCENTILES, Measure, parse_percentiles, parse_stats


def names(*texts: str) -> list[str]:
    return [measure.name.removesuffix("_response_latency") for measure in parse_percentiles(texts)]


@pytest.mark.parametrize(
    ("text", "added"),
    [
        pytest.param("95", ["p95"], id="one"),
        pytest.param("50,90,95,99,99.9", ["p95", "p99.9"], id="what is there anyway is not added"),
        pytest.param("99.9,25,75", ["p99.9", "p25", "p75"], id="in the order asked"),
        pytest.param("95,95.0,95.000", ["p95"], id="each once"),
        pytest.param("99.90,99.9,05,0.50", ["p99.9", "p5", "p0.5"], id="one spelling"),
        pytest.param("50.0,90.00,99.000", [], id="the three, however they are spelt"),
        pytest.param("0.001,99.999", ["p0.001", "p99.999"], id="the least and the most"),
        pytest.param("10,20", ["p10", "p20"], id="tens are not shortened"),
    ],
)
def test_percentiles_are_added_each_once_in_one_spelling(text: str, added: list[str]):
    assert names(text) == added


@pytest.mark.parametrize(("quantile", "word"), [(0.95, "p95"), (0.999, "p99.9"), (0.07, "p7"), (0.1, "p10"), (0.9999, "p99.99")])
def test_a_quantile_that_a_source_has_is_spelt_as_one_that_is_asked_for(quantile: float, word: str):
    measure = Measure.percentile(quantile)
    assert (measure.word, measure.quantile) == (word, quantile)
    assert measure.of(Percentiles({quantile: 0.25})) == 0.25


def test_a_parameter_given_twice_is_one_list():
    assert names("95,75", "75,25") == ["p95", "p75", "p25"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "0.000",
        "100",
        "100.0",
        "-5",
        "+5",
        "95.1234",
        "9,,5",
        "95,",
        "p95",
        "0.95e2",
        "nan",
        "inf",
        "95%",
        " 95",
        ".5",
        "5.",
        "٩٥",
    ],
)
def test_anything_else_is_refused_with_what_is_allowed(text: str):
    with pytest.raises(BadQuery, match="above 0 and below 100 with at most three decimals"):
        parse_percentiles([text])


def test_so_many_are_given_at_once_and_no_more():
    allowed = ",".join(str(number) for number in range(1, MOST_PERCENTILES + 1))
    assert len(parse_percentiles([allowed, "1.0,2.0"])) == MOST_PERCENTILES
    with pytest.raises(BadQuery, match="21 percentiles are asked for: at most 20"):
        parse_percentiles([f"{allowed},99.9"])


def test_an_error_does_not_repeat_what_is_endless():
    with pytest.raises(BadQuery) as told:
        parse_percentiles(["9" * 100_000])
    assert len(told.value.message) < 200
    with pytest.raises(BadQuery) as told:
        parse_stats(["m" * 100_000])
    assert len(told.value.message) < 200


def test_statistics_are_added_each_once_in_the_order_asked():
    assert [measure.name for measure in parse_stats(["stddev,mean,stddev"])] == ["stddev_response_latency", "mean_response_latency"]
    assert parse_stats([]) == parse_percentiles([]) == ()


@pytest.mark.parametrize("text", ["median", "Mean", "", "mean,", "mean stddev"])
def test_a_statistic_nobody_knows_is_refused_with_those_there_are(text: str):
    with pytest.raises(BadQuery, match="a list of mean, stddev"):
        parse_stats([text])


def test_the_sources_are_asked_for_the_sum_where_the_mean_needs_it():
    assert [measure.needs_sum for measure in (*parse_percentiles(["95"]), *parse_stats(["mean,stddev"]))] == [False, True, False]


def test_each_measure_is_taken_from_the_histogram():
    latency = Histogram.from_cumulative([0.1, 0.2, math.inf], [50, 100, 100], 12.0)
    assert Measure("p75", 0.75).of(latency) == latency.quantile(0.75) == pytest.approx(0.15)
    assert Measure("mean").of(latency) == 0.12
    assert Measure("stddev").of(latency) == latency.stddev()


def test_a_source_of_percentiles_gives_those_it_has():
    latency = Percentiles({0.999: 0.3})
    assert [measure.of(latency) for measure in (*parse_percentiles(["99.9,95"]), *parse_stats(["mean,stddev"]))] == [
        0.3,
        None,
        None,
        None,
    ]
