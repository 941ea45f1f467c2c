"""The Kubernetes objects that viz joins its numbers with: kinds, owners, and pods that are in the mesh or not.

Source: linkerd/linkerd2, controller/k8s/api.go (GetObjects, GetPodsFor, isPendingOrRunning) and pkg/k8s (IsMeshed, PodIdentity).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from metrics_api import BadQuery, LabelSelector

__all__ = ["Cluster", "Object", "Pod", "Unknown", "Unlisted", "root_of"]

_GROUPS = {
    "namespace": "",
    "pod": "",
    "replicationcontroller": "",
    "cronjob": ".batch",
    "job": ".batch",
    "daemonset": ".apps",
    "deployment": ".apps",
    "replicaset": ".apps",
    "statefulset": ".apps",
}
"""The kinds whose objects viz lists, with what it says behind them of one that is missing."""


class Unknown(LookupError):
    """There is no object of this name."""


class Unlisted(LookupError):
    """There is no list of objects of this kind."""


@dataclass(frozen=True, slots=True)
class Object:
    """An object. ``kind`` is as viz has it (``deployment``); ``owner`` is whom its owner reference names."""

    kind: str
    namespace: str
    name: str
    owner: Object | None = None
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Pod(Object):
    """A pod. ``meshed``: it has the label that the injector gives.

    ``identity`` is its name in mutual TLS, and ``version`` that of its proxy; both are empty without one.
    """

    phase: str = "Running"
    meshed: bool = True
    terminating: bool = False
    identity: str = ""
    version: str = ""

    @property
    def live(self) -> bool:
        """Whether it is pending or running."""
        return self.phase in ("Pending", "Running") and not self.terminating


@dataclass(frozen=True, slots=True)
class Cluster:
    """All objects. ``profiles`` are ServiceProfiles with overrides: by namespace and name of the Service, pairs of authority and weight."""

    objects: Sequence[Object] = ()
    profiles: Mapping[tuple[str, str], Sequence[tuple[str, str]]] = field(default_factory=dict)

    def find(self, kind: str, namespace: str, name: str, selector: str) -> list[Object]:
        """The objects of a kind, as viz finds them: a name counts only with a namespace, and labels only without a name.

        Raises ValueError for a selector that cannot be read, Unlisted for a kind that viz has no list of, and Unknown for one by name that
        does not exist.
        """
        chosen = _chosen(selector)
        if kind not in _GROUPS:
            raise Unlisted(f"unimplemented resource type: {kind}")
        found = [one for one in self.objects if one.kind == kind and (not namespace or one.namespace == namespace)]
        if kind == "namespace":
            found = [one for one in self.objects if one.kind == kind]
        if name and (namespace or kind == "namespace"):
            found = [one for one in found if one.name == name]
            if not found:
                raise Unknown(f'{kind}{_GROUPS[kind]} "{name}" not found')
        else:
            found = [one for one in found if chosen.matches(one.labels)]
        return [one for one in found if not isinstance(one, Pod) or one.live]

    def pods_of(self, one: Object) -> list[Pod]:
        """The pods that are behind an object and are alive or have failed."""
        return [pod for pod in self._pods() if (pod.live or pod.phase == "Failed") and _behind(pod, one)]

    def every_pod(self, namespace: str, selector: str) -> list[Pod]:
        """All pods, whatever became of them; those of ``kube-system`` viz does not list. Raises ValueError."""
        chosen = _chosen(selector)
        pods = [pod for pod in self._pods() if pod.namespace == namespace or (not namespace and pod.namespace != "kube-system")]
        return [pod for pod in pods if chosen.matches(pod.labels)]

    def running(self, namespace: str, name: str) -> Pod | None:
        """The pod of this name, if it runs."""
        return next((pod for pod in self._pods() if (pod.namespace, pod.name, pod.phase) == (namespace, name, "Running")), None)

    def _pods(self) -> list[Pod]:
        return [one for one in self.objects if isinstance(one, Pod)]


def _chosen(selector: str) -> LabelSelector:
    try:
        return LabelSelector.parse(selector)
    except BadQuery as error:
        _, _, why = str(error).partition(f'"{selector}": ')
        raise ValueError(f'invalid label selector "{selector}": unable to parse requirement: {why}') from error


def root_of(pod: Pod) -> Object:
    """Whom a pod belongs to in the end, as far as viz looks."""
    owner = pod.owner or pod
    return owner.owner if owner.owner is not None and owner.kind in ("replicaset", "job") else owner


def _behind(pod: Pod, one: Object) -> bool:
    """Deployments own pods by ReplicaSets and CronJobs by Jobs; nothing else is looked through."""
    if one.kind == "namespace":
        return pod.namespace == one.name
    if one.kind in ("deployment", "cronjob"):
        return pod.owner is not None and pod.owner.owner == one
    return one in (pod, pod.owner)
