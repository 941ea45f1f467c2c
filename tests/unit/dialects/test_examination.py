"""What follows from the series there are, told without any store; and the words of a dialect file that are about that."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from backends.dialects import Sign, Trap, candidates, parse_dialect, parse_matchers
from backends.dialects.examination import Evidence, identities_of, named_in
from backends.dialects.findings import examine
from backends.dialects.lookalikes import lookalike
from metrics_api import BadConfiguration
from metrics_api.diagnosis import Finding, Level

SMALL = """
name: small
labels: {node: the scrape job}
views:
- name: served
  side: server
  match: role="server"
  requests: requests_total
  outcome: [{failure: {code: "5.."}}, {success: {code: ".+"}}]
  latency: {metric: latency_ms, unit: milliseconds}
  destination:
  - Deployment: {namespace: namespace, name: app}
  - Pod: {namespace: namespace, name: pod}
  - Node: {name: node}
- name: called
  side: client
  match: role="client"
  requests: requests_total
  outcome: [{failure: {code: "5.."}}, {success: {code: ".+"}}]
  source:
  - Deployment: {namespace: namespace, name: app}
  destination:
  - Deployment: {namespace: peer_namespace, name: peer}
"""
DIALECT = parse_dialect(SMALL, "small.yaml")
SERVER = {"role": "server", "namespace": "shop", "app": "web", "pod": "web-1", "node": "n", "code": "200"}
CLIENT = {"role": "client", "namespace": "shop", "app": "web", "peer_namespace": "shop", "peer": "api", "code": "503"}


def seen(view: int, *series: Mapping[str, str], timed: bool = True) -> Evidence:
    named = named_in(identities_of(DIALECT.views[view]), series)
    return Evidence({"": len(series)} if series else {}, series, named, frozenset(label for one in series for label in one), timed)


def without(series: Mapping[str, str], *labels: str) -> dict[str, str]:
    return {label: value for label, value in series.items() if label not in labels}


def findings(server: Evidence, client: Evidence) -> list[Finding]:
    return examine("mesh", DIALECT, (server, client), {})[0]


def test_nothing_is_said_of_complete_series():
    assert findings(seen(0, SERVER), seen(1, CLIENT)) == []


@pytest.mark.parametrize(
    ("server", "client", "level", "check", "what", "advice"),
    [
        (
            seen(0, without(SERVER, "node")),
            seen(1, CLIENT),
            Level.WARNING,
            "labels",
            "needed for nodes",
            "who adds it: the scrape job",
        ),
        (seen(0, without(SERVER, "code")), seen(1, CLIENT), Level.PROBLEM, "outcomes", '"code", so failures', "the mesh writes it"),
        (seen(0, SERVER, timed=False), seen(1, CLIENT), Level.PROBLEM, "latencies", "latency_ms has no series", "_bucket"),
        (seen(0), seen(1, CLIENT), Level.WARNING, "observers", 'no series has requests_total{role="server"}', "switch on"),
        (seen(0, SERVER), seen(1), Level.WARNING, "observers", 'no series has requests_total{role="client"}', "switch on"),
        (
            seen(0, {**without(SERVER, "pod"), "exported_pod": "web-1"}),
            seen(1, CLIENT),
            Level.PROBLEM,
            "labels",
            '"pod", which is needed for pods',
            "overrides: {labels: {pod: exported_pod}}",
        ),
    ],
    ids=["label", "outcome", "histogram", "callees", "callers", "renamed"],
)
def test_each_fault_is_told_once(server: Evidence, client: Evidence, level: Level, check: str, what: str, advice: str):
    (finding,) = findings(server, client)
    assert (finding.level, finding.check) == (level, check)
    assert what in finding.what
    assert advice in finding.advice


def test_a_label_that_one_series_has_is_not_missing():
    assert findings(seen(0, without(SERVER, "node"), SERVER), seen(1, CLIENT)) == []


@pytest.mark.parametrize("spelling", ["pod_name", "kubernetes_pod", "kubernetes_pod_name", "k8s_pod_name", "exported_pod"])
def test_a_label_is_found_by_its_other_names(spelling: str):
    assert lookalike("pod", {"app", spelling}, ()) == spelling
    assert lookalike("pod", {"app", spelling}, {spelling}) == ""


def test_a_name_that_only_contains_the_label_is_another_label():
    assert lookalike("pod", {"podium", "pod_template_hash", "pod_ip", "pod"}, ()) == ""
    assert lookalike("k8s_pod_name", {"pod"}, ()) == "pod"


def test_a_dialect_file_says_what_to_look_for_and_whether_it_is_a_fallback():
    trap = """
fallback: true
warns:
- series: requests_total{protocol="grpc"}
  unless: requests_total{status!=""}
  text: statuses are missing; add them
- {series: old_total, text: too old}
"""
    dialect = parse_dialect(SMALL + trap, "small.yaml")
    assert dialect.fallback
    assert dialect.traps == (
        Trap(
            Sign("requests_total", parse_matchers('protocol="grpc"')),
            "statuses are missing; add them",
            Sign("requests_total", parse_matchers('status!=""')),
        ),
        Trap(Sign("old_total"), "too old"),
    )
    assert (DIALECT.fallback, DIALECT.traps) == (False, ())


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("warns: [{series: old_total}]", '"text" is missing'),
        ("warns: [{text: old}]", '"series" is missing'),
        ("warns: [{series: 'old total', text: x}]", "is not a selector"),
        ("fallback: perhaps", "perhaps"),
    ],
)
def test_mistakes_in_them_are_named(text: str, problem: str):
    with pytest.raises(BadConfiguration, match=problem):
        parse_dialect(f"{SMALL}{text}\n", "small.yaml")


def test_fallbacks_come_after_all_others():
    order = [(dialect.fallback, dialect.name) for dialect in candidates()]
    assert order == sorted(order)
    assert {name for fallback, name in order if fallback} >= {"otel-servicegraph", "otel-spanmetrics"}
