"""Paths: however a path is written, what was authorised is what is answered, and what kube-apiserver understood is what was authorised.

The one who asks may get and list pods of the namespace "shop": not their edges, nothing of another namespace. kube-apiserver's audit log
tells how kube-apiserver read a request (``objectRef``), and what this server then asked it to allow (a SubjectAccessReview).
"""

from __future__ import annotations

import itertools
import json
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import pytest

from tests.controlplane.plane import ADMIN
from tests.controlplane.served.api import Api
from tests.controlplane.served.cluster import SHOP_READER
from tests.controlplane.served.mesh import DB, WEB
from tests.controlplane.served.raw import Answers, exchange, request
from tests.controlplane.served.server import GV

pytestmark = pytest.mark.real

PODS = f"{GV}/namespaces/shop/pods"
POD = f"{PODS}/{WEB.name}"
GROUP = "packers"

_NUMBERS = itertools.count(1)


@pytest.fixture(scope="module")
async def packers(api: Api) -> AsyncIterator[Api]:
    """The API, where members of a group may read the pods of "shop" and nothing else."""
    await api.plane.apply(
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": {"name": GROUP, "namespace": "shop"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "pods-alone"},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": GROUP}],
        }
    )
    yield api
    await api.prints("delete", "rolebinding", GROUP, "-n", "shop")


class Action(NamedTuple):
    """What somebody wants to do, as RBAC sees it."""

    verb: str
    namespace: str
    resource: str
    subresource: str
    name: str


async def asked_about(api: Api, since: int, user: str) -> list[Action]:
    """What this server asked to be allowed for the user."""
    specs = [
        event["requestObject"]["spec"]
        for event in await api.plane.audited(since, resource="subjectaccessreviews", patience=0)
        if event["requestObject"]["spec"]["user"] == user
    ]
    return [
        Action(*(spec["resourceAttributes"].get(key, "") for key in Action._fields))
        for spec in specs
        if "resourceAttributes" in spec
    ]


async def understood(api: Api, since: int, audit_id: str) -> list[Action]:
    """How kube-apiserver read the request, if it took it for one to this API."""
    events = await api.plane.audited(since, audit_id=audit_id, patience=0)
    return [
        Action(event["verb"], *(event["objectRef"].get(key, "") for key in Action._fields[1:]))
        for event in events
        if "objectRef" in event
    ]


def tells_nothing_else(answers: Answers) -> None:
    """Nothing but pods of "shop" is in the answer, and no edge of theirs."""
    document = json.loads(answers.data.partition(b"\r\n\r\n")[2])
    items = document["items"] if document["kind"].endswith("List") else [document]
    for item in items:
        assert item["metadata"]["namespace"] == "shop"
        assert item["resource"]["kind"] == "Pod"
        assert item["edge"]["resource"] == {}


PATHS = [
    pytest.param(PODS, id="allowed-list"),
    pytest.param(POD, id="allowed-get"),
    pytest.param(f"{PODS}/", id="trailing-slash"),
    pytest.param(f"{POD}/edges", id="edges"),
    pytest.param(f"{POD}%2Fedges", id="encoded-slash"),
    pytest.param(f"{POD}%2fedges%2f", id="encoded-slashes"),
    pytest.param(f"{POD}%252Fedges", id="doubly-encoded-slash"),
    pytest.param(f"{POD}%5Cedges", id="backslash"),
    pytest.param(f"{POD}%E2%81%84edges", id="fraction-slash"),
    pytest.param(f"{POD}%EF%BC%8Fedges", id="fullwidth-slash"),
    pytest.param(f"{POD}%C0%AFedges", id="overlong-slash"),
    pytest.param(f"{POD}//edges", id="doubled-slash"),
    pytest.param(f"{POD}/edges/", id="edges-with-a-slash"),
    pytest.param(f"{POD};/edges", id="semicolon"),
    pytest.param(f"{POD}/;edges", id="semicolon-edges"),
    pytest.param(f"{POD}/%65dges", id="encoded-letter"),
    pytest.param(f"{POD}/Edges", id="capital-letter"),
    pytest.param(f"{POD}/edges%00", id="nul-after-edges"),
    pytest.param(f"{POD}%00/edges", id="nul-before-edges"),
    pytest.param(f"{POD}/edges%20", id="space"),
    pytest.param(f"{POD}/edges%0a", id="line-feed"),
    pytest.param(f"{POD}/edges%23", id="encoded-number-sign"),
    pytest.param(f"{POD}/edges%3Flimit=1", id="encoded-question-mark"),
    pytest.param(f"{POD}/./edges", id="dot"),
    pytest.param(f"{POD}/x/../edges", id="dot-dot"),
    pytest.param(f"{POD}/%2e%2e/%2e%2e/edges", id="encoded-dot-dot"),
    pytest.param(f"{PODS}/../edges", id="dot-dot-to-the-edges-of-the-namespace"),
    pytest.param(f"{PODS}/..%2f..%2fdata%2fpods", id="dot-dot-to-another-namespace"),
    pytest.param(f"{PODS}/../../data/pods", id="dots-to-another-namespace"),
    pytest.param(f"{PODS}/%2e%2e/%2e%2e/data/pods/{DB.name}", id="encoded-dots-to-a-pod-of-another"),
    pytest.param(f"{PODS}/%252e%252e/%252e%252e/data/pods", id="doubly-encoded-dots"),
    pytest.param(f"{GV}/namespaces/shop%2F..%2Fdata/pods", id="dots-in-the-namespace"),
    pytest.param(f"{GV}/namespaces/shop%2Fpods%2F{DB.name}", id="slashes-in-the-namespace"),
    pytest.param(f"{GV}/namespaces/shop/namespaces/data/pods", id="namespaces-twice"),
    pytest.param(f"{GV}/namespaces//pods", id="an-empty-namespace"),
    pytest.param(f"{GV}//namespaces/shop/pods", id="doubled-slash-before"),
    pytest.param(f"{GV}/namespaces//shop/pods", id="doubled-slash-in-between"),
    pytest.param(f"/{PODS}", id="doubled-slash-at-the-front"),
    pytest.param(f"{GV}/namespaces/shop/edges", id="edges-of-the-namespace"),
    pytest.param(f"{GV}/namespaces/shop%2Fedges", id="edges-of-the-namespace-encoded"),
    pytest.param(f"{GV}/namespaces/shop", id="the-namespace"),
    pytest.param(f"{GV}/namespaces/shop/status", id="its-status"),
    pytest.param(f"{GV}/namespaces/shop/finalize", id="its-finalize"),
    pytest.param(f"{GV}/namespaces/shop/pods/edges", id="a-pod-called-edges"),
    pytest.param(f"{GV}/namespaces/shop/trafficmetrics", id="every-kind"),
    pytest.param(f"{GV}/namespaces/shop/services/web", id="another-kind"),
    pytest.param(f"{GV}/namespaces/data/pods", id="another-namespace"),
    pytest.param(f"{GV}/namespaces/data/pods/{DB.name}", id="a-pod-of-another"),
    pytest.param(f"{GV}/namespaces/SHOP/pods", id="the-namespace-in-capitals"),
    pytest.param(f"{GV}/pods", id="all-namespaces"),
    pytest.param(f"{GV}/pods/{WEB.name}", id="a-pod-without-namespace"),
    pytest.param(f"{GV}/pods?fieldSelector=metadata.namespace%3Dshop", id="all-namespaces-narrowed"),
    pytest.param(f"{PODS}?namespace=data", id="namespace-as-a-parameter"),
    pytest.param(f"{PODS}?fieldSelector=metadata.namespace%3Ddata", id="another-namespace-selected"),
    pytest.param(f"{PODS}?fieldSelector=metadata.name%3D{WEB.name}", id="one-selected"),
    pytest.param(f"{PODS}?fieldSelector=metadata.name%3D{DB.name}", id="one-of-another-selected"),
    pytest.param(f"{PODS}?fieldSelector=metadata.name%3D..%2F..%2Fdata", id="dots-selected"),
    pytest.param(f"{PODS}?watch=false&watch=true", id="watch-the-second-time"),
    pytest.param(f"{GV}/watch/namespaces/shop/pods", id="old-watch"),
    pytest.param(f"{GV}/watch/namespaces/shop/pods/{WEB.name}", id="old-watch-of-one"),
    pytest.param(f"{GV}/watch/pods", id="old-watch-of-all"),
    pytest.param(f"{GV}/watch/watch/namespaces/shop/pods", id="old-watch-twice"),
    pytest.param(f"{GV}/proxy/namespaces/shop/pods/{WEB.name}/edges", id="old-proxy"),
    pytest.param(f"{GV}/watch", id="old-watch-of-nothing"),
    pytest.param(f"{GV}/%77atch/namespaces/shop/pods", id="old-watch-encoded"),
    pytest.param(f"/apis/metrics.smi-spec.io%2Fv1alpha1/namespaces/shop/pods/{WEB.name}%2Fedges", id="the-group-encoded"),
    pytest.param(f"/apis/metrics.smi-spec.io/v1alpha2/namespaces/shop/pods/{WEB.name}/edges", id="another-version"),
    pytest.param(f"/apis/METRICS.smi-spec.io/v1alpha1/namespaces/shop/pods/{WEB.name}/edges", id="the-group-in-capitals"),
    pytest.param(f"/api/v1/namespaces/shop/pods/{WEB.name}/edges", id="the-core-group"),
    pytest.param(f"/apis/{GV}/namespaces/shop/pods", id="the-prefix-twice"),
]


@pytest.mark.parametrize("path", PATHS)
async def test_through_kube_apiserver_all_three_mean_the_same(packers: Api, path: str):
    """kube-apiserver, the review this server asks for, and the answer."""
    mark, number = packers.plane.audit.mark(), next(_NUMBERS)
    user, audit_id = f"packer-{number}", f"path-{number}"
    headers = [f"Impersonate-User: {user}", f"Impersonate-Group: {GROUP}", f"Audit-ID: {audit_id}"]
    port = int(packers.plane.url.rpartition(":")[2])
    answers = await exchange(port, packers.plane.tls(ADMIN), request(path, *(line.encode() for line in headers)))
    (status,) = answers.statuses
    asked, read = await asked_about(packers, mark, user), await understood(packers, mark, audit_id)
    # What kube-apiserver refuses itself, or takes for something else, does not get here.
    assert status < 500 or not asked
    assert set(asked) <= set(read)
    if status == 200:
        assert asked == read == [action for action in read if action.resource == "pods" and not action.subresource]
        assert {action.namespace for action in asked} == {"shop"}
        tells_nothing_else(answers)


@pytest.mark.parametrize("path", PATHS)
async def test_reached_directly_what_was_authorised_is_what_is_answered(packers: Api, path: str):
    mark, user = packers.plane.audit.mark(), f"packer-{next(_NUMBERS)}"
    tls = packers.server.tls_with(packers.plane.front_proxy_ca.client("front-proxy-client"))
    headers = [f"X-Remote-User: {user}".encode(), f"X-Remote-Group: {GROUP}".encode()]
    answers = await exchange(packers.server.port, tls, request(path, *headers))
    (status,) = answers.statuses
    asked = await asked_about(packers, mark, user)
    assert 200 <= status < 500
    assert len(asked) <= 1
    if status == 200:
        ((verb, namespace, resource, subresource, _),) = asked
        assert (namespace, resource, subresource) == ("shop", "pods", "")
        assert verb in ("get", "list")
        tells_nothing_else(answers)


async def test_an_edge_is_told_by_its_edge(api: Api):
    """Or no edge could be found in an answer."""
    reply = await api.direct(f"{POD}/edges", user=SHOP_READER)
    items: list[Any] = reply.document["items"]
    assert items
    assert all(item["edge"]["resource"]["name"] for item in items)
