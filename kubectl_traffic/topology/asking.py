"""What a topology asks the API, and the scene that comes of the answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from kubectl_traffic.kubectl import Kubectl, KubectlError
from kubectl_traffic.reading import Reading, read
from kubectl_traffic.subject import GROUP_VERSION, Subject
from kubectl_traffic.topology.scene import Scene, around
from metrics_api.graph import Node, graph
from metrics_api.resources import WORKLOAD_KINDS, ResourceType

__all__ = ["Asked", "scene_of"]


@dataclass(frozen=True, slots=True)
class Asked:
    """A topology as it is wanted.

    ``subject`` is what it is around, nobody in particular when it has no name; its type is the kind of nodes, and workloads when it has
    none. ``depth`` is how many calls it goes from there; ``parameters`` are those of the API that every question has.
    """

    kubectl: Kubectl
    subject: Subject = Subject()
    depth: int = 1
    parameters: Mapping[str, str] = field(default_factory=dict)


def scene_of(asked: Asked) -> tuple[Scene, tuple[str, ...], bool]:
    """The scene, the server's warnings, and whether something may be missing from it.

    Raises :class:`kubectl_traffic.kubectl.KubectlError`, also when the subject is nowhere to be found.
    """
    namespace = asked.kubectl.namespace()
    if asked.subject.name and asked.depth == 1 and (namespace or not asked.subject.namespaced):
        edges, totals = _of_one(asked, namespace)
    else:
        edges, totals = _of_all(asked, namespace)
    whole = graph(edges.rows, totals.rows)
    if asked.subject.name:
        centres = frozenset(node for node in whole.nodes if _meant(node, asked.subject, namespace))
        if not centres:
            raise KubectlError(f"{asked.subject} is not there, or nothing is known of its traffic", reason="NotFound")
        whole = around(whole, centres, asked.depth)
    kept = set(whole.nodes)
    received = {node: row for row in totals.rows if (node := Node(row.cluster, row.resource)) in kept}
    warnings = tuple(dict.fromkeys((*edges.warnings, *totals.warnings)))
    return Scene(whole, received, namespace), warnings, edges.incomplete or totals.incomplete


def _of_one(asked: Asked, namespace: str) -> tuple[Reading, Reading]:
    """The edges of one object and what it received: what somebody may read who may read no other."""
    subject = asked.subject
    edges = _edges(asked, subject.path(namespace, edges=True), asked.parameters)
    return edges, read(asked.kubectl, subject.path(namespace), asked.parameters)


def _of_all(asked: Asked, namespace: str) -> tuple[Reading, Reading]:
    """All edges of a kind, and what all its objects received."""
    kind, idle = asked.subject.type, {"includeIdle": "true", **asked.parameters}
    if kind is not None and not kind.namespaced:
        # Namespaces: nodes have edges one by one alone.
        within = f"/namespaces/{namespace}" if namespace and not asked.subject.name else ""
        edges = read(asked.kubectl, f"{GROUP_VERSION}{within}/edges", asked.parameters)
        return edges, read(asked.kubectl, f"{GROUP_VERSION}{within or '/namespaces'}", asked.parameters if within else idle)
    path = Subject().path(namespace)
    chosen = _chosen(kind, centred=bool(asked.subject.name))
    edges = _edges(asked, path, {"fieldSelector": ",".join([*chosen, "edge.resource.name!="]), **asked.parameters})
    return edges, read(asked.kubectl, path, {**({"fieldSelector": ",".join(chosen)} if chosen else {}), **idle})


def _edges(asked: Asked, path: str, parameters: Mapping[str, str]) -> Reading:
    """Edges, whose peers are pods among pods where a source knows them, and workloads everywhere else."""
    if asked.subject.type is None or asked.subject.type.kind != "Pod":
        return read(asked.kubectl, path, parameters)
    try:
        return read(asked.kubectl, path, {"edgeKind": "pods", **parameters})
    except KubectlError as error:
        if error.reason != "NotFound":
            raise
        reading = read(asked.kubectl, path, parameters)
        return reading._replace(warnings=(f"peers are shown as workloads: {error.message}", *reading.warnings))


def _chosen(kind: ResourceType | None, *, centred: bool) -> list[str]:
    """Which objects there are edges of; around one workload those of all kinds of workloads, because any may be on the way."""
    if kind is None or (centred and kind.kind in WORKLOAD_KINDS):
        return []
    return [f"resource.kind={kind.kind}"]


def _meant(node: Node, subject: Subject, namespace: str) -> bool:
    """Whether a node is the one that was named; ``web@west`` is that of a cluster."""
    name, _, cluster = subject.name.partition("@")
    kind, resource = subject.type, node.resource
    if kind is None or (resource.kind, resource.name, node.cluster) != (kind.kind, name, cluster):
        return False
    return not kind.namespaced or namespace in ("", resource.namespace)
