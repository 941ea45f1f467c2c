"""The fleet's objects: as they were before its rolling update, and what is deleted since."""

from __future__ import annotations

import asyncio
from pathlib import Path

import yaml

from tests.controlplane.plane import ControlPlane, manifests
from tests.controlplane.served.ownership.cluster import Cluster, Document
from tests.controlplane.served.ownership.fleet import GONE, LATE, NODES, OWNED, PODS, Pod

__all__ = ["move_on", "settle"]

APEX = "front"
"""The Service that a split and routes divide among others; nothing answers it by itself."""

_SPACES = ("mall", "vault")
_CRDS = Path(__file__).with_name("crds.yaml")
_TEMPLATE = {"metadata": {"labels": {"app": "main"}}, "spec": {"containers": [{"name": "main", "image": "example.com/main"}]}}
_SELECTED: Document = {"selector": {"matchLabels": {"app": "main"}}, "template": _TEMPLATE}
_JOB: Document = {"template": {**_TEMPLATE, "spec": {**_TEMPLATE["spec"], "restartPolicy": "Never"}}}
_SPECS: dict[str, Document] = {
    "Deployment": _SELECTED,
    "ReplicaSet": _SELECTED,
    "DaemonSet": _SELECTED,
    "StatefulSet": {**_SELECTED, "serviceName": "main"},
    "ReplicationController": {"selector": {"app": "main"}, "template": _TEMPLATE},
    "Job": _JOB,
    "CronJob": {"schedule": "0 3 * * *", "jobTemplate": {"spec": _JOB}},
    "Rollout": _SELECTED,
}
_BACKENDS = [{"service": "front-v1", "weight": 90}, {"service": "front-v2", "weight": 10}]
_REFS = [{"name": backend["service"], "port": 80, "weight": backend["weight"]} for backend in _BACKENDS]
_PARENTS = [{"group": "", "kind": "Service", "name": APEX}]

ROUTES: dict[tuple[str, str, str], Document] = {
    ("TrafficSplit", "mall", "front"): {"service": APEX, "backends": _BACKENDS},
    ("HTTPRoute", "mall", "front"): {"parentRefs": _PARENTS, "rules": [{"backendRefs": _REFS}]},
    ("GRPCRoute", "mall", "front"): {"parentRefs": _PARENTS, "rules": [{"backendRefs": _REFS[:1]}]},
    # As v1alpha1 has it, whose weights are quantities; a kube-apiserver without a webhook gives it out like that in every version.
    ("TrafficSplit", "vault", "old"): {
        "service": "vault",
        "backends": [{"service": "db", "weight": "900m"}, {"service": "web", "weight": "100m"}],
    },
}
"""The specs of what divides traffic, by kind, namespace and name."""


async def settle(plane: ControlPlane, cluster: Cluster) -> None:
    """Make everything: the server's own rights, definitions of custom resources, and the objects with the pods that are to go."""
    await plane.apply(
        *[document for name in ("namespace", "serviceaccount", "rbac", "readers") for document in manifests(f"{name}.yaml")]
    )
    definitions = yaml.safe_load_all(_CRDS.read_text())
    await asyncio.gather(
        *(cluster.define(definition) for definition in definitions),
        *(cluster.create("Namespace", "", name, labels={"team": name}) for name in _SPACES),
        *(cluster.create("Node", "", name, labels={"zone": name[-1]}) for name in NODES),
    )
    present = [pod for pod in PODS if not pod.strange]
    for pod in present:
        await _make_owner(cluster, pod, pod.owner)
    behind = sorted({(pod.namespace, service) for pod in present for service in pod.services})
    await asyncio.gather(
        *(_make_pod(cluster, pod) for pod in present),
        *(_make_service(cluster, *place, _endpoints(present, *place)) for place in [*behind, ("mall", APEX)]),
        *(cluster.create(*route, labels={"team": route[2]}, spec=spec) for route, spec in ROUTES.items()),
    )


async def move_on(cluster: Cluster) -> None:
    """Delete what the rolling update and finished Jobs leave behind them."""
    for pod in GONE:
        await cluster.delete("Pod", pod.namespace, pod.name)
    for owner in LATE:
        kind, _, name = owner.partition("/")
        await cluster.delete(kind, "mall", name)
    remaining = [pod for pod in PODS if not (pod.gone or pod.strange)]
    for namespace, service in {(pod.namespace, service) for pod in GONE for service in pod.services}:
        await cluster.change("EndpointSlice", namespace, _slice(service), endpoints=_endpoints(remaining, namespace, service))


async def _make_owner(cluster: Cluster, pod: Pod, owner: str) -> None:
    kind, _, name = owner.partition("/")
    if not owner or kind == "Node" or owner == "Deployment/widow" or cluster.has(kind, pod.namespace, name):
        return
    above = OWNED.get(owner, "")
    await _make_owner(cluster, pod, above)
    labels = {"app": name, "tier": "back" if name.startswith("api") else "front"}
    await cluster.create(kind, pod.namespace, name, owner=above, labels=labels, spec=_SPECS[kind])


async def _make_pod(cluster: Cluster, pod: Pod) -> None:
    spec = {**_TEMPLATE["spec"], "nodeName": pod.node}
    await cluster.create("Pod", pod.namespace, pod.name, owner=pod.owner, labels=pod.labels, spec=spec)


async def _make_service(cluster: Cluster, namespace: str, name: str, endpoints: list[Document]) -> None:
    """A Service, and the slice that a controller would make for it."""
    labels = {"kubernetes.io/service-name": name}
    await cluster.create(
        "Service", namespace, name, labels={"app": name}, spec={"selector": {"app": name}, "ports": [{"port": 80}]}
    )
    await cluster.create("EndpointSlice", namespace, _slice(name), labels=labels, addressType="IPv4", endpoints=endpoints)


def _slice(service: str) -> str:
    return f"{service}-x7k2p"


def _endpoints(pods: list[Pod], namespace: str, service: str) -> list[Document]:
    behind = [pod for pod in pods if pod.namespace == namespace and service in pod.services]
    return [
        {
            "addresses": [f"10.1.{len(service)}.{at + 1}"],
            "conditions": {"ready": True},
            "nodeName": pod.node,
            "targetRef": {"kind": "Pod", "namespace": namespace, "name": pod.name},
        }
        for at, pod in enumerate(behind)
    ]
