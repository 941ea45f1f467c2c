"""The objects of a large cluster, each as large as a real one: pods with a sidecar, and all that is above them."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

__all__ = [
    "Owner",
    "Pod",
    "Population",
    "deployment",
    "endpoint_slice",
    "endpoints",
    "node",
    "pod",
    "replica_set",
    "service",
    "status",
]

HASHES = ("5d9f8c7b6", "7c6b9d5f48")
"""Of the pod templates of a Deployment: the one in use, and the one before, whose ReplicaSet has no pods any more."""

NODES = tuple(f"node-{number:02d}" for number in range(50))

_SUFFIX = "bcdfghjklmnpqrstvwxz2456789"
_SHARED = 2  # so many Deployments stand behind one Service
_NOW = "2026-11-01T09:00:00Z"
_REGISTRY = "registry.example.com/platform"
_SETTINGS = ("LOG_LEVEL", "HTTP_PORT", "DATABASE_HOST", "CACHE_HOST", "FEATURE_FLAGS", "OTEL_SERVICE_NAME")
_PROXY_SETTINGS = tuple(
    f"LINKERD2_PROXY_{name}" for name in ("LOG", "INBOUND_LISTEN_ADDR", "DESTINATION_SVC_ADDR", "IDENTITY_SVC_ADDR")
)


class Pod(NamedTuple):
    """One pod of the Deployment ``app``."""

    namespace: str
    app: str
    name: str
    node: str


class Owner(NamedTuple):
    """What stands above an object that is made."""

    kind: str
    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class Population:
    """``namespaces`` with ``deployments`` each, of ``pods`` pods each; every two Deployments share a Service."""

    namespaces: int
    deployments: int
    pods: int

    def sizes(self) -> tuple[int, int, int]:
        """The three numbers."""
        return self.namespaces, self.deployments, self.pods

    def spaces(self) -> list[str]:
        """The names of the namespaces."""
        return [f"team-{number:02d}" for number in range(self.namespaces)]

    def workloads(self) -> list[tuple[str, str]]:
        """Namespace and name of every Deployment."""
        return [(space, f"service-{number:03d}") for space in self.spaces() for number in range(self.deployments)]

    def all_pods(self) -> list[Pod]:
        """Every pod, named as its ReplicaSet would name it; the same names each time."""
        dice = random.Random(1)
        return [another(dice, space, app) for space, app in self.workloads() for _ in range(self.pods)]

    def services(self) -> Iterator[tuple[str, str, list[str]]]:
        """Namespace and name of every Service, and the Deployments behind it."""
        workloads = self.workloads()
        for first in range(0, len(workloads), _SHARED):
            space, app = workloads[first]
            yield space, app, [name for other, name in workloads[first : first + _SHARED] if other == space]


def another(dice: random.Random, namespace: str, app: str) -> Pod:
    """A new pod of a Deployment."""
    return Pod(namespace, app, f"{app}-{HASHES[0]}-{''.join(dice.choices(_SUFFIX, k=5))}", dice.choice(NODES))


def node(name: str) -> dict[str, Any]:
    """A node, and no more of it than its name."""
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}}}


def deployment(namespace: str, app: str) -> dict[str, Any]:
    """A Deployment."""
    metadata = _metadata(namespace, app, app, HASHES[0]) | {"annotations": {"deployment.kubernetes.io/revision": "2"}}
    spec = {"replicas": 5, "selector": {"matchLabels": _selector(app)}, "template": _template(namespace, app, HASHES[0])}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}


def replica_set(namespace: str, app: str, revision: str, owner: Owner) -> dict[str, Any]:
    """The ReplicaSet of a Deployment for the pod template with the hash ``revision``."""
    template, selector = _template(namespace, app, revision), {**_selector(app), "pod-template-hash": revision}
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": _metadata(namespace, f"{app}-{revision}", app, revision, owner),
        "spec": {"replicas": 5 * (revision == HASHES[0]), "selector": {"matchLabels": selector}, "template": template},
    }


def pod(one: Pod, owner: Owner) -> dict[str, Any]:
    """A pod as its ReplicaSet makes it, on its node already."""
    template = _template(one.namespace, one.app, HASHES[0])
    metadata = _metadata(one.namespace, one.name, one.app, HASHES[0], owner)
    metadata["annotations"] = template["metadata"]["annotations"]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"nodeName": one.node, **template["spec"]}}


def status(one: Pod, since: str = _NOW) -> dict[str, Any]:
    """What the kubelet writes of a pod that runs; ``since`` is when it last looked."""
    address = f"10.42.{hash(one.name) % 250}.{hash(one) % 250}"
    conditions = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")
    return {
        "phase": "Running",
        "hostIP": f"192.168.1.{NODES.index(one.node)}",
        "podIP": address,
        "podIPs": [{"ip": address}],
        "startTime": _NOW,
        "qosClass": "Burstable",
        "conditions": [{"type": name, "status": "True", "lastProbeTime": since, "lastTransitionTime": _NOW} for name in conditions],
        "containerStatuses": [_container_status(name, since) for name in (one.app, "linkerd-proxy")],
    }


def service(namespace: str, name: str, apps: Sequence[str]) -> dict[str, Any]:
    """A Service that selects the pods of these Deployments by a label they share."""
    spec = {
        "selector": {"app.kubernetes.io/part-of": namespace, "group": apps[0]},
        "ports": [{"name": "http", "port": 80, "targetPort": 8080}],
    }
    return {"apiVersion": "v1", "kind": "Service", "metadata": _metadata(namespace, name, name, ""), "spec": spec}


def endpoint_slice(namespace: str, name: str, pods: Sequence[Pod]) -> dict[str, Any]:
    """The slice of a Service, behind which these pods stand."""
    labels = {"kubernetes.io/service-name": name, "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io"}
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": f"{name}-x2z4w", "namespace": namespace, "labels": labels},
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
        "endpoints": endpoints(pods),
    }


def endpoints(pods: Sequence[Pod]) -> list[dict[str, Any]]:
    """The endpoints of these pods."""
    conditions = {"ready": True, "serving": True, "terminating": False}
    return [
        {
            "addresses": [f"10.42.{number // 250}.{number % 250}"],
            "conditions": conditions,
            "nodeName": one.node,
            "targetRef": {
                "kind": "Pod",
                "namespace": one.namespace,
                "name": one.name,
                "uid": f"5a4f4a3c-1c8b-4d7e-9f3e-{number:012d}",
            },
            "zone": "eu-west-1a",
        }
        for number, one in enumerate(pods)
    ]


def _selector(app: str) -> dict[str, str]:
    return {"app.kubernetes.io/name": app}


def _metadata(namespace: str, name: str, app: str, revision: str, owner: Owner | None = None) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": name, "namespace": namespace, "labels": _labels(namespace, app, revision)}
    if owner is not None:
        reference = {"kind": owner.kind, "name": owner.name, "uid": owner.uid, "controller": True, "blockOwnerDeletion": True}
        metadata["ownerReferences"] = [{"apiVersion": "apps/v1", **reference}]
    return metadata


def _labels(namespace: str, app: str, revision: str) -> dict[str, str]:
    labels = {
        **_selector(app),
        "app.kubernetes.io/part-of": namespace,
        "app.kubernetes.io/version": "1.27.3",
        "app.kubernetes.io/managed-by": "Helm",
        "helm.sh/chart": "service-4.2.1",
        "linkerd.io/control-plane-ns": "linkerd",
        "linkerd.io/proxy-deployment": app,
        "linkerd.io/workload-ns": namespace,
    }
    return labels | ({"pod-template-hash": revision} if revision else {})


def _template(namespace: str, app: str, revision: str) -> dict[str, Any]:
    annotations = {
        "checksum/config": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "linkerd.io/created-by": "linkerd/proxy-injector edge-26.10.3",
        "linkerd.io/inject": "enabled",
        "linkerd.io/proxy-version": "edge-26.10.3",
        "linkerd.io/trust-root-sha256": "a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f90",
        "prometheus.io/scrape": "true",
    }
    spec = {
        "containers": [
            _container(app, _SETTINGS, 8080, ("config", "cache")),
            _container("linkerd-proxy", _PROXY_SETTINGS, 4143, ("linkerd-identity-end-entity", "linkerd-identity-token")),
        ],
        "volumes": [
            {"name": "config", "configMap": {"name": f"{app}-config"}},
            {"name": "cache", "emptyDir": {"sizeLimit": "64Mi"}},
            {"name": "linkerd-identity-end-entity", "emptyDir": {"medium": "Memory"}},
            {
                "name": "linkerd-identity-token",
                "projected": {"sources": [{"serviceAccountToken": {"path": "token", "audience": "identity.l5d.io"}}]},
            },
        ],
        "serviceAccountName": app,
        "securityContext": {"runAsNonRoot": True, "fsGroup": 10001},
        "tolerations": [{"key": "dedicated", "operator": "Equal", "value": namespace, "effect": "NoSchedule"}],
        "terminationGracePeriodSeconds": 0,
    }
    return {"metadata": {"labels": _labels(namespace, app, revision), "annotations": annotations}, "spec": spec}


def _container(name: str, settings: Sequence[str], port: int, mounts: Sequence[str]) -> dict[str, Any]:
    container: dict[str, Any] = {
        "name": name,
        "image": f"{_REGISTRY}/{name}:1.27.3",
        "imagePullPolicy": "IfNotPresent",
        "env": [{"name": setting, "value": f"{setting.lower()}.{name}.svc.cluster.local:8080"} for setting in settings],
        "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "256Mi"}},
        "volumeMounts": [{"name": mount, "mountPath": f"/var/run/{mount}"} for mount in mounts],
        "securityContext": {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}},
    }
    if port:
        container["ports"] = [{"name": "http" if port == 8080 else "linkerd-proxy", "containerPort": port}]
        container["livenessProbe"] = {"httpGet": {"path": "/live", "port": port}, "initialDelaySeconds": 10}
        container["readinessProbe"] = {"httpGet": {"path": "/ready", "port": port}, "initialDelaySeconds": 2}
    return container


def _container_status(name: str, since: str) -> dict[str, Any]:
    digest = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
    return {
        "name": name,
        "image": f"{_REGISTRY}/{name}:1.27.3",
        "imageID": f"{_REGISTRY}/{name}@sha256:{digest}",
        "containerID": f"containerd://{digest}",
        "ready": True,
        "started": True,
        "restartCount": 0,
        "state": {"running": {"startedAt": since}},
    }
