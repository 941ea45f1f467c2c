"""The doctor on the rights of the server's account, with a real RBAC: one is taken away, and that one is told of."""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import yaml

from apiservice.checkup import Subject, examine_cluster
from metrics_api.diagnosis import Level
from tests.controlplane.plane import ADMIN, NAMESPACE, manifests
from tests.controlplane.served.api import Api
from tests.controlplane.served.checkups import of, until

pytestmark = pytest.mark.real

CLINIC = "clinic"
"""A namespace with an account that has all rights of the server, so that they can be taken from somebody who does not need them."""


def granted() -> Iterator[dict[str, Any]]:
    """What the manifests grant to the account of the server, granted to that of the clinic."""
    for document in copy.deepcopy([*manifests("rbac.yaml"), *manifests("issuing.yaml")]):
        document["metadata"]["name"] = f"clinic-{document['metadata']['name'].replace(':', '-')}"
        if document["metadata"].get("namespace") == NAMESPACE:
            document["metadata"]["namespace"] = CLINIC
        for each in document.get("subjects", ()):
            each["namespace"] = CLINIC
        if "roleRef" in document and document["roleRef"]["name"].startswith("trafficmetrics"):
            document["roleRef"]["name"] = f"clinic-{document['roleRef']['name']}"
        yield document


@pytest.fixture(scope="module")
async def patient(api: Api) -> AsyncIterator[Subject]:
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": CLINIC}}
    await api.plane.apply(space)
    await api.plane.apply(*granted())
    yield Subject(namespace=CLINIC, cert_secret="trafficmetrics-issued", kubeconfig=str(api.plane.kubeconfig(ADMIN)))
    # The namespace stays: nothing runs here that could finish deleting one.
    await api.plane.kubectl("delete", "--ignore-not-found", "-f", "-", stdin=yaml.safe_dump_all(granted()))


@asynccontextmanager
async def changed(api: Api, kind: str, name: str, change: Callable[[dict[str, Any]], None]) -> AsyncIterator[None]:
    """One of the documents in another form, for a while."""
    (document,) = [each for each in granted() if (each["kind"], each["metadata"]["name"]) == (kind, name)]
    other = copy.deepcopy(document)
    change(other)
    try:
        await api.plane.apply(other)
        yield
    finally:
        await api.plane.apply(document)


def to_somebody_else(binding: dict[str, Any]) -> None:
    binding["subjects"][0]["name"] = "somebody-else"


def without(resource: str) -> Callable[[dict[str, Any]], None]:
    def change(role: dict[str, Any]) -> None:
        for rule in role["rules"]:
            rule["resources"] = [each for each in rule["resources"] if each != resource]
        role["rules"] = [rule for rule in role["rules"] if rule["resources"]]

    return change


MARK = f"--serviceaccount={CLINIC}:trafficmetrics"
BROKEN: dict[str, tuple[str, str, Callable[[dict[str, Any]], None], Level, str, str]] = {
    "reviews": (
        "ClusterRoleBinding",
        "clinic-trafficmetrics-system-auth-delegator",
        to_somebody_else,
        Level.PROBLEM,
        "may not create tokenreviews.authentication.k8s.io and subjectaccessreviews.authorization.k8s.io: nobody can be answered",
        f"kubectl create clusterrolebinding trafficmetrics:system:auth-delegator --clusterrole=system:auth-delegator {MARK}",
    ),
    "trust": (
        "RoleBinding",
        "clinic-trafficmetrics-auth-reader",
        to_somebody_else,
        Level.PROBLEM,
        "may not read ConfigMap kube-system/extension-apiserver-authentication: the server does not start",
        (
            "kubectl create rolebinding trafficmetrics-auth-reader -n kube-system"
            f" --role=extension-apiserver-authentication-reader {MARK}"
        ),
    ),
    "pods": (
        "ClusterRole",
        "clinic-trafficmetrics-inventory",
        without("pods"),
        Level.WARNING,
        "may not list and watch pods: what sources know by pods alone is not added up to their workloads",
        (
            "kubectl create clusterrole trafficmetrics-inventory-pods --verb=list,watch --resource=pods"
            f" && kubectl create clusterrolebinding trafficmetrics-inventory-pods --clusterrole=trafficmetrics-inventory-pods {MARK}"
        ),
    ),
    "secret": (
        "ClusterRole",
        "clinic-trafficmetrics-issuing",
        without("apiservices"),
        Level.PROBLEM,
        "may not get and patch apiservices.apiregistration.k8s.io: it cannot keep its certificate and the caBundle (server.certSecret)",
        (
            "kubectl create clusterrole trafficmetrics-issued-bundle --verb=get,patch"
            " --resource=apiservices.apiregistration.k8s.io --resource-name=v1alpha1.metrics.smi-spec.io"
            f" && kubectl create clusterrolebinding trafficmetrics-issued-bundle --clusterrole=trafficmetrics-issued-bundle {MARK}"
        ),
    ),
}


async def test_an_account_that_has_all_rights_of_the_manifests(patient: Subject):
    assert (await until(patient, "rights", Level.OK, "account clinic/trafficmetrics (assumed) may do all")).advice == ""


@pytest.mark.parametrize("case", BROKEN)
async def test_a_right_that_is_missing(api: Api, patient: Subject, case: str):
    kind, name, change, level, what, advice = BROKEN[case]
    async with changed(api, kind, name, change):
        told = await until(patient, "rights", level, what)
        assert (told.what, told.advice) == (f"the account clinic/trafficmetrics (assumed) {what}", advice)
        assert len(of(await examine_cluster(patient), "rights")) == 1
    await until(patient, "rights", Level.OK, "may do all")


def without_creation(role: dict[str, Any]) -> None:
    role["rules"] = [rule for rule in role["rules"] if rule["verbs"] != ["create"]]


async def test_a_right_to_make_the_secret_is_missed_only_where_there_is_none(api: Api, patient: Subject):
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "trafficmetrics-issued", "namespace": CLINIC}}
    async with changed(api, "Role", "clinic-trafficmetrics-issuing", without_creation):
        await until(patient, "rights", Level.PROBLEM, "may not create secrets: it cannot keep its certificate")
        await api.plane.apply(secret)
        await until(patient, "rights", Level.OK, "may do all")
        await api.plane.kubectl("delete", "secret", "-n", CLINIC, "trafficmetrics-issued")
