"""What the account may do: what it needs follows from the configuration, and what is missing has a line with the command that gives it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import yaml

from apiservice.checkup.account import Account
from apiservice.checkup.readers import reader_findings
from apiservice.checkup.rights import Right, absent_resources, needed_rights, refused_rights, rights_findings, unmade_secret
from apiservice.checkup.sight import Place, Unseen, look, unseen
from apiservice.checkup.subject import Subject
from apiservice.identity.trust import TrustOverrides
from apiservice.inventory import WATCHED
from apiservice.kube import KubeError
from tests.unit.apiservice.checkup.documents import DEPLOY, HIDDEN, listed, told

ACCOUNT = Account("trafficmetrics", "reader")
ISSUING = Subject(cert_secret="trafficmetrics-issued")
MARK = "--serviceaccount=trafficmetrics:reader"


@dataclass
class Kube:
    """A kube-apiserver that allows what ``allowed`` says, and has these documents; a status takes the place of one."""

    allowed: frozenset[str] = frozenset()
    documents: Mapping[str, Any] = field(default_factory=dict)
    refusal: int = 0
    posted: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)

    async def get_json(self, path: str, params: Mapping[str, str] | None = None) -> dict[str, Any]:
        found = self.documents.get(path, 404)
        if isinstance(found, int):
            raise KubeError(found, f"GET {path}: {found}")
        return {**found, "params": params}

    async def post_json(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        self.posted.append((path, body["spec"]))
        await asyncio.sleep(0)
        if self.refusal:
            raise KubeError(self.refusal, f"POST {path}: {self.refusal}")
        return {"status": {"allowed": body["spec"]["resourceAttributes"]["resource"] in self.allowed}}


def test_what_is_needed_follows_from_the_configuration():
    plain = needed_rights(Subject())
    assert Right("create", "subjectaccessreviews.authorization.k8s.io") in plain
    assert Right("get", "configmaps", "kube-system", "extension-apiserver-authentication") in plain
    assert {right.resource for right in plain if right.verb == "watch"} == {"configmaps", *(str(each) for each in WATCHED)}
    issuing = set(needed_rights(ISSUING)) - set(plain)
    assert {(right.verb, right.resource, right.name) for right in issuing} == {
        ("create", "secrets", ""),
        ("get", "secrets", "trafficmetrics-issued"),
        ("update", "secrets", "trafficmetrics-issued"),
        ("get", "apiservices.apiregistration.k8s.io", "v1alpha1.metrics.smi-spec.io"),
        ("patch", "apiservices.apiregistration.k8s.io", "v1alpha1.metrics.smi-spec.io"),
    }
    elsewhere = needed_rights(Subject(own_reviews=("subjectaccessreviews",)))
    assert {right.resource for right in plain} - {right.resource for right in elsewhere} == {
        "tokenreviews.authentication.k8s.io",
        "configmaps",
    }


def test_the_manifests_grant_all_that_is_needed():
    documents = [
        *yaml.safe_load_all((DEPLOY / "base" / "rbac.yaml").read_text()),
        *yaml.safe_load_all((DEPLOY / "base" / "issuing.yaml").read_text()),
    ]
    granted = {
        (verb, resource + (f".{group}" if group else ""))
        for role in documents
        for rule in role.get("rules", ())
        for verb in rule["verbs"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }
    needed = {(right.verb, right.resource) for right in needed_rights(ISSUING)}
    bound = {each for each in needed if "reviews." in each[1] or each[1] == "configmaps"}
    assert needed - bound <= granted


async def test_the_account_asks_for_itself_and_others_ask_about_it():
    rights = [Right("list", "pods"), Right("get", "configmaps", "kube-system", "x")]
    own, other = Kube(frozenset({"pods"})), Kube(frozenset({"pods"}))
    assert await refused_rights(own, rights, ACCOUNT, ACCOUNT.user) == rights[1:]
    assert await refused_rights(other, rights, ACCOUNT, "admin") == rights[1:]
    attributes = {"verb": "get", "resource": "configmaps", "namespace": "kube-system", "name": "x"}
    assert ("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", {"resourceAttributes": attributes}) in own.posted
    (path, spec) = other.posted[0]
    assert path == "/apis/authorization.k8s.io/v1/subjectaccessreviews"
    assert (spec["user"], spec["groups"]) == (
        "system:serviceaccount:trafficmetrics:reader",
        ["system:serviceaccounts", "system:serviceaccounts:trafficmetrics", "system:authenticated"],
    )


@pytest.mark.parametrize(("status", "why"), [(403, ""), (0, "POST /apis/authorization.k8s.io/v1/subjectaccessreviews: 0")], ids=str)
async def test_who_may_not_ask_is_told_what_that_takes(status: int, why: str):
    answer = await refused_rights(Kube(refusal=status) if status else Broken(), needed_rights(ISSUING), ACCOUNT, "ann")
    assert isinstance(answer, Unseen)
    assert (answer.place.needs, answer.why) == ("create on subjectaccessreviews.authorization.k8s.io", why)


class Broken(Kube):
    """One that does not answer."""

    async def post_json(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ARG002 - that of all
        raise KubeError(0, f"POST {path}: 0")


def found(*rights: Right, subject: Subject = ISSUING, absent: tuple[str, ...] = ()) -> list[tuple[str, str, str, str]]:
    return told(rights_findings(rights, ACCOUNT, subject, absent))


def test_an_account_that_may_do_all_is_one_line():
    assert found() == [("ok", "rights", "the account trafficmetrics/reader may do all that the server needs", "")]


MAP = ("configmaps", "kube-system", "extension-apiserver-authentication")
READER = (
    f"kubectl create rolebinding trafficmetrics-auth-reader -n kube-system --role=extension-apiserver-authentication-reader {MARK}"
)
MISSING: dict[str, tuple[list[Right], str, str, str]] = {
    "one-review": (
        [Right("create", "tokenreviews.authentication.k8s.io")],
        "problem",
        "may not create tokenreviews.authentication.k8s.io: nobody can be answered",
        f"kubectl create clusterrolebinding trafficmetrics:system:auth-delegator --clusterrole=system:auth-delegator {MARK}",
    ),
    "trust": (
        [Right(verb, *MAP) for verb in ("get", "list", "watch")],
        "problem",
        "may not read ConfigMap kube-system/extension-apiserver-authentication: the server does not start",
        READER,
    ),
    "trust-changes": (
        [Right("watch", *MAP)],
        "warning",
        "may not watch ConfigMap kube-system/extension-apiserver-authentication: that the front proxy has changed is noticed a minute late",
        READER,
    ),
    "certificate": (
        [Right("create", "secrets", "trafficmetrics"), Right("patch", "apiservices.apiregistration.k8s.io", "", "v1")],
        "problem",
        (
            "may not create secrets, nor patch apiservices.apiregistration.k8s.io: it cannot keep its certificate and the caBundle"
            " (server.certSecret)"
        ),
        (
            "kubectl create role trafficmetrics-issued-secret-creation -n trafficmetrics --verb=create --resource=secrets"
            f" && kubectl create rolebinding trafficmetrics-issued-secret-creation -n trafficmetrics"
            f" --role=trafficmetrics-issued-secret-creation {MARK}"
            " && kubectl create clusterrole trafficmetrics-issued-bundle --verb=get,patch"
            " --resource=apiservices.apiregistration.k8s.io --resource-name=v1alpha1.metrics.smi-spec.io"
            f" && kubectl create clusterrolebinding trafficmetrics-issued-bundle --clusterrole=trafficmetrics-issued-bundle {MARK}"
        ),
    ),
    "a-kind": (
        [Right("list", "pods"), Right("watch", "pods")],
        "warning",
        "may not list and watch pods: what sources know by pods alone is not added up to their workloads",
        (
            "kubectl create clusterrole trafficmetrics-inventory-pods --verb=list,watch --resource=pods"
            f" && kubectl create clusterrolebinding trafficmetrics-inventory-pods --clusterrole=trafficmetrics-inventory-pods {MARK}"
        ),
    ),
    "any-kind": (
        [Right("list", "daemonsets.apps")],
        "warning",
        "may not list daemonsets.apps: daemonsets.apps are shown unchecked, and without their labels",
        (
            "kubectl create clusterrole trafficmetrics-inventory-daemonsets.apps --verb=list,watch --resource=daemonsets.apps"
            " && kubectl create clusterrolebinding trafficmetrics-inventory-daemonsets.apps"
            f" --clusterrole=trafficmetrics-inventory-daemonsets.apps {MARK}"
        ),
    ),
}


@pytest.mark.parametrize("case", MISSING)
def test_what_is_missing_has_one_line_with_the_command_that_gives_it(case: str):
    rights, level, what, advice = MISSING[case]
    assert found(*rights) == [(level, "rights", f"the account trafficmetrics/reader {what}", advice)]


MAKING = Right("create", "secrets", "trafficmetrics")
SECRET = "/api/v1/namespaces/trafficmetrics/secrets/trafficmetrics-issued"


@pytest.mark.parametrize(
    ("there", "level", "what"),
    [
        ({"metadata": {}}, "ok", "may do all that the server needs"),
        (403, "warning", "may not create secrets: it has to, if there is no Secret trafficmetrics/trafficmetrics-issued"),
        (404, "problem", "may not create secrets: it cannot keep its certificate and the caBundle (server.certSecret)"),
    ],
    ids=["there", "hidden", "absent"],
)
async def test_a_secret_that_is_there_need_not_be_made(there: dict[str, Any] | int, level: str, what: str):
    secret = await unmade_secret(Kube(documents={SECRET: there}), [MAKING], ISSUING)
    ((*begin, advice),) = told(rights_findings([MAKING], ACCOUNT, ISSUING, secret=secret))
    assert begin == [level, "rights", f"the account trafficmetrics/reader {what}"]
    assert ("kubectl create role trafficmetrics-issued-secret-creation -n trafficmetrics" in advice) is (level != "ok")
    assert advice.startswith("kubectl get secret -n trafficmetrics trafficmetrics-issued; without one: ") is (level == "warning")


async def test_a_secret_that_may_be_made_is_not_looked_at_and_one_that_may_not_be_read_is_a_problem():
    assert await unmade_secret(Kube(documents={SECRET: 403}), LACKING, ISSUING) is None
    ((level, _, what, _),) = told(rights_findings([MAKING, LACKING[0]], ACCOUNT, ISSUING, secret={"metadata": {}}))
    assert (level, what.partition(":")[0]) == ("problem", "the account trafficmetrics/reader may not get secrets")


LACKING = [Right("get", "secrets", "trafficmetrics", "trafficmetrics-issued"), Right("list", "pods")]
OTHERS = ("v1alpha1.metrics.smi-spec.io", "v1beta1.external.metrics.k8s.io")
UPGRADE = "helm upgrade prod -n trafficmetrics --reuse-values deploy/charts/trafficmetrics"
APPLY = "kubectl apply -f deploy/base/"
REMEDIES: dict[str, tuple[Account, Subject, list[str]]] = {
    "manifests": (
        Account("trafficmetrics", "trafficmetrics", assumed=True),
        ISSUING,
        [f"{APPLY}issuing.yaml", f"add pods to ClusterRole trafficmetrics-inventory: {APPLY}rbac.yaml"],
    ),
    "another-secret": (
        Account("trafficmetrics", "trafficmetrics"),
        replace(ISSUING, cert_secret="mine"),
        [
            "kubectl create role trafficmetrics-issued-secret -n trafficmetrics --verb=get,update --resource=secrets --resource-name=mine"
        ],
    ),
    "autoscalers": (
        Account("trafficmetrics", "trafficmetrics"),
        replace(ISSUING, registered=OTHERS),
        ["kubectl create role trafficmetrics-issued-secret -n trafficmetrics"],
    ),
    "another-namespace": (
        Account("monitoring", "prod-tm"),
        replace(ISSUING, service="prod-tm", namespace="monitoring"),
        [
            "kubectl create role trafficmetrics-issued-secret -n monitoring",
            "kubectl create clusterrole trafficmetrics-inventory-pods",
        ],
    ),
    "helm": (ACCOUNT, replace(ISSUING, release="prod"), [f"{UPGRADE}, which grants it", f"{UPGRADE}, which grants it"]),
}


@pytest.mark.parametrize("case", REMEDIES)
def test_what_is_advised_grants_it_to_the_account_that_there_is(case: str):
    account, subject, begins = REMEDIES[case]
    advised = [line[3] for line in told(rights_findings(LACKING, account, subject))]
    for advice, begin in zip(advised, begins, strict=False):
        assert advice.startswith(begin)
        mark = f"--serviceaccount={account.namespace}:{account.name}"
        assert advice.endswith(mark) or not advice.startswith("kubectl create")


def test_the_bundles_of_all_that_is_served_are_granted_together():
    subject = replace(ISSUING, registered=OTHERS)
    (line,) = found(Right("patch", "apiservices.apiregistration.k8s.io", "", OTHERS[1]), subject=subject)
    assert all(f"--resource-name={name}" in line[3] for name in OTHERS)


def test_an_unread_config_map_that_is_tolerated_makes_everybody_anonymous():
    tolerant = Subject(overrides=TrustOverrides(tolerate_lookup_failure=True))
    ((level, _, what, _),) = found(Right("get", *MAP), subject=tolerant)
    assert (level, what.rpartition(": ")[2]) == ("problem", "whoever comes through kube-apiserver is anonymous")


def test_every_watched_kind_that_is_missing_has_a_line():
    lines = found(*(Right("list", watched.resource) for watched in WATCHED))
    assert [line[2].partition(" may not list ")[2].partition(":")[0] for line in lines] == [watched.resource for watched in WATCHED]


def test_nothing_is_lost_by_kinds_that_the_cluster_does_not_have():
    assert found(Right("list", "trafficsplits.split.smi-spec.io"), absent=("trafficsplits.split.smi-spec.io",))[0][0] == "ok"


async def test_which_kinds_a_cluster_has_is_looked_up_in_each_of_their_versions():
    routes = {"resources": [{"name": "grpcroutes"}, {"name": "gateways"}]}
    kube = Kube(documents={"/apis/gateway.networking.k8s.io/v1alpha2": routes, "/apis/apps/v1": 403})
    asked = ("trafficsplits.split.smi-spec.io", "grpcroutes.gateway.networking.k8s.io", "daemonsets.apps", "secrets")
    absent = await absent_resources(kube, [Right("list", resource) for resource in asked])
    assert absent == {"trafficsplits.split.smi-spec.io"}


# Who may read


def role(*rules: dict[str, list[str]]) -> dict[str, Any]:
    return {"rules": list(rules)}


RULE = {"apiGroups": ["metrics.smi-spec.io"], "resources": ["pods"], "verbs": ["get", "list"]}


@pytest.mark.parametrize("rule", [RULE, {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}], ids=["ours", "all"])
def test_roles_that_people_have_anyway_may_include_traffic(rule: dict[str, list[str]]):
    assert told(reader_findings(listed(role(), role(rule)), Subject())) == [
        ("ok", "readers", "whoever has view, edit or admin in a namespace may read its traffic", "")
    ]


def test_roles_that_a_release_made_are_brought_back_by_helm():
    ((*_, advice),) = told(reader_findings(listed(), Subject(release="prod")))
    assert advice == "helm upgrade prod -n trafficmetrics --reuse-values deploy/charts/trafficmetrics"


@pytest.mark.parametrize("key", RULE)
def test_roles_without_traffic_are_told_of(key: str):
    ((level, check, what, advice),) = told(reader_findings(listed(role({**RULE, key: ["other"]})), Subject()))
    assert (level, check) == ("warning", "readers")
    assert what.startswith("no ClusterRole with the label rbac.authorization.k8s.io/aggregate-to-view lets its holder list")
    assert advice == "kubectl apply -f deploy/base/readers.yaml"
    assert told(reader_findings(HIDDEN, Subject())) == []


def test_the_manifest_of_readers_is_one():
    roles = list(yaml.safe_load_all((DEPLOY / "base" / "readers.yaml").read_text()))
    labelled = [each for each in roles if each["metadata"]["labels"].get("rbac.authorization.k8s.io/aggregate-to-view") == "true"]
    assert told(reader_findings(listed(*labelled), Subject()))[0][0] == "ok"


# What was seen


async def test_what_is_seen_what_is_not_there_and_what_is_not_to_be_seen():
    one, none = Place("one", "get", "/one", {"a": "b"}, single=True), Place("none", "get", "/none", single=True)
    kube = Kube(documents={"/one": listed({"x": 1}), "/none": listed(), "/denied": 403, "/hung": 0})
    assert await look(kube, one) == {"x": 1}
    assert await look(kube, none) is None
    assert await look(kube, Place("absent", "get", "/absent")) is None
    assert await look(kube, Place("denied", "get", "/denied")) == Unseen(Place("denied", "get", "/denied"))
    assert await look(kube, Place("hung", "get", "/hung")) == Unseen(Place("hung", "get", "/hung"), "GET /hung: 0")


def test_all_that_may_not_be_seen_is_one_line_and_each_failure_is_one():
    places = [Place(name, f"list on {name}", "/") for name in ("services", "roles", "maps")]
    seen = [Unseen(places[0]), {"items": []}, None, Unseen(places[1]), Unseen(places[2], "no answer")]
    assert told(unseen(seen, '"ann"')) == [
        ("warning", "access", "could not look at maps: no answer", "try again; is kube-apiserver overloaded?"),
        (
            "warning",
            "access",
            'could not look at services and roles: needs list on services and list on roles, which "ann" has not',
            "ask as an administrator, from outside: trafficmetrics doctor --only cluster --kubeconfig FILE",
        ),
    ]
    assert told(unseen([None, {}], "ann")) == []
