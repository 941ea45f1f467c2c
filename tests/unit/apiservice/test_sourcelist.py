"""The document of a source: everything that is known, nothing that is not, and no secret."""

from __future__ import annotations

import pytest

from apiservice.sources.document import list_document, source_document, without_secrets
from apiservice.sources.examinations import Examination
from apiservice.sources.health import SourceHealth, SourceState
from metrics_api import Merge, Offer, Terms
from metrics_api.diagnosis import Ability, Diagnosis, Finding, Level, Mesh
from tests.unit.apiservice.sources import source

NOW = 1_795_300_000

FOUND = Diagnosis(
    "mesh",
    "Prometheus 2.53.0 at http://reader:hunter2@prometheus:9090/?token=hunter2, answered in 4 ms; istio",
    {"product": "Prometheus", "version": "2.53.0", "url": "http://reader:hunter2@prometheus:9090", "milliseconds": 4},
    (
        Finding(Level.OK, "mesh", "dialect", "the store keeps consul as well"),
        Finding(
            Level.PROBLEM,
            "mesh",
            "reach",
            "it redirects to https://reader:hunter2@sso/login?key=hunter2",
            "see http://x/?k=hunter2",
        ),
    ),
    (Ability("istio", "workloads", ("received", "to"), ("from",)),),
    (Mesh("Istio", "istio", ("1.23.0", "1.24.1")), Mesh("Linkerd", "linkerd", ("2.366.0",), "proxy")),
    frozenset({"shop"}),
)
WEST = Terms("west", ("shop", "team-*"), Merge.SUM, 0.5)


def test_everything_that_is_known_is_told():
    health = SourceHealth(SourceState.OPEN, 'source "mesh" failed at http://reader:hunter2@prometheus:9090', NOW - 60)
    made = source_document(source("mesh", WEST, Offer((0.5, 0.95, 0.999), 120)), health, Examination(FOUND, NOW))
    assert made == {
        "kind": "Source",
        "apiVersion": "metrics.smi-spec.io/v1alpha1",
        "metadata": {"name": "mesh"},
        "spec": {
            "type": "prometheus",
            "covers": {"cluster": "west", "namespaces": ["shop", "team-*"]},
            "merge": "sum",
            "hedgeAfter": "500ms",
        },
        "status": {
            "health": {
                "state": "open",
                "reason": 'source "mesh" failed at http://prometheus:9090',
                "since": "2026-11-21T22:25:40Z",
            },
            "examination": {
                "state": "done",
                "level": "problem",
                "time": "2026-11-21T22:26:40Z",
                "message": "Prometheus 2.53.0 at http://prometheus:9090/, answered in 4 ms; istio",
            },
            "product": "Prometheus",
            "version": "2.53.0",
            "meshes": [
                {"name": "Istio", "dialect": "istio", "versions": ["1.23.0", "1.24.1"]},
                {"name": "Linkerd", "dialect": "linkerd", "versions": ["2.366.0"], "versionOf": "proxy"},
            ],
            "answers": [{"dialect": "istio", "resources": "workloads", "told": ["received", "to"], "lost": ["from"]}],
            "findings": [
                {"level": "problem", "check": "reach", "what": "it redirects to https://sso/login", "advice": "see http://x/"},
                {"level": "ok", "check": "dialect", "what": "the store keeps consul as well"},
            ],
            "percentiles": ["50", "95", "99.9"],
            "delay": "2m0s",
        },
    }
    assert "hunter2" not in str(made)


def test_what_is_not_known_is_not_told():
    made = source_document(source("mesh"), SourceHealth(), Examination())
    assert made["spec"] == {"type": "prometheus", "covers": {"namespaces": ["*"]}, "merge": "first"}
    assert made["status"] == {
        "health": {"state": "unknown"},
        "examination": {"state": "pending"},
        "meshes": [],
        "answers": [],
        "findings": [],
        "percentiles": ["*"],
        "delay": "0s",
    }


def test_a_source_that_names_no_cluster_covers_the_one_of_the_server():
    assert source_document(source("mesh"), SourceHealth(), Examination(), "east")["spec"]["covers"]["cluster"] == "east"


def test_an_examination_that_takes_long_says_so_and_tells_what_was_found_before():
    first = source_document(source("mesh"), SourceHealth(), Examination(running=True))["status"]["examination"]
    assert first == {"state": "running", "message": "it is being examined, and that is not over after 5s"}
    again = source_document(source("mesh"), SourceHealth(), Examination(FOUND, NOW, running=True))["status"]
    assert (again["examination"]["state"], again["examination"]["time"]) == ("running", "2026-11-21T22:26:40Z")
    assert again["examination"]["message"].endswith("; this is what was found the last time")
    assert again["version"] == "2.53.0"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("at http://a:9090: refused", "at http://a:9090: refused"),
        ("at https://me:pw@a/prefix, twice", "at https://a/prefix, twice"),
        ("at https://me:p@w@a/x", "at https://a/x"),
        ("at https://me@a?dedup=1&key=pw; again", "at https://a; again"),
        ("http://a/#key and HTTP://me:pw@b", "http://a/ and HTTP://b"),
        ('"http://me:pw@a"', '"http://a"'),
        ("mail me@example.org? no", "mail me@example.org? no"),
    ],
)
def test_urls_are_told_without_whom_they_are_for_and_what_they_ask(text: str, shown: str):
    assert without_secrets(text) == shown


def test_a_list_is_one_as_kubernetes_has_them():
    assert list_document([{"kind": "Source"}]) == {
        "kind": "SourceList",
        "apiVersion": "metrics.smi-spec.io/v1alpha1",
        "metadata": {},
        "items": [{"kind": "Source"}],
    }
