"""What a pod is counted for, read off the table of the fleet: the objects of a kind, as one mesh and one server can know them."""

from __future__ import annotations

from dataclasses import dataclass

from tests.controlplane.served.ownership.fleet import LATE, Flow, Pod
from tests.controlplane.served.ownership.truth import Lift, Ref

__all__ = ["KNOWN_TO", "Knowledge", "called_service"]


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What is known of pods that are not there.

    ``saw``: the server saw those that are gone before they went; if not, it knows of them what their names tell. ``told``: the mesh tells
    the workload of one that never was in this cluster. ``placed``: it tells the node of whoever reports. ``by_cron_job``: it calls the
    Jobs of a CronJob by the name of that.
    """

    saw: bool
    told: bool = False
    placed: bool = False
    by_cron_job: bool = False

    def resource(self, *kinds: str) -> Lift:
        """The objects of these kinds that a pod is counted for, as far as they exist."""

        def lift(pod: Pod, flow: Flow) -> tuple[Ref, ...]:
            del flow
            if self.placed and kinds == ("Node",):
                return (("Node", "", pod.node),)
            return tuple(ref for kind in kinds for ref in self._objects(pod, kind) if _exists(pod, ref))

        return lift

    def peer(self, *levels: str) -> Lift:
        """A pod as a peer: at the first of these levels at which it is one object, and else as the pod it is."""

        def lift(pod: Pod, flow: Flow) -> tuple[Ref, ...]:
            del flow
            # At other levels than that of workloads, pods are asked for.
            if pod.strange and levels[:1] in (("Node",), ("Service",)):
                return self._objects(pod, "Pod")
            found = [self._objects(pod, kind) for kind in (*levels, "Pod")]
            return next(refs for refs in found if len(refs) == 1)

        return lift

    def _objects(self, pod: Pod, kind: str) -> tuple[Ref, ...]:
        forgotten = pod.strange or (pod.gone and not self.saw)
        match kind:
            case "Pod":
                return (("Pod", pod.namespace, pod.name),)
            case "Namespace":
                return (("Namespace", "", pod.namespace),)
            case "Node":
                return () if forgotten else (("Node", "", pod.node),)
            case "Service":
                return () if forgotten else tuple(("Service", pod.namespace, service) for service in pod.services)
        if kind == "CronJob" and self.by_cron_job:
            return tuple((kind, pod.namespace, owner.partition("/")[2]) for owner in pod.part_of if owner.startswith("CronJob/"))
        # Of what never was here nothing but a name that the mesh tells is left.
        if pod.strange and not self.told:
            return ()
        owners = (pod.workload,) if pod.strange or kind == "Workload" else (pod.workload, *pod.part_of)
        named = [owner.partition("/") for owner in owners]
        return tuple((found, pod.namespace, name) for found, _, name in named if kind in (found, "Workload"))


KNOWN_TO = {
    "cilium": Knowledge(saw=True),
    "hubble": Knowledge(saw=True, told=True, placed=True),
    "linkerd": Knowledge(saw=True, told=True),
    "envoy": Knowledge(saw=False),
    "istio": Knowledge(saw=False, told=True, by_cron_job=True),
}
"""By the name of the mesh."""


def called_service(pod: Pod, flow: Flow) -> tuple[Ref, ...]:
    """The Service a request was sent to, if any."""
    return (("Service", pod.namespace, flow.via),) if flow.via else ()


def _exists(pod: Pod, ref: Ref) -> bool:
    kind, _, name = ref
    if kind == "Namespace":
        return True
    return not pod.strange and not (pod.gone and (kind == "Pod" or f"{kind}/{name}" in LATE))
