"""The objects of the shop, as a cluster would list them: what exists, with which labels, and of which kind a workload is.

So the demonstration answers as a server in a cluster does: a StatefulSet is not taken for a Deployment, label selectors select, and a
workload without traffic exists.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from apiservice.demo.shop import Shop
from apiservice.objects import Unowned
from metrics_api import ANY_WORKLOAD, WORKLOAD_KINDS, ResourceRef

__all__ = ["ShopObjects"]

_KNOWN = frozenset({"Namespace", "Node", "Pod", *WORKLOAD_KINDS})
"""The kinds the shop can tell of; whether there is a Service or a TrafficSplit, nobody knows."""


class ShopObjects:
    """An :class:`apiservice.objects.Objects`."""

    def __init__(self, shop: Shop) -> None:
        self._labels = _labels(shop)
        self._kinds = {(each.namespace, each.name): each.kind for each in shop.workloads}

    async def view(self, kinds: Collection[str], namespace: str, name: str) -> _View:  # noqa: ARG002 - a view of a kind serves all
        """The objects of these kinds."""
        several = len(kinds) > 1
        # Among workloads in general, what another workload owns is not one of its own.
        shown = {kind for kind in kinds if not (several and kind == "ReplicaSet")}
        return _View(self._labels, self._kinds, [ref for ref in self._labels if ref.kind in shown])

    async def view_of(self, resources: Collection[ResourceRef]) -> _View:  # noqa: ARG002 - every view knows every name
        """A view that can name these resources."""
        return _View(self._labels, self._kinds, ())


class _View(Unowned):
    warnings: tuple[str, ...] = ()

    def __init__(
        self,
        labels: Mapping[ResourceRef, Mapping[str, str]],
        kinds: Mapping[tuple[str, str], str],
        refs: Collection[ResourceRef],
    ) -> None:
        self._labels = labels
        self._kinds = kinds
        self._refs = refs

    def exists(self, resource: ResourceRef) -> bool | None:
        """Whether it is an object of the shop; None for kinds the shop cannot tell of."""
        return resource in self._labels if resource.kind in _KNOWN else None

    def labels(self, resource: ResourceRef) -> Mapping[str, str] | None:
        """The labels of the object; None for kinds the shop cannot tell of."""
        return self._labels.get(resource, {}) if resource.kind in _KNOWN else None

    def refs(self) -> Collection[ResourceRef]:
        """Every object of the kinds asked for."""
        return self._refs

    def named(self, resource: ResourceRef) -> ResourceRef:
        """A workload known by name gets the kind it has in the shop; a name that is not of the shop stays a name."""
        if resource.kind != ANY_WORKLOAD:
            return resource
        return resource._replace(kind=self._kinds.get((resource.namespace, resource.name), ""))


def _labels(shop: Shop) -> dict[ResourceRef, Mapping[str, str]]:
    labels: dict[ResourceRef, Mapping[str, str]] = {}
    for workload in shop.workloads:
        space, app = workload.namespace, {"app": workload.name}
        labels[ResourceRef("Namespace", "", space)] = {"kubernetes.io/metadata.name": space}
        labels[ResourceRef(workload.kind, space, workload.name)] = app
        for pod in workload.pods:
            labels[ResourceRef("Node", "", pod.node)] = {"kubernetes.io/hostname": pod.node}
            labels[ResourceRef("Pod", space, pod.name)] = app
            if workload.kind == "Deployment":
                labels[ResourceRef("ReplicaSet", space, f"{workload.name}-{workload.revision}")] = app
    return labels
