"""The doctor's two forms: a screen for people, and a document for programs."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from apiservice.doctor import render
from apiservice.sources.examination import Examined
from metrics_api import Merge, Offer, Terms, Window
from metrics_api.diagnosis import Ability, Diagnosis, Finding, Level, Mesh
from tests.unit.apiservice.sources import source

MINUTE = Window(60)
WAYS = ("received", "to", "from")

WELL = Diagnosis(
    "mesh",
    "Prometheus 2.53.0 at http://prometheus:9090, answered in 4 ms; linkerd; a sample every 10s",
    {"type": "prometheus", "milliseconds": 4},
    (),
    (
        Ability("linkerd", "workloads", WAYS),
        Ability("linkerd", "pods", WAYS),
        Ability("linkerd", "services", ("received", "from")),
    ),
)
ILL = Diagnosis(
    "edge",
    "Thanos 0.35.1 at http://thanos:10902, answered in 91 ms; istio, linkerd; a sample every 30s",
    {"type": "prometheus"},
    (
        Finding(Level.OK, "edge", "dialect", "the store keeps consul as well"),
        Finding(Level.WARNING, "edge", "clock", "its clock is 4s behind ours", "synchronise both clocks (NTP)"),
        Finding(
            Level.PROBLEM,
            "edge",
            "labels",
            'istio: no series has the label "pod", which is needed for pods (received, from), nodes (received, from), services (to)',
            "overrides: {labels: {pod: pod_name}}",
        ),
    ),
    (
        Ability("istio", "workloads", WAYS),
        Ability("istio", "pods", (), WAYS),
        Ability("istio", "services", ("received",), ("from",)),
        Ability("linkerd", "workloads", WAYS),
        Ability("linkerd", "pods", WAYS),
    ),
)

WELL_SCREEN = """\
mesh: Prometheus 2.53.0 at http://prometheus:9090, answered in 4 ms; linkerd; a
      sample every 10s
  workloads, pods  received, to, from
  services         received, from

all is well, for a window of 1m0s"""

ILL_SCREEN = """\
edge: Thanos 0.35.1 at http://thanos:10902, answered in 91 ms; istio, linkerd; a
      sample every 30s
             istio                       linkerd
  workloads  received, to, from          received, to, from
  pods       - (not received, to, from)  received, to, from
  services   received (not from)         -
  problem  istio: no series has the label "pod", which is needed for pods
           (received, from), nodes (received, from), services (to)
           -> overrides: {labels: {pod: pod_name}}
  warning  its clock is 4s behind ours
           -> synchronise both clocks (NTP)
  ok       the store keeps consul as well

1 problem and 1 warning, for a window of 1m0s"""


def of(diagnosis: Diagnosis, terms: Terms = Terms(), offer: Offer | None = None) -> Examined:  # noqa: B008 - frozen
    return Examined(source(diagnosis.source, terms, offer), diagnosis)


@pytest.mark.parametrize(("diagnosis", "screen"), [(WELL, WELL_SCREEN), (ILL, ILL_SCREEN)], ids=["well", "ill"])
def test_the_screen_is_as_short_as_what_is_wrong_and_as_wide_as_the_terminal(diagnosis: Diagnosis, screen: str):
    assert render([of(diagnosis)], MINUTE, "text", 80) == screen


def test_the_screen_of_two_sources_ends_in_one_verdict():
    assert render([of(WELL), of(ILL)], MINUTE, "text", 80) == "\n".join((*WELL_SCREEN.splitlines()[:-1], *ILL_SCREEN.splitlines()))


def test_what_a_store_sends_cannot_write_on_the_terminal():
    hostile = Diagnosis("mesh", "\x1b[2J\x07gone", {}, (Finding(Level.WARNING, "mesh", "store", "it warns: \x1b]0;x\x07", "a\rb"),))
    shown = render([of(hostile)], MINUTE, "text", 80)
    assert not {character for character in shown if not character.isprintable()} - {"\n"}


def test_the_document_has_everything_under_stable_keys():
    document = json.loads(render([of(WELL), of(ILL)], MINUTE, "json"))
    assert {key: document[key] for key in ("ok", "window", "problems", "warnings")} == {
        "ok": False,
        "window": "1m0s",
        "problems": 1,
        "warnings": 1,
    }
    first, second = document["sources"]
    assert first == {
        "name": "mesh",
        "type": "prometheus",
        "level": "ok",
        "summary": WELL.summary,
        "covers": {"cluster": "", "namespaces": []},
        "merge": "first",
        "hedgeAfterSeconds": 0.0,
        "percentiles": None,
        "delaySeconds": 0,
        "facts": {"type": "prometheus", "milliseconds": 4},
        "meshes": [],
        "answers": [
            {"dialect": "linkerd", "resources": "workloads", "told": list(WAYS), "lost": []},
            {"dialect": "linkerd", "resources": "pods", "told": list(WAYS), "lost": []},
            {"dialect": "linkerd", "resources": "services", "told": ["received", "from"], "lost": []},
        ],
        "findings": [],
    }
    assert second["level"] == "problem"
    assert second["findings"][0] == {
        "level": "problem",
        "check": "labels",
        "what": ILL.findings[2].what,
        "advice": "overrides: {labels: {pod: pod_name}}",
    }
    assert [finding["level"] for finding in second["findings"]] == ["problem", "warning", "ok"]


WEST = Terms("west", ("shop", "team-*"), Merge.SUM, 0.5)
LATE = Offer((0.5, 0.95, 0.999), 120)
UPGRADED = replace(WELL, meshes=(Mesh("Istio", "istio", ("1.9.0", "1.24.1")), Mesh("Linkerd", "linkerd", ("2.366.0",), "proxy")))


def test_what_is_not_the_same_for_all_sources_has_lines_of_its_own():
    assert render([of(UPGRADED, WEST, LATE)], MINUTE, "text", 132).splitlines()[1:4] == [
        "  Istio 1.9.0 and 1.24.1, Linkerd (proxy 2.366.0)",
        "  covers cluster west, namespaces shop, team-*; merge: sum; asked a second time after 0.5s; percentiles 50, 95, 99.9; numbers are",
        "  2m0s old",
    ]


def test_a_mesh_whose_version_is_not_visible_is_named_by_its_dialect_alone():
    unseen = replace(WELL, meshes=(Mesh("Linkerd", "linkerd"),))
    assert render([of(unseen)], MINUTE, "text", 80) == WELL_SCREEN


def test_the_document_has_the_place_of_a_source_and_its_meshes():
    (entry,) = json.loads(render([of(UPGRADED, WEST, LATE)], MINUTE, "json"))["sources"]
    assert {key: entry[key] for key in ("covers", "merge", "hedgeAfterSeconds", "percentiles", "delaySeconds", "meshes")} == {
        "covers": {"cluster": "west", "namespaces": ["shop", "team-*"]},
        "merge": "sum",
        "hedgeAfterSeconds": 0.5,
        "percentiles": [50.0, 95.0, 99.9],
        "delaySeconds": 120,
        "meshes": [
            {"name": "Istio", "dialect": "istio", "versions": ["1.9.0", "1.24.1"], "versionOf": ""},
            {"name": "Linkerd", "dialect": "linkerd", "versions": ["2.366.0"], "versionOf": "proxy"},
        ],
    }
