"""Series that are kept as deltas, histograms that are kept whole, and names with dots: how a dialect says so, and what is asked then."""

from __future__ import annotations

import pytest

from backends.dialects import Dialect, Read, Reading, Temporality, equal, interpret, load_dialect, parse_dialect, plan
from backends.dialects.configured import read_configured
from backends.dialects.examination import Evidence
from backends.dialects.findings import examine
from backends.dialects.overrides import Overrides, override, read_overrides
from backends.prometheus.promql import HistogramForm, query_of, selector
from metrics_api import BadConfiguration, Histogram, TrafficQuery, Window
from metrics_api.document import Problems, parse_document

MINUTE = Window(60)
QUERY = TrafficQuery(("Deployment",), MINUTE, 0)

OBSERVED = """
name: observed
temporality: delta
views:
- name: served
  side: server
  match: '"@resource.env"="prod"'
  requests: {histogram: request.duration}
  outcome: [{ignore: {code: "1.."}}, {failure: {code: "5.."}}, {success: {}}]
  codes: {http: code}
  latency: {metric: request.duration, unit: seconds}
  destination: [Deployment: {namespace: '@resource.ns', name: '@resource.app'}]
"""


def observed(*changes: tuple[str, str]) -> Dialect:
    text = OBSERVED
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return parse_dialect(text, "observed.yaml")


def reads(dialect: Dialect, **fields: object) -> list[Read]:
    query = TrafficQuery(("Deployment",), MINUTE, 0, **fields)  # type: ignore[arg-type] # fields of a query
    return [read for stage in plan(dialect, query) for part in stage for read in part.reads]


SELECTED = '{"request.duration","@resource.env"="prod","@resource.app"!=""}'
DELTAS = SELECTED.replace("}", ',__temporality__!="cumulative"}')
"""What says of itself that it is a running total must not be added up sample by sample."""


def test_observations_of_deltas_are_added_up_and_counted():
    count, latency, took = (query_of(read, MINUTE) for read in reads(observed(), sums=True))
    by = '"@resource.ns", "@resource.app"'
    assert count == f"sum by ({by}, code) (histogram_count(sum_over_time({DELTAS}[60s])))"
    assert latency == f"sum by ({by}) (sum_over_time({DELTAS}[60s]))"
    assert took == f"sum by ({by}) (histogram_sum(sum_over_time({DELTAS}[60s])))"


def test_of_running_totals_the_increase_is_taken():
    count, latency = (query_of(read, MINUTE) for read in reads(observed(("delta", "cumulative"))))
    assert f"histogram_count(increase({SELECTED}[60s]))" in count
    assert f"(increase({SELECTED}[60s]))" in latency


def test_counters_of_deltas_are_added_up_each_by_itself():
    dialect = observed(("{histogram: request.duration}", "[requests_total, calls.total]"))
    count, latency = (query_of(read, MINUTE) for read in reads(dialect))
    both = [
        f'label_replace(sum_over_time({series}[60s]), "trafficmetrics_counter", "{index}", "", "")'
        for index, series in enumerate(
            (DELTAS.replace('{"request.duration",', "requests_total{"), DELTAS.replace("request.duration", "calls.total"))
        )
    ]
    assert " or ".join(both) in count
    # The histogram was not said to be native, nor to have no dots: it is asked for as it always was.
    assert '{"request.duration_bucket"' in latency


def test_classic_histograms_of_deltas_are_added_up():
    read = Read(Reading.HISTOGRAM, ("latency",), (equal("a", "b"),), ("app",), temporality=Temporality.DELTA)
    assert query_of(read, MINUTE) == 'sum by (le, app) (sum_over_time(latency_bucket{a="b",__temporality__!="cumulative"}[60s]))'
    assert query_of(read, MINUTE, HistogramForm.BOTH).count("sum_over_time(") == 3


def test_a_native_histogram_is_asked_for_without_buckets_whatever_the_store_was_found_to_keep():
    dialect = override(load_dialect("istio"), Overrides(keeping=read_keeping("{histograms: native, temporality: delta}")))
    asked = [query_of(read, MINUTE, HistogramForm.BOTH) for read in reads(dialect)]
    assert any("sum_over_time(istio_request_duration_milliseconds{" in promql for promql in asked)
    assert not any("_bucket" in promql or "increase(" in promql for promql in asked)


def read_keeping(text: str):  # type: ignore[no-untyped-def] # what an Overrides has
    problems = Problems()
    overrides = read_overrides(parse_document(text, "overrides", problems))
    assert overrides is not None, problems.found
    return overrides.keeping


def test_overrides_change_neither_unless_they_say_so():
    dialect = override(observed(), Overrides())
    assert [(view.temporality, view.native) for view in dialect.views] == [(Temporality.DELTA, True)]


def test_histograms_whose_observations_are_the_requests_are_never_classic():
    dialect = override(observed(), Overrides(keeping=read_keeping("{histograms: classic}")))
    assert not any("_bucket" in query_of(read, MINUTE) for read in reads(dialect))


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (("temporality: delta", "temporality: diff"), '"diff"'),
        (("temporality: delta", "histograms: both"), '"both"'),
        (("{histogram: request.duration}", "{histogram: []}"), "name at least one metric"),
        (("{histogram: request.duration}", "{counter: x}"), '"histogram" is missing'),
        (("{histogram: request.duration}", "{histogram: request duration}"), "is not a metric name"),
        (("'@resource.ns'", "'@resource ns'"), "is neither a label name nor a template"),
        (('\'"@resource.env"="prod"\'', '\'"resource-env"="prod"\''), '"resource-env" is not a label name'),
        (('\'"@resource.env"="prod"\'', "'@resource.env=\"prod\"'"), "is not a list of matchers"),
    ],
    ids=str,
)
def test_a_mistake_is_named_with_its_line(change: tuple[str, str], problem: str):
    with pytest.raises(BadConfiguration) as caught:
        observed(change)
    assert any(problem in found and found.startswith("observed.yaml:") for found in caught.value.problems)


@pytest.mark.parametrize(
    ("metric", "label", "expected"),
    [
        ("up", "job", 'up{job="x"}'),
        ("a:b", "job", 'a:b{job="x"}'),
        ("http.requests", "job", '{"http.requests",job="x"}'),
        ("up", "@resource.k8s.pod.name", 'up{"@resource.k8s.pod.name"="x"}'),
    ],
)
def test_only_names_that_need_it_are_quoted(metric: str, label: str, expected: str):
    assert selector(metric, [equal(label, "x")]) == expected


def test_a_dialect_by_default_is_taken_where_none_is_named_and_its_overrides_are_checked():
    problems = Problems()
    entries = parse_document("overrides: {labels: {nosuch: x}}", "config", problems).mapping()
    assert read_configured(entries, auto=False, default="cloudwatch-otel") is None
    assert 'dialect cloudwatch-otel uses no label "nosuch"' in problems.found[0]


APP = ("shop", "web")


@pytest.mark.parametrize(("seen", "told"), [(10.0, True), (9.0, False)], ids=["all", "some"])
def test_latencies_of_fewer_observations_than_there_were_requests_are_no_latencies(*, seen: float, told: bool):
    """Ignored requests are among the observations."""
    (stage,) = plan(observed(), QUERY)
    (part,) = stage
    results = {
        part.requests: {(*APP, "200"): 6.0, (*APP, "503"): 3.0, (*APP, "101"): 1.0},
        part.latencies[0]: {APP: Histogram.from_cumulative((1.0, float("inf")), (seen, seen))},
    }
    (sample,) = interpret(stage, QUERY, results, "test")
    assert (sample.success, sample.failure) == (6.0, 3.0)
    assert (sample.latency is not None) is told


@pytest.mark.parametrize(
    ("kept", "what", "advice"),
    [
        (["delta", "delta"], "", ""),
        (
            ["cumulative"],
            "the series of request.duration are cumulative, and delta ones are asked for: they are left out",
            "overrides: {temporality: cumulative}",
        ),
        (["delta", "cumulative"], "some series of request.duration are cumulative", "let all who send them send the same"),
    ],
    ids=["as read", "otherwise", "both"],
)
def test_a_store_that_tells_the_temporality_is_believed(kept: list[str], what: str, advice: str):
    series = [{"@resource.ns": "shop", "@resource.app": "web", "code": "503", "__temporality__": each} for each in kept]
    evidence = Evidence({"": len(series)}, series, frozenset(observed().views[0].destination), frozenset(series[0]))
    findings = [finding for finding in examine("store", observed(), [evidence], {})[0] if finding.check == "temporality"]
    assert len(findings) == bool(what)
    assert all(what in finding.what and finding.advice == advice for finding in findings)
