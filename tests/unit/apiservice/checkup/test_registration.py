"""The APIService: every state that kube-apiserver reports, and every mistake in the object, has a line and its own advice."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from apiservice.checkup.registration import followed, port_of, registration_findings
from apiservice.checkup.subject import Subject
from tests.doubles.authority import Authority
from tests.unit.apiservice.checkup.documents import API, AUTHORITY, DEPLOY, HIDDEN, NOW, api_service, told

SUBJECT = Subject()
ISSUE = "deploy/issue-certificate makes a certificate and its bundle"
INSTALL = "kubectl apply -k deploy/base, or helm upgrade"
PODS = (
    "kubectl get pods -n trafficmetrics; kubectl logs -n trafficmetrics -l app.kubernetes.io/name=trafficmetrics --prefix --tail=50"
)


def found(seen: Any, subject: Subject = SUBJECT, name: str = API) -> list[tuple[str, str, str, str]]:
    return told(registration_findings(name, seen, subject, NOW))


def test_one_that_is_available_is_one_line():
    assert found(api_service()) == [
        ("ok", "apiservice", f"APIService {API} leads to trafficmetrics/trafficmetrics:443, and is available", "")
    ]


def test_nothing_is_said_of_one_that_may_not_be_seen():
    assert found(HIDDEN) == []


def test_one_that_is_not_there():
    assert found(None) == [
        ("problem", "apiservice", f"there is no APIService {API}: kube-apiserver does not know who answers", INSTALL)
    ]
    ((*_, advice),) = found(None, name="v1beta1.external.metrics.k8s.io")
    assert advice == "kubectl apply -k deploy/autoscaling, or switch surfaces.customMetrics and externalMetrics off"


def test_what_a_release_made_is_brought_back_by_helm():
    subject = Subject(service="prod-tm", namespace="monitoring", release="prod")
    upgrade = "helm upgrade prod -n monitoring --reuse-values deploy/charts/trafficmetrics"
    assert [advice for *_, advice in found(None, subject)] == [upgrade]
    gone = api_service(("False", "ServiceNotFound", "gone"), service={"name": "prod-tm", "namespace": "monitoring"})
    assert [advice for *_, advice in found(gone, subject)] == [f"{upgrade}, or correct spec.service of the APIService"]


REASONS = {
    "ServiceNotFound": ("gone", "make the Service of deploy/base/service.yaml, or correct spec.service of the APIService"),
    "ServicePortError": (
        "no port",
        "let spec.service.port of the APIService and a port of the Service be the same (443 in deploy/base)",
    ),
    "EndpointsNotFound": ("none", f"no replica is ready: {PODS}"),
    "MissingEndpoints": ("none", f"no replica is ready: {PODS}"),
    "EndpointsAccessError": ("denied", "kube-apiserver cannot read its own store: see its log"),
    "FailedDiscoveryCheck": ("Get https://10.0.0.9:443/: tls: x509: certificate signed by unknown authority", ISSUE),
    "FailedDiscoveryCheck-network": (
        "Get https://10.0.0.9:443/: context deadline exceeded",
        "let the control plane connect to port 6443 of the pods: firewalls between it and the nodes, NetworkPolicies of trafficmetrics",
    ),
    "FailedDiscoveryCheck-unknown": ("bad status: 500", PODS),
}


@pytest.mark.parametrize("case", REASONS)
def test_each_reason_of_kube_apiserver_has_its_own_advice(case: str):
    (message, advice), reason = REASONS[case], case.partition("-")[0]
    assert found(api_service(("False", reason, message))) == [
        ("problem", "apiservice", f"APIService {API} is not available, {reason}: {message}", advice)
    ]


def test_one_that_kube_apiserver_has_not_looked_at_yet():
    level, _, what, advice = found(api_service(None))[0]
    assert (level, what) == ("warning", f"kube-apiserver has not looked yet whether APIService {API} is available")
    assert advice == f"kubectl wait --for=condition=Available apiservice/{API}"


def test_one_that_leads_elsewhere():
    elsewhere = api_service(service={"name": "adapter", "namespace": "monitoring"})
    ((level, _, what, advice),) = found(elsewhere)
    assert (level, what) == (
        "problem",
        f"APIService {API} leads to monitoring/adapter, and this server stands behind trafficmetrics/trafficmetrics",
    )
    assert advice == "correct its spec.service, or server.serviceName and server.serviceNamespace"
    ((level, _, what, advice),) = found(elsewhere, name="v1beta1.custom.metrics.k8s.io")
    assert (level, what.rpartition(": ")[2]) == ("problem", "a cluster has one provider of that API")
    assert "surfaces.customMetrics" in advice


def test_where_nobody_has_said_which_service_it_is_the_api_service_is_followed():
    elsewhere = api_service(service={"name": "tm", "namespace": "mesh"})
    subject, said = followed(Subject(assumed=True), elsewhere)
    assert (subject.host, subject.place) == ("tm.mesh.svc", "mesh/tm")
    ((level, check, what, advice),) = told(said)
    assert (level, check) == ("ok", "apiservice")
    assert what == f"the server is taken to be the one behind mesh/tm, where APIService {API} leads"
    assert "--service-name and --service-namespace" in advice
    for kept, seen in ((Subject(), elsewhere), (Subject(assumed=True), api_service()), (Subject(assumed=True), HIDDEN)):
        assert followed(kept, seen) == (kept, [])


def test_a_group_that_kube_apiserver_answers_itself():
    ((level, _, what, advice),) = found(api_service(service=None))
    assert (level, what) == (
        "problem",
        f"APIService {API} names no Service: kube-apiserver answers itself, as it does for a CustomResourceDefinition",
    )
    assert advice == f"delete the CustomResourceDefinitions of metrics.smi-spec.io, then {INSTALL}"


def ending(days: float) -> str:
    return Authority("ca", lifetime=(dt.timedelta(days=-100), dt.timedelta(days=days))).pem


BUNDLES: dict[str, tuple[dict[str, Any], str, str]] = {
    "unverified": (
        {"pem": None, "insecureSkipTLSVerify": True},
        "problem",
        f"APIService {API} has insecureSkipTLSVerify: whoever can pose as the server learns who asks, and answers them",
    ),
    "absent": (
        {"pem": None},
        "problem",
        f"APIService {API} has no caBundle: kube-apiserver verifies the server with the roots of its system",
    ),
    "not-base64": (
        {"pem": None, "caBundle": "-----BEGIN"},
        "problem",
        f"the caBundle of APIService {API} cannot be read: it holds no PEM certificates",
    ),
    "no-pem": ({"pem": "hello"}, "problem", f"the caBundle of APIService {API} cannot be read: it holds no PEM certificates"),
    "damaged": (
        {"pem": AUTHORITY.pem + "-----BEGIN CERTIFICATE-----\nMAMCAQU=\n-----END CERTIFICATE-----\n"},
        "warning",
        f"a part of the caBundle of APIService {API} is no certificate: kube-apiserver passes over it, others may not",
    ),
    "ended": ({"pem": ending(-1)}, "problem", f"the caBundle of APIService {API} ended on {NOW - dt.timedelta(days=1):%Y-%m-%d}"),
    "ends-soon": (
        {"pem": ending(20)},
        "warning",
        f"the caBundle of APIService {API} ends on {NOW + dt.timedelta(days=20):%Y-%m-%d}",
    ),
}


@pytest.mark.parametrize("case", BUNDLES)
def test_what_is_wrong_with_a_bundle(case: str):
    changes, level, what = BUNDLES[case]
    first = found(api_service(**changes))[0]
    assert first[:3] == (level, "apiservice", what)
    assert first[3].endswith(ISSUE)


def test_a_bundle_is_good_as_long_as_one_of_its_authorities_is():
    assert found(api_service(pem=ending(-1) + ending(300)))[0][0] == "ok"


def test_who_keeps_the_certificate_is_who_mends_it():
    issuing = Subject(cert_secret="trafficmetrics-issued")
    ((*_, advice), *_) = found(api_service(pem=None), issuing)
    assert "kubectl delete secret -n trafficmetrics trafficmetrics-issued lets it begin anew" in advice
    injected = api_service(pem=None)
    injected["metadata"]["annotations"] = {"cert-manager.io/inject-ca-from": "trafficmetrics/serving"}
    ((*_, advice), *_) = found(injected)
    assert advice.startswith("kubectl describe certificate -n trafficmetrics serving; ")
    released = api_service(pem=None)
    released["metadata"]["annotations"] = {"meta.helm.sh/release-name": "traffic"}
    ((*_, advice), *_) = found(released)
    assert "helm upgrade traffic brings them together" in advice


def test_a_priority_above_those_of_kubernetes():
    warning, fine = found(api_service(groupPriorityMinimum=18000))
    assert (warning[0], warning[3], fine[0]) == ("warning", "groupPriorityMinimum: 100", "ok")


def test_the_port_that_requests_are_sent_to():
    assert port_of(api_service()) == 443
    assert port_of({"spec": {"service": {"name": "a"}}}) == 443
    assert port_of({"spec": {"service": {"port": 8443}}}) == 8443


def test_the_files_that_advice_names_are_there():
    for file in ("apiservice", "service", "rbac", "issuing", "readers", "poddisruptionbudget"):
        assert (DEPLOY / "base" / f"{file}.yaml").is_file(), file
    assert (DEPLOY / "issue-certificate").is_file()
    assert (DEPLOY / "autoscaling" / "kustomization.yaml").is_file()
