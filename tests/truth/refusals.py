"""What each mesh cannot tell, whatever the traffic is: written by hand from what its labels are."""

from __future__ import annotations

from tests.doubles.mesh_truth import Asked

__all__ = ["refused"]

_NEVER = {
    # No label of Linkerd's scrape jobs names a node.
    "linkerd": {"total": {"Node"}, "to": {"Node", "Service"}, "from": {"Node"}, "seen by callers": {"Node"}},
    # A caller's service is in no label, and pods and nodes are those of the reporting proxy.
    "istio": {"total": set(), "to": {"Service"}, "from": set(), "seen by callers": {"Pod", "Node"}},
    # Envoy knows its own pod, and the workload a cluster is named for.
    "envoy": {"total": set(), "to": {"Service"}, "from": {"Pod", "Node"}, "seen by callers": {"Pod", "Node"}},
    # Consul's clusters are named for services.
    "consul": {
        "total": set(),
        "to": set(),
        "from": {"Pod", "Node", "Deployment", "StatefulSet", "DaemonSet", "Job", "ReplicaSet"},
        "seen by callers": {"Pod", "Node", "Deployment", "StatefulSet", "DaemonSet", "Job", "ReplicaSet"},
    },
}


def refused(mesh: str, asked: Asked) -> bool:
    """Whether the mesh can never answer this: it cannot name one of the kinds in any of the ways asked for."""
    never = _NEVER[mesh]
    if not asked.edges:
        ways = ["seen by callers"] if asked.side == "client" else ["total"]
    else:
        ways = [asked.direction] if asked.direction else ["to", "from"]
    return all(kind in never[way] for way in ways for kind in asked.kinds)
