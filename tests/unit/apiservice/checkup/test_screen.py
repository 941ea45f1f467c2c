"""What the doctor prints of a cluster: the examples of the documentation, made of the findings themselves."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from apiservice.checkup.account import Account
from apiservice.checkup.bundle import bundle_of, mending
from apiservice.checkup.certificate import Shown, certificate_findings
from apiservice.checkup.frontproxy import front_proxy_findings
from apiservice.checkup.passage import Reply, passage_findings
from apiservice.checkup.readers import reader_findings
from apiservice.checkup.registration import registration_findings
from apiservice.checkup.replicas import replica_findings
from apiservice.checkup.rights import Right, rights_findings
from apiservice.checkup.sight import Place, Unseen, unseen
from apiservice.checkup.subject import UNSEEN, Subject
from apiservice.doctor import render
from metrics_api import Window
from metrics_api.diagnosis import Diagnosis, Finding
from tests.doubles.authority import Authority
from tests.unit.apiservice.checkup.documents import API, HOST, NOW, YEAR, api_service, behind, listed, served
from tests.unit.apiservice.checkup.test_frontproxy import config_map
from tests.unit.apiservice.checkup.test_rights import RULE, role
from tests.unit.apiservice.test_doctor import MINUTE, WELL, of

PAGE = (Path(__file__).parents[4] / "docs" / "doctor.md").read_text(encoding="utf-8")
SUBJECT = Subject(cert_secret="trafficmetrics-issued")
TWO = behind([("10.1.0.4", "a", True), ("10.1.3.7", "b", True)])
ONE = behind([("10.1.0.4", "a", True)])
ACCOUNT = Account("trafficmetrics", "trafficmetrics")
ISSUED = Authority("trafficmetrics-ca@1795384688", lifetime=YEAR)
FACTS = {
    "url": "https://10.0.0.1:443",
    "version": "v1.36.3",
    "milliseconds": 4,
    "clockSkewSeconds": 0.0,
    "user": "admin",
    "account": ACCOUNT.user,
}


def diagnosis(*findings: Finding) -> Diagnosis:
    return Diagnosis("cluster", "Kubernetes v1.36.3 at https://10.0.0.1:443, answered in 4 ms", FACTS, findings)


def well() -> Diagnosis:
    registered = api_service(pem=ISSUED.pem)
    shown = Shown("10.1.0.4:6443 and 10.1.3.7:6443", served(HOST, authority=ISSUED).chain)
    return diagnosis(
        *registration_findings(API, registered, SUBJECT, NOW),
        *replica_findings(TWO, SUBJECT),
        *passage_findings(Reply(200, milliseconds=7), Reply(200), "admin", SUBJECT, ""),
        *front_proxy_findings(config_map(), SUBJECT.overrides, NOW),
        *reader_findings(listed(role(RULE)), SUBJECT),
        *certificate_findings([shown], HOST, bundle_of(registered), "", NOW),
        *rights_findings([], ACCOUNT, SUBJECT),
    )


def ill() -> Diagnosis:
    subject = Subject()
    refused = "tls: failed to verify certificate: x509: certificate signed by unknown authority"
    registered = api_service(("False", "FailedDiscoveryCheck", f"failing or missing response from https://10.0.0.9:443: {refused}"))
    mend = mending(subject, registered)
    shown = Shown("10.1.0.4:6443", served(HOST, authority=ISSUED).chain, refusal="unable to get local issuer certificate")
    return diagnosis(
        *registration_findings(API, registered, subject, NOW),
        *replica_findings(ONE, subject),
        *passage_findings(Reply(503, f"error trying to reach service: {refused}"), Reply(503), "admin", subject, mend),
        *certificate_findings([shown], HOST, bundle_of(registered), mend, NOW),
        *rights_findings([Right("list", "pods"), Right("watch", "pods")], ACCOUNT, subject),
    )


def inside() -> Diagnosis:
    seen = Unseen(Place("the PodDisruptionBudgets", "list on poddisruptionbudgets.policy in trafficmetrics", "/"))
    return diagnosis(*unseen([seen], f'"{ACCOUNT.user}"'))


def screen(cluster: Diagnosis) -> list[str]:
    """What is printed, with the days of the documentation, which do not move on."""
    return re.sub(r"\d{4}-\d\d-\d\d", "2027-11-22", render([], Window(30), "text", 132, cluster=cluster)).splitlines()


@pytest.mark.parametrize("made", [well, ill], ids=["well", "ill"])
def test_the_examples_are_what_is_printed(made: Callable[[], Diagnosis]):
    assert "```\n" + "\n".join(screen(made())) + "\n```" in PAGE.replace("$ trafficmetrics doctor --only cluster\n", "")


def test_the_example_of_what_may_not_be_seen_is_what_is_printed():
    assert "\n".join(f"  {line}" for line in screen(inside())[1:-2]) in PAGE


def test_each_check_that_is_made_is_documented():
    words = set(re.findall(r'(?:ok|warning|problem)\(\s*"(\w+)"', "".join(file.read_text() for file in _modules())))
    documented = {word for row in re.findall(r"^\| ([^|]+) \|", PAGE, re.MULTILINE) for word in re.findall(r"`(\w+)`", row)}
    assert words
    assert sorted(words - documented) == []


def _modules() -> list[Path]:
    return sorted((Path(__file__).parents[4] / "apiservice" / "checkup").glob("*.py"))


def test_the_document_of_the_documentation_is_what_is_told():
    (example,) = re.findall(r'```json\n(\{\s+"level": "ok",\s+"summary": "Kubernetes.*?)```', PAGE, re.DOTALL)
    wanted = json.loads(example)
    told = json.loads(render([], Window(30), "json", cluster=well()))
    assert told["cluster"]["findings"][0] == wanted["findings"][0]
    assert {key: told["cluster"][key] for key in ("level", "summary", "facts")} == {
        key: wanted[key] for key in ("level", "summary", "facts")
    }
    assert (told["ok"], told["problems"], told["sources"]) == (True, 0, [])


def test_a_cluster_stands_before_the_sources_and_counts_with_them():
    shown = render([of(WELL)], MINUTE, "text", 132, cluster=ill()).splitlines()
    assert shown[0].startswith("cluster: Kubernetes")
    assert shown[shown.index("") + 1].startswith("mesh: Prometheus 2.53.0")
    assert shown[-1] == "3 problems and 2 warnings, for a window of 1m0s"
    document = json.loads(render([of(WELL)], MINUTE, "json", cluster=ill()))
    assert (document["ok"], document["problems"], document["warnings"]) == (False, 3, 2)
    assert (document["cluster"]["level"], document["sources"][0]["level"]) == ("problem", "ok")


def test_where_no_cluster_was_looked_at_it_says_so_in_one_line():
    assert render([of(WELL)], MINUTE, "text", 132, remark=UNSEEN).splitlines()[-2:] == [UNSEEN, "all is well, for a window of 1m0s"]
    assert json.loads(render([of(WELL)], MINUTE, "json", remark=UNSEEN))["cluster"] is None
