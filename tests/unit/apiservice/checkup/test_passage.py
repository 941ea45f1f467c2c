"""What a request through kube-apiserver shows: each way in which it fails has a meaning, and something to be done."""

from __future__ import annotations

import pytest

from apiservice.checkup.passage import DISCOVERY, LIST, Reply, meaning_of, passage_findings
from apiservice.checkup.subject import Subject
from tests.unit.apiservice.checkup.documents import told

SUBJECT = Subject()
WELL = Reply(200, milliseconds=7)
MEND = "mend the certificate"
ARRIVES = "a request through kube-apiserver arrives in the name of who sends it (7 ms)"


def found(discovery: Reply, listed: Reply = WELL) -> tuple[str, str, str]:
    ((level, check, what, advice),) = told(passage_findings(discovery, listed, "ann", SUBJECT, MEND))
    assert check == "passage"
    return level, what, advice


def test_a_request_that_arrives():
    assert found(WELL) == ("ok", f"{ARRIVES}, and traffic is told", "")


def test_who_may_not_read_traffic_knows_at_least_that_the_request_arrives():
    refused = Reply(403, 'trafficmetrics.metrics.smi-spec.io is forbidden: User "ann" cannot list resource "trafficmetrics"')
    assert found(WELL, refused) == ("ok", ARRIVES, "")


def test_the_log_of_a_release_is_that_of_all_its_pods():
    released = Subject(service="prod-tm", namespace="monitoring", release="prod")
    ((*_, advice),) = told(passage_findings(Reply(500, "something new"), WELL, "ann", released, MEND))
    assert advice == "kubectl logs -n monitoring -l app.kubernetes.io/instance=prod --prefix --tail=50"


# What kube-apiserver answers, and what the server behind it does, in their own words.
FAILURES: dict[str, tuple[Reply, str, str, str]] = {
    "authority": (
        Reply(
            503, "error trying to reach service: tls: failed to verify certificate: x509: certificate signed by unknown authority"
        ),
        "problem",
        "the caBundle of the APIService is not the authority of the server",
        MEND,
    ),
    "name": (
        Reply(503, "error trying to reach service: x509: certificate is valid for a.b.svc, not trafficmetrics.trafficmetrics.svc"),
        "problem",
        "the certificate of the server is not for trafficmetrics.trafficmetrics.svc",
        MEND,
    ),
    "common-name": (
        Reply(503, "error trying to reach service: x509: certificate relies on legacy Common Name field, use SANs instead"),
        "problem",
        "the certificate of the server is not for trafficmetrics.trafficmetrics.svc",
        MEND,
    ),
    "ended": (
        Reply(503, "error trying to reach service: tls: x509: certificate has expired or is not yet valid: current time is after"),
        "problem",
        "the certificate of the server, or of its authority, has ended",
        MEND,
    ),
    "front-proxy": (
        Reply(503, "error trying to reach service: remote error: tls: unknown certificate authority"),
        "problem",
        "the server does not know the authority of the front proxy",
        "kubectl get cm -n kube-system extension-apiserver-authentication -o yaml",
    ),
    "name-unknown": (
        Reply(503, "error trying to reach service: dial tcp: lookup metrics.example.com: no such host"),
        "problem",
        "kube-apiserver cannot find the address of the Service",
        "is spec.externalName of Service trafficmetrics/trafficmetrics",
    ),
    "refused": (
        Reply(503, "error trying to reach service: dial tcp 10.0.0.9:443: connect: connection refused"),
        "problem",
        "nobody answers where the Service leads",
        "kubectl get pods -n trafficmetrics; is targetPort of Service trafficmetrics/trafficmetrics the port 6443",
    ),
    "firewall": (
        Reply(503, "error trying to reach service: dial tcp 10.0.0.9:443: i/o timeout"),
        "problem",
        "kube-apiserver cannot get through to the pods",
        "let the control plane connect to port 6443 of the pods",
    ),
    "redirect": (Reply(502, "the backend attempted to redirect this request"), "problem", "redirects", "is Service trafficmetrics"),
    "unavailable": (
        Reply(503, "service unavailable"),
        "problem",
        "holds the APIService for unavailable",
        "kubectl get apiservice -o wide",
    ),
    "unknown": (
        Reply(500, "something new"),
        "problem",
        "is answered 500: something new",
        "kubectl logs -n trafficmetrics -l app.kubernetes.io/name=trafficmetrics",
    ),
    "not-registered": (
        Reply(404, "404 page not found"),
        "problem",
        "kube-apiserver does not know the API",
        "kubectl apply -k deploy/base",
    ),
    "proxy-not-believed": (
        Reply(401, "Unauthorized"),
        "problem",
        "the server does not accept kube-apiserver as its front proxy",
        "kubectl get cm -n kube-system extension-apiserver-authentication -o yaml",
    ),
    "anonymous": (
        Reply(403, 'forbidden: User "system:anonymous" cannot get path "/apis/metrics.smi-spec.io/v1alpha1"'),
        "problem",
        "the server trusts no front proxy, so everybody is anonymous",
        "kubectl get cm -n kube-system extension-apiserver-authentication -o yaml",
    ),
    "no-discovery": (
        Reply(403, 'forbidden: User "ann" cannot get path'),
        "warning",
        "ann may not even read what is served",
        "bind ClusterRole system:discovery",
    ),
    "reviews": (
        Reply(500, 'Internal Server Error: "/apis": POST /apis/authorization.k8s.io/v1/subjectaccessreviews: 403 Forbidden'),
        "problem",
        "the server cannot ask who may do what",
        "bind ClusterRole system:auth-delegator to the account of the server (deploy/base/rbac.yaml)",
    ),
    "silence": (
        Reply(0, "kube-apiserver did not answer within 4 s"),
        "problem",
        "is not answered: ",
        f"kubectl get --raw {DISCOVERY}",
    ),
}


@pytest.mark.parametrize("case", FAILURES)
def test_each_failure_has_a_meaning_and_something_to_be_done(case: str):
    reply, level, meaning, advice = FAILURES[case]
    found_level, what, found_advice = found(reply)
    assert found_level == level
    assert what.startswith(f"a request through kube-apiserver (GET {DISCOVERY}) is ")
    assert meaning in what
    assert found_advice.startswith(advice)


@pytest.mark.parametrize("code", [0, 503, 504])
def test_what_the_server_says_of_its_sources_is_not_taken_for_the_way_to_it(code: int):
    reply = Reply(code, 'source "mesh" cannot be reached: connection refused; x509: certificate signed by unknown authority')
    level, what, advice = found(WELL, reply)
    assert level == "problem"
    assert what.startswith(f"a request through kube-apiserver (GET {LIST}) is {'answered' if code else 'not answered'}")
    assert advice.startswith("what is wrong with the sources is told below")


def test_a_list_that_is_refused_to_the_anonymous_is_about_the_front_proxy():
    level, what, _ = found(WELL, Reply(403, 'User "system:anonymous" cannot list resource'))
    assert (level, what.rpartition(": ")[2]) == ("problem", "the server trusts no front proxy, so everybody is anonymous")


def test_what_nobody_knows_has_no_meaning():
    assert meaning_of("all is well", SUBJECT, MEND) == ("", "")


def test_a_long_answer_is_cut():
    assert len(found(Reply(500, "x" * 5000))[1]) < 500
