"""What stands behind the Service: who is ready, who would be left, and where they can be connected to."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import Any

import pytest

from apiservice.checkup.account import Account, account_of, as_deployed
from apiservice.checkup.doors import Door, doors_of, parse_address
from apiservice.checkup.replicas import Behind, Endpoint, deployment_of, endpoints_of, replica_findings
from apiservice.checkup.subject import Subject
from tests.unit.apiservice.checkup.documents import HIDDEN, behind, listed, service, told

SUBJECT = Subject()
TWO = [("10.1.0.4", "a", True), ("10.1.0.5", "b", None)]
LOOK = "kubectl get pods -n trafficmetrics; kubectl describe deploy -n trafficmetrics"

CASES: dict[str, tuple[Behind, tuple[str, str, str, str]]] = {
    "two": (behind(TWO), ("ok", "replicas", "2 of 2 replicas are ready, on 2 nodes", "")),
    "two-of-nobody": (behind(TWO, wanted=None), ("ok", "replicas", "2 of 2 replicas are ready, on 2 nodes", "")),
    "none": (
        behind([("10.1.0.4", "a", False)]),
        ("problem", "replicas", "no replica behind Service trafficmetrics/trafficmetrics is ready", f"{LOOK} trafficmetrics"),
    ),
    "one-of-two": (behind(TWO[:1]), ("warning", "replicas", "1 of 2 replicas is ready", f"{LOOK} trafficmetrics")),
    "one": (
        behind(TWO[:1], wanted=1),
        (
            "warning",
            "replicas",
            "there is one replica: while it is away, no namespace of the cluster can be deleted",
            "kubectl scale -n trafficmetrics deploy/trafficmetrics --replicas=2",
        ),
    ),
    "one-node": (
        behind([TWO[0], ("10.1.0.5", "a", True)]),
        (
            "warning",
            "replicas",
            "all 2 replicas are on node a: they fail together",
            "kubectl rollout restart -n trafficmetrics deploy/trafficmetrics once other nodes have room",
        ),
    ),
    "no-budget": (
        behind(TWO, budget=False),
        (
            "warning",
            "replicas",
            "2 replicas are ready, and no PodDisruptionBudget keeps one of them when nodes are drained",
            "kubectl apply -f deploy/base/poddisruptionbudget.yaml",
        ),
    ),
    "budget-unseen": (behind(TWO, budgets=HIDDEN), ("ok", "replicas", "2 of 2 replicas are ready, on 2 nodes", "")),
    "no-service": (
        behind(TWO, service=None),
        (
            "problem",
            "service",
            "there is no Service trafficmetrics/trafficmetrics, which the APIService leads to",
            "kubectl apply -f deploy/base/service.yaml, or correct spec.service of the APIService",
        ),
    ),
    "wrong-port": (
        behind(TWO, port=8443),
        (
            "problem",
            "service",
            "the APIService leads to port 8443 of Service trafficmetrics/trafficmetrics, which has 9090, 443",
            "spec.service.port of the APIService: 9090",
        ),
    ),
    "headless": (
        behind(TWO, service=service(clusterIP="None")),
        (
            "problem",
            "service",
            "Service trafficmetrics/trafficmetrics has no address (clusterIP: None): kube-apiserver sends nothing there",
            "delete it, and kubectl apply -f deploy/base/service.yaml",
        ),
    ),
    "other-name": (
        behind([], service=service(type="ExternalName", externalName="metrics.example.com")),
        (
            "ok",
            "service",
            "Service trafficmetrics/trafficmetrics is another name for metrics.example.com: there are no endpoints to be looked at",
            "",
        ),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_behind_the_service(case: str):
    seen, line = CASES[case]
    assert told(replica_findings(seen, SUBJECT)) == [line]


@pytest.mark.parametrize("hidden", ["service", "slices"])
def test_nothing_is_said_of_what_may_not_be_seen(hidden: str):
    assert told(replica_findings(behind(TWO, **{hidden: HIDDEN}), SUBJECT)) == []


def test_endpoints_are_those_of_the_port_and_counted_once():
    seen = behind(TWO)
    assert isinstance(seen.slices, dict)
    (piece,) = seen.slices["items"]
    other = {"ports": [{"name": "metrics", "port": 9090}], "endpoints": [{"addresses": ["10.1.0.9"]}]}
    twice = behind(TWO, slices=listed(piece, piece, other))
    assert endpoints_of(twice) == [Endpoint("10.1.0.4", 6443, "a"), Endpoint("10.1.0.5", 6443, "b")]


def test_the_deployment_is_the_one_whose_pods_the_service_selects():
    found = deployment_of(behind(TWO))
    assert found is not None
    assert found["metadata"]["name"] == "trafficmetrics"
    assert deployment_of(behind(TWO, wanted=None)) is None
    assert deployment_of(behind(TWO, service=HIDDEN)) is None


DOORS: dict[str, tuple[Subject, dict[str, Any], list[Door]]] = {
    "inside": (SUBJECT, {}, [Door("10.1.0.4", 6443), Door("10.1.0.5", 6443)]),
    "inside-and-nobody-ready": (Subject(port=7443), {"slices": listed()}, [Door("127.0.0.1", 7443)]),
    "outside": (Subject(kubeconfig="admin.conf"), {}, []),
    "told": (Subject(kubeconfig="admin.conf", address="[::1]:8443"), {}, [Door("::1", 8443)]),
    "another-name": (
        Subject(kubeconfig="admin.conf"),
        {"service": service(type="ExternalName", externalName="m.example.com")},
        [Door("m.example.com", 443)],
    ),
    "another-name-port-unknown": (
        SUBJECT,
        {"service": service(type="ExternalName", externalName="m.example.com"), "port": None},
        [],
    ),
}


@pytest.mark.parametrize("case", DOORS)
def test_where_the_server_can_be_connected_to(case: str):
    subject, others, doors = DOORS[case]
    assert doors_of(subject, behind(TWO, **others)) == doors


def test_no_more_pods_are_connected_to_than_it_takes():
    assert len(doors_of(SUBJECT, behind([(f"10.1.0.{number}", "a", True) for number in range(40)]))) == 5


@pytest.mark.parametrize("text", ["host", "host:", ":1", "host:0", "host:65536", "host:https"])
def test_what_is_no_address_is_a_mistake_of_the_command_line(text: str):
    with pytest.raises(argparse.ArgumentTypeError, match="is not an address: HOST:PORT"):
        parse_address(text)


def test_an_address_is_kept_as_it_is():
    assert parse_address("[::1]:6443") == "[::1]:6443"


def test_the_account_is_that_of_the_pods_else_our_own_else_that_of_the_manifests():
    me = "system:serviceaccount:trafficmetrics:mine"
    assert account_of(deployment_of(behind(TWO)), me, SUBJECT) == Account("trafficmetrics", "reader")
    assert account_of(None, me, SUBJECT) == Account("trafficmetrics", "mine")
    assert account_of(None, "system:serviceaccount:other:mine", SUBJECT) == Account(
        "trafficmetrics", "trafficmetrics", assumed=True
    )
    assert str(account_of(None, "ann", SUBJECT)) == "account trafficmetrics/trafficmetrics (assumed)"


def test_a_secret_that_only_the_deployment_names_is_known():
    assert as_deployed(SUBJECT, deployment_of(behind(TWO))).cert_secret == "trafficmetrics-issued"
    assert as_deployed(Subject(cert_secret="mine"), deployment_of(behind(TWO))).cert_secret == "mine"
    assert as_deployed(SUBJECT, None) == SUBJECT


def test_who_installed_it_is_known_by_the_deployment_else_by_the_api_service():
    annotated = {"metadata": {"annotations": {"meta.helm.sh/release-name": "prod"}}}
    assert as_deployed(Subject(cert_secret="mine"), annotated).release == "prod"
    assert as_deployed(SUBJECT, None, annotated).release == "prod"
    assert as_deployed(SUBJECT, deployment_of(behind(TWO))).release == ""


ELSEWHERE = Subject(service="prod-tm", namespace="monitoring")
RELEASE = replace(ELSEWHERE, release="prod")
UPGRADE = "helm upgrade prod -n monitoring --reuse-values deploy/charts/trafficmetrics"


@pytest.mark.parametrize(
    ("subject", "change", "advice"),
    [
        (RELEASE, {"service": None}, f"{UPGRADE}, or correct spec.service of the APIService"),
        (RELEASE, {"budget": False}, UPGRADE + " --set podDisruptionBudget.enabled=true"),
        (
            ELSEWHERE,
            {"budget": False},
            "kubectl create poddisruptionbudget prod-tm -n monitoring --max-unavailable=1 --selector=app.kubernetes.io/name=trafficmetrics",
        ),
        (
            ELSEWHERE,
            {"service": None},
            "apply deploy/base/service.yaml as monitoring/prod-tm, or correct spec.service of the APIService",
        ),
    ],
    ids=["release-service", "release-budget", "budget", "service"],
)
def test_what_is_advised_is_for_the_installation_that_there_is(subject: Subject, change: dict[str, Any], advice: str):
    (line,) = told(replica_findings(behind(TWO, **change), subject))
    assert line[3] == advice


WAYS: dict[str, tuple[list[dict[str, Any]], str]] = {
    "one-word": ([{"args": ["serve", "--cert-secret=mine"]}], "mine"),
    "two-words": ([{"args": ["serve", "--cert-secret", "mine"]}], "mine"),
    "command": ([{"command": ["trafficmetrics", "serve"]}, {"command": ["trafficmetrics", "serve", "--cert-secret=mine"]}], "mine"),
    "environment": ([{"args": ["serve"], "env": [{"name": "TRAFFICMETRICS_CERT_SECRET", "value": "mine"}]}], "mine"),
    "flag-first": ([{"args": ["--cert-secret=mine"], "env": [{"name": "TRAFFICMETRICS_CERT_SECRET", "value": "yours"}]}], "mine"),
    "without-value": ([{"args": ["serve", "--cert-secret"]}], ""),
    "from-elsewhere": ([{"env": [{"name": "TRAFFICMETRICS_CERT_SECRET", "valueFrom": {}}]}], ""),
}


@pytest.mark.parametrize("way", WAYS)
def test_the_secret_is_known_in_whatever_way_the_deployment_names_it(way: str):
    containers, secret = WAYS[way]
    deployment = {"spec": {"template": {"spec": {"containers": containers}}}}
    assert as_deployed(SUBJECT, deployment).cert_secret == secret
