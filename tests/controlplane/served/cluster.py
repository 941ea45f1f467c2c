"""The objects whose traffic the tests ask for, and the people who ask.

No controller runs here, so what a Deployment would make is made by hand: its ReplicaSet, and the pods of that.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from tests.controlplane.plane import ControlPlane, Person, manifests
from tests.controlplane.served.mesh import API_1, API_2, DATA_API, DB, OTHER_WEB, WEB, Pod

__all__ = [
    "CLUSTER_READER",
    "EDGE_READER",
    "MONITOR",
    "POD_READER",
    "SHOP_READER",
    "STRANGER",
    "TOKEN_READER",
    "bind",
    "populate",
    "settle",
    "user",
    "workload",
]

Document = dict[str, Any]

SHOP_READER = Person("ann")
"""Reads the traffic of namespace "shop"."""
CLUSTER_READER = Person("sue", ("sre",))
"""Reads all traffic, through the group."""
POD_READER = Person("pat")
"""Reads pods of "shop", and neither their edges nor anything else."""
EDGE_READER = Person("eve")
"""Lists "edges" in "shop", which is how Kubernetes reads the path of a namespace's edges."""
STRANGER = Person("bob")
"""Has no rights."""
MONITOR = Person("prometheus", ("system:monitoring",))
"""Whom a cluster lets read the metrics of its servers."""
TOKEN_READER = ("shop", "dashboard")
"""Namespace and name of a service account that reads the traffic of "shop"."""

_LABELS: dict[tuple[str, str], dict[str, str]] = {
    ("shop", "web"): {"app": "web", "tier": "front", "release": "3"},
    ("shop", "api"): {"app": "api", "tier": "back", "release": "12"},
    ("shop", "idle"): {"app": "idle"},
    ("data", "db"): {"app": "db", "tier": "back"},
    ("data", "api"): {"app": "api", "tier": "back", "release": "7"},
    ("other", "web"): {"app": "web", "tier": "front"},
}
_IDLE = Pod("shop", "idle", "idle-6b9c-h5v8n", hash="6b9c")
_PODS = (WEB, API_1, API_2, _IDLE, DB, DATA_API, OTHER_WEB)


async def populate(plane: ControlPlane) -> None:
    """Makes everything: the server's own rights, the objects, the people's rights."""
    own = [
        document for name in ("namespace.yaml", "serviceaccount.yaml", "rbac.yaml", "readers.yaml") for document in manifests(name)
    ]
    await plane.apply(*own)
    await settle(plane, _PODS)
    await plane.apply(*_rights())


async def settle(plane: ControlPlane, pods: Sequence[Pod]) -> None:
    """Makes these pods, what owns them, their services and their namespaces, as far as they are not there."""
    owners = _unique(pods)
    spaces = [_object("v1", "Namespace", "", name) for name in sorted({pod.namespace for pod in pods})]
    await plane.apply(*spaces, *map(workload, owners), *map(_service, owners))
    uids = await _uids(plane, "deployments.apps,statefulsets.apps")
    await plane.apply(*[_replica_set(pod, uids) for pod in owners if pod.hash])
    uids |= await _uids(plane, "replicasets.apps")
    await plane.apply(*[_pod(pod, uids) for pod in pods])


def _unique(pods: Iterable[Pod]) -> list[Pod]:
    """One pod of each workload."""
    return list({(pod.namespace, pod.owner): pod for pod in pods}.values())


def _object(api_version: str, kind: str, namespace: str, name: str, labels: dict[str, str] | None = None, **more: Any) -> Document:
    metadata: Document = {"name": name, "labels": labels or {}} | ({"namespace": namespace} if namespace else {})
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **more}


def _template(pod: Pod) -> Document:
    labels = {"app": pod.owner} | ({"pod-template-hash": pod.hash} if pod.hash else {})
    return {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "main", "image": "example.com/main"}]}}


def workload(pod: Pod) -> Document:
    """What owns the pod: a Deployment or a StatefulSet."""
    kind = "Deployment" if pod.kind == "deployment" else "StatefulSet"
    template = _template(pod)
    template["metadata"] = {"labels": {"app": pod.owner}}
    spec: Document = {"selector": {"matchLabels": {"app": pod.owner}}, "template": template}
    if kind == "StatefulSet":
        spec["serviceName"] = pod.owner
    return _object("apps/v1", kind, pod.namespace, pod.owner, _LABELS.get((pod.namespace, pod.owner)), spec=spec)


def _service(pod: Pod) -> Document:
    spec = {"selector": {"app": pod.owner}, "ports": [{"port": 80}]}
    return _object("v1", "Service", pod.namespace, pod.owner, {"app": pod.owner}, spec=spec)


def _replica_set(pod: Pod, uids: dict[tuple[str, str, str], str]) -> Document:
    template = _template(pod)
    labels = template["metadata"]["labels"]
    document = _object("apps/v1", "ReplicaSet", pod.namespace, f"{pod.owner}-{pod.hash}", labels)
    document["metadata"]["ownerReferences"] = [_owner("Deployment", pod.namespace, pod.owner, uids)]
    return document | {"spec": {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}}


def _pod(pod: Pod, uids: dict[tuple[str, str, str], str]) -> Document:
    template = _template(pod)
    document = _object("v1", "Pod", pod.namespace, pod.name, template["metadata"]["labels"], spec=template["spec"])
    owner = ("ReplicaSet", pod.namespace, f"{pod.owner}-{pod.hash}") if pod.hash else ("StatefulSet", pod.namespace, pod.owner)
    document["metadata"]["ownerReferences"] = [_owner(*owner, uids)]
    return document


def _owner(kind: str, namespace: str, name: str, uids: dict[tuple[str, str, str], str]) -> Document:
    return {"apiVersion": "apps/v1", "kind": kind, "name": name, "uid": uids[kind, namespace, name], "controller": True}


async def _uids(plane: ControlPlane, resources: str) -> dict[tuple[str, str, str], str]:
    run = await plane.kubectl("get", resources, "-A", "-o", "json")
    found = [(item["kind"], item["metadata"]) for item in json.loads(run.stdout)["items"]]
    return {(kind, metadata["namespace"], metadata["name"]): metadata["uid"] for kind, metadata in found}


def _rights() -> list[Document]:
    group = "metrics.smi-spec.io"
    namespace, account = TOKEN_READER
    return [
        bind("RoleBinding", "shop", "trafficmetrics-reader", user(SHOP_READER)),
        bind("ClusterRoleBinding", "", "trafficmetrics-reader", {"kind": "Group", "name": "sre"}),
        bind("ClusterRoleBinding", "", "trafficmetrics-cluster-reader", {"kind": "Group", "name": "sre"}),
        _role("pods-alone", {"apiGroups": [group], "resources": ["pods"], "verbs": ["get", "list"]}),
        bind("RoleBinding", "shop", "pods-alone", user(POD_READER)),
        _role("edges-alone", {"apiGroups": [group], "resources": ["edges"], "verbs": ["list"]}),
        bind("RoleBinding", "shop", "edges-alone", user(EDGE_READER)),
        _object("v1", "ServiceAccount", namespace, account),
        bind("RoleBinding", "shop", "trafficmetrics-reader", {"kind": "ServiceAccount", "name": account, "namespace": namespace}),
    ]


def _role(name: str, rule: Document) -> Document:
    return _object("rbac.authorization.k8s.io/v1", "ClusterRole", "", name, rules=[rule])


def bind(kind: str, namespace: str, role: str, subject: dict[str, str]) -> Document:
    """A RoleBinding in this namespace, or a ClusterRoleBinding, of a ClusterRole to a subject."""
    return _object(
        "rbac.authorization.k8s.io/v1",
        kind,
        namespace,
        f"{role}-{subject['name']}",
        roleRef={"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        subjects=[subject],
    )


def user(person: Person) -> dict[str, str]:
    """The person as the subject of a binding."""
    return {"kind": "User", "name": person.name, "apiGroup": "rbac.authorization.k8s.io"}
