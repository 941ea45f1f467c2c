"""The reference of a dialect says what happens: who observes what, what is refused and why, and what configuration can change."""

from __future__ import annotations

import pytest

from backends.dialects import Dialect, builtin_dialects, load_dialect, parse_dialect
from backends.dialects.reference import ROWS, can_answer, reference, support_table
from backends.dialects.renaming import labels_of

SMALL = """\
name: small
description: A small one.
recognise: calls_total{observer!=""}
views:
- name: calls
  side: {label: observer, values: {callee: server, gateway: server, caller: client}, partial: [gateway]}
  match: kind!~"probe|test"
  requests: calls_total
  outcome:
  - failure: {code: "5"}
  - success: {}
  corrections:
  - [grpc_2_total]
  - {metrics: [grpc_14_total], overlap: true}
  codes: {http: {label: code, form: class}, grpc: {metric: "grpc_{code}_total"}}
  latency: {metric: took, unit: milliseconds}
  source:
  - Deployment: {namespace: from_ns, name: from_app}
  destination:
  - Deployment: {namespace: ns, name: app}
- name: pods
  side: server
  requests: calls_total
  outcome: [{success: {}}]
  destination:
  - Pod: {namespace: ns, name: pod}
- name: connections
  side: server
  connections: opened_total
  destination:
  - Node: {name: node}
cannot:
  Service: Services are in no label
  edges: nobody says who called
limits:
- Pods are those that count.
labels:
  pod: the scrape job, from a|b
  from_ns: the other end
"""


OTHERS = "Namespace, Node, Pod, ReplicationController, DaemonSet, ReplicaSet, StatefulSet, Job"
OBSERVERS = "`callee` the server; `gateway` the server, not by every caller; `caller` the client"


@pytest.fixture(scope="module")
def page() -> list[str]:
    return reference([parse_dialect(SMALL, "small.yaml")]).splitlines()


@pytest.mark.parametrize(
    "line",
    [
        '`dialect: auto` takes it where a store has `calls_total{observer!=""}`.',
        "| Deployment | server, else client | client, else server | server, else client |",
        "| Pod | server | - | - |",
        "| Node | connections only | - | - |",
        "* Service: Services are in no label",
        f"* {OTHERS} (to, from): nobody says who called",
        f"**calls**, observed at the side that `observer` tells: {OBSERVERS}.",
        '* series with `kind!~"probe|test"`',
        '* outcome: failure where `code=~"5"`; success otherwise',
        "* of the successes, failures after all: `grpc_2_total`",
        "* of the successes, failures after all: `grpc_14_total` as far as they are more than the failures known",
        "* latency: `took` (milliseconds)",
        "* latency: none",
        "* connections: `opened_total`",
        "* callee: Deployment by `ns`, `app`",
        "| `pod` | the callee (Pod) | the scrape job, from a\\|b |",
        "| `code` | the outcome |  |",
        "| `observer` | the side, recognising the dialect |  |",
        "| `kind` | choosing series |  |",
        "| `ns` | the callee (Deployment, Pod) |  |",
        "| `from_app` | the caller (Deployment) | whoever adds `from_ns` |",
        "* HTTP codes that fail: label `code`, as `5`",
        "* routes left out: by a label given as `routeLabel`, if the series have one",
        "* Pods are those that count.",
    ],
)
def test_the_page_says_what_the_file_makes_happen(page: list[str], line: str):
    assert line in page


@pytest.fixture(params=builtin_dialects())
def dialect(request: pytest.FixtureRequest) -> Dialect:
    return load_dialect(request.param)


def test_everything_that_is_read_is_on_the_page(dialect: Dialect):
    page = reference([dialect])
    metrics = {metric for view in dialect.views for metric in (*view.counters, *(latency.metric for latency in view.latencies))}
    assert [metric for metric in metrics if f"`{metric}`" not in page] == []
    assert [label for label in labels_of(dialect) if f"\n| `{label}` | " not in page] == []
    assert [sentence for sentence in (*dialect.limits, *dialect.reasons.values()) if sentence not in page] == []


def test_a_label_that_somebody_adds_is_one_that_is_used(dialect: Dialect):
    assert sorted(dialect.origins.keys() - set(labels_of(dialect))) == []


def test_the_table_has_a_row_for_each_dialect_and_a_column_for_each_kind():
    small = parse_dialect(SMALL, "small.yaml")
    assert support_table([small]).splitlines()[2] == "| small | received, to, from | received | - | - | received |"
    assert [kind for kind in ROWS.values() if can_answer(small, kind)] == ["Deployment", "Pod", "Node"]
