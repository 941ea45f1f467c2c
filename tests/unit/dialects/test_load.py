"""Dialect files: what is read, and every mistake with its line, all at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from backends.dialects import HOST, Dialect, Outcome, builtin_dialects, load_dialect, parse_dialect
from metrics_api import ANY_WORKLOAD, BadConfiguration, Side

WHOLE = """\
name: small
description: >
  Two
  lines.
absent: [unknown, none]
shapes:
  rules: &rules
  - ignore: {code: "1.."}
  - failure: {code: "5..|0", grpc: "14"}
  - success: {}
views:
- name: served
  side: {label: reporter, values: {server: server, gateway: server, client: client}}
  match: role="a", kind!~"b.*"
  requests: requests_total
  outcome: *rules
  latency: {metric: latency, unit: microseconds}
  source:
  - Host: {is: unknown}
  destination:
  - Deployment: {namespace: ns, name: app}
  - ReplicaSet: {namespace: ns, name: "{app}-{hash}"}
  - Workload: {from: cluster, pattern: '(?P<name>[^.]+)\\.(?P<namespace>[^.]+)'}
  - daemonset: {namespace: ns, name: ds}
  - Node: {name: node}
- name: called
  side: client
  requests: calls
  outcome: [{success: {}}]
  latency: {metric: latency, unit: seconds}
  source:
  - Pod: {namespace: ns, name: pod}
  corrections:
  - [grpc_2, grpc_13]
  - {metrics: [grpc_14], overlap: true}
cannot:
  TrafficSplit: no apex
  edges: never
"""


def line_of(text: str) -> int:
    """The line on which ``text`` first stands in the whole dialect."""
    return WHOLE[: WHOLE.index(text)].count("\n") + 1


@pytest.fixture(scope="module")
def small() -> Dialect:
    return parse_dialect(WHOLE, "small.yaml")


def test_a_dialect_is_read(small: Dialect):
    assert (small.name, small.description) == ("small", "Two lines.")
    assert [view.name for view in small.views] == ["served", "called"]
    assert small.reasons == {"TrafficSplit": "no apex", "edges": "never"}


def test_the_observer_is_fixed_or_told_by_a_label(small: Dialect):
    served, called = small.views
    assert served.observer.label == "reporter"
    assert served.observer.sides == (("server", Side.SERVER), ("gateway", Side.SERVER), ("client", Side.CLIENT))
    assert (called.observer.label, called.observer.sides) == ("", (("", Side.CLIENT),))


def test_units_are_factors_to_seconds(small: Dialect):
    assert [item.unit for view in small.views for item in view.latencies] == [0.000001, 1.0]


def test_identities_are_read_in_order_with_the_kinds_of_kubernetes(small: Dialect):
    kinds = [identity.kind for identity in small.views[0].destination]
    assert kinds == ["Deployment", "ReplicaSet", ANY_WORKLOAD, "DaemonSet", "Node"]
    assert small.views[0].source[0].kind == HOST
    assert small.views[0].destination[0].absent == {"", "unknown", "none"}
    assert [identity.composed for identity in small.views[0].destination] == [False, True, False, False, False]


def test_corrections_are_lists_or_say_that_they_overlap(small: Dialect):
    plain, overlapping = small.views[1].corrections
    assert (plain.metrics, plain.overlap) == (("grpc_2", "grpc_13"), False)
    assert (overlapping.metrics, overlapping.overlap) == (("grpc_14",), True)


@pytest.mark.parametrize(
    ("code", "grpc", "outcome"),
    [
        ("100", "", Outcome.IGNORE),
        ("100", "14", Outcome.IGNORE),
        ("200", "", Outcome.SUCCESS),
        ("503", "14", Outcome.FAILURE),
        ("503", "", Outcome.SUCCESS),
        ("0", "14", Outcome.FAILURE),
        ("5031", "14", Outcome.SUCCESS),
        ("", "", Outcome.SUCCESS),
    ],
)
def test_the_first_rule_that_holds_tells_the_outcome(small: Dialect, code: str, grpc: str, outcome: Outcome):
    view = small.views[0]
    by = ("other", *view.outcome_labels)
    assert view.outcome_labels == ("code", "grpc")
    assert view.classifier(by)(["x", code, grpc]) is outcome


def test_series_no_rule_speaks_of_are_ignored():
    dialect = parse_dialect(WHOLE.replace("  - success: {}\n", "", 1), "small.yaml")
    assert dialect.views[0].classifier(("code", "grpc"))(["200", ""]) is Outcome.IGNORE


@pytest.mark.parametrize(
    ("before", "after", "problem"),
    [
        ("name: small", "nam: small", 'unknown key "nam"'),
        ("absent: [unknown, none]", "absent: unknown", "must be a list"),
        ("side: client", "side: callers", '"callers" is not one of client, server'),
        ("label: reporter, ", "", '"label" is missing'),
        ("label: reporter", "label: re-porter", '"re-porter" is not a label name'),
        ("client: client", "client: caller", '"caller" is not one of client, server'),
        ("values: {server: server, gateway: server, client: client}", "values: {}", "name at least one value"),
        ('match: role="a", kind!~"b.*"', "match: role=a", "is not a list of matchers"),
        ('kind!~"b.*"', 'kind!~"(?=b)"', "RE2"),
        ("requests: requests_total", "requests: requests total", '"requests total" is not a metric name'),
        ("- ignore:", "- forget:", 'unknown key "forget"'),
        ('{code: "1.."}', '{co-de: "1.."}', '"co-de" is not a label name'),
        ('{code: "1.."}', '{code: "1..("}', "is not a regular expression"),
        ("metric: latency, unit: microseconds", "metric: latency_bucket, unit: microseconds", 'without "_bucket"'),
        ("unit: microseconds", "unit: minutes", '"minutes" is not one of seconds, milliseconds, microseconds'),
        ("unit: microseconds", "units: seconds", '"unit" is missing'),
        ("Host: {is: unknown}", "Pod: {is: unknown}", '"is" gives a Host a fixed name'),
        ("Host: {is: unknown}", "Host: {is: unknown, name: a}", '"is" gives a Host a fixed name'),
        ("Deployment: {namespace: ns, name: app}", "Deploy: {namespace: ns, name: app}", '"Deploy" is not a kind'),
        ("Deployment: {namespace: ns, name: app}", "Deployment: {name: app}", '"namespace" is missing'),
        ("Deployment: {namespace: ns, name: app}", "Deployment: {namespace: ns}", '"name" is missing'),
        ("Deployment: {namespace: ns, name: app}", "Deployment: {namespace: ns, name: a b}", "neither a label name nor a template"),
        ('"{app}-{hash}"', '"{app}-{ha sh}"', "neither a label name nor a template"),
        ("Node: {name: node}", "Node: {name: node}\n    Pod: {namespace: a, name: b}", "one entry names one kind"),
        ("from: cluster, ", "", '"from" and "pattern" go together; "from" is missing'),
        (", pattern: '(?P<name>[^.]+)\\.(?P<namespace>[^.]+)'", "", '"pattern" is missing'),
        ("(?P<namespace>[^.]+)", "(?P<ns>[^.]+)", "no other named group"),
        ("(?P<name>[^.]+)\\.", "", "needs a group"),
        ("\\.(?P<namespace>[^.]+)", "", 'give the pattern a group "namespace"'),
        ("from: cluster", "from: cluster, name: x", "gives the name"),
        ("- [grpc_2, grpc_13]", "- [grpc 2]", '"grpc 2" is not a metric name'),
        ("overlap: true", "overlap: perhaps", "is not one of true, false"),
        ("metrics: [grpc_14], ", "", '"metrics" is missing'),
        ("TrafficSplit: no apex", "Trafficsplits: no apex", 'neither "edges" nor a kind'),
    ],
)
def test_a_mistake_is_named_with_its_line(before: str, after: str, problem: str):
    line = line_of(before)
    with pytest.raises(BadConfiguration) as caught:
        parse_dialect(WHOLE.replace(before, after, 1), "small.yaml")
    assert any(found.startswith(f"small.yaml:{line}: ") and problem in found for found in caught.value.problems), (
        caught.value.problems
    )


def test_all_mistakes_are_named_at_once():
    text = WHOLE
    for before, after in (
        ("side: client", "side: x"),
        ("unit: seconds", "unit: y"),
        ("Node: {name", "Nod: {name"),
        ("calls", "a b"),
    ):
        text = text.replace(before, after, 1)
    with pytest.raises(BadConfiguration) as caught:
        parse_dialect(text, "small.yaml")
    assert {problem.split(": ")[0] for problem in caught.value.problems} == {
        f"small.yaml:{line}" for line in map(line_of, ("side: client", "unit: seconds", "Node: {name", "calls"))
    }


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", '"name" is missing'),
        ("name: x\nviews: []", "a dialect needs at least one view"),
        ("name: x\nviews: {}", "must be a list"),
        ("name: x\nviews:\n- served", "must be a mapping"),
        (
            "name: x\nviews:\n- {name: a, side: server, requests: b, outcome: [], latency: {metric: c, unit: seconds}}",
            'needs "source"',
        ),
        ("[1, 2]", "must be a mapping"),
        ("name: [unclosed", "not YAML"),
        ("a: *b", "not YAML"),
    ],
)
def test_a_file_that_is_no_dialect_is_refused(text: str, problem: str):
    with pytest.raises(BadConfiguration) as caught:
        parse_dialect(text, "small.yaml")
    assert problem in caught.value.message


def test_a_dialect_of_ones_own_is_a_path(tmp_path: Path):
    path = tmp_path / "mine.yaml"
    path.write_text(WHOLE)
    assert load_dialect(str(path)).name == "small"


@pytest.mark.parametrize(
    ("content", "problem"), [(None, "cannot be read: No such file"), (b"\xff", "is not UTF-8 text")], ids=["missing", "not-text"]
)
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, content: bytes | None, problem: str):
    path = tmp_path / "mine.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BadConfiguration) as caught:
        load_dialect(str(path))
    assert str(path) in caught.value.message
    assert problem in caught.value.message


@pytest.mark.parametrize("name", ["linkred", "", "Linkerd"])
def test_an_unknown_name_is_answered_with_the_known_ones(name: str):
    with pytest.raises(BadConfiguration) as caught:
        load_dialect(name)
    assert all(known in caught.value.message for known in builtin_dialects())
