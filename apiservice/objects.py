"""What exists: the objects traffic is shown for, their labels, and the kind of a workload known by name alone.

The server asks this of Kubernetes (:mod:`apiservice.inventory`) or, standalone, of nobody: then what a source reports is what exists.
Kubernetes knows the present only, so of an object that is gone nobody knows whether it existed at a past instant.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from metrics_api import JOINED_SERVICE, ResourceRef, Unsupported, called_service, first_few, type_of_kind
from metrics_api.resources import host

__all__ = ["BackendService", "ObjectView", "Objects", "Split", "StandaloneObjects", "ThenView", "Unowned"]


class BackendService(NamedTuple):
    """A Service that a split sends requests to, and how many of them in proportion to the other backends' weights."""

    namespace: str
    name: str
    weight: int


@dataclass(frozen=True, slots=True)
class Split:
    """An object that divides what clients send among Services: a TrafficSplit, an HTTPRoute or a GRPCRoute (``ref``).

    ``apex`` is the Service that clients call, with its namespace behind a dot when that is not the one of the split; empty when they call
    none. Each Service is there once, in the order in which the object first names them.
    """

    ref: ResourceRef
    apex: str
    backends: tuple[BackendService, ...]


class ObjectView(Protocol):
    """The objects of some kinds as they stood at one moment."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """What could not be looked up, in sentences."""
        ...

    def exists(self, resource: ResourceRef) -> bool | None:
        """Whether the object exists; None when nobody knows."""
        ...

    def labels(self, resource: ResourceRef) -> Mapping[str, str] | None:
        """The labels of the object; None when nobody knows them."""
        ...

    def refs(self) -> Collection[ResourceRef]:
        """Every object known, of the kinds looked up."""
        ...

    def named(self, resource: ResourceRef) -> ResourceRef:
        """The object a source meant: a workload known by name gets its kind, a Service its namespace. Nothing else changes.

        What cannot be told has a name and no kind.
        """
        ...

    @property
    def custom_kinds(self) -> frozenset[str]:
        """The kinds of workloads there are that belong to custom controllers (``Rollout``)."""
        ...

    def above(self, resource: ResourceRef, kinds: Collection[str]) -> tuple[ResourceRef, ...]:
        """The objects of ``kinds`` that ``resource`` belongs to: it itself, unless it belongs to another one of them.

        A Pod belongs to its workload and to what owns that, to its node, its namespace, and the Services that select it, which alone can
        be several. ``Workload`` among the kinds is the workload, of whatever kind: what owns a Pod as people name it, and a Pod that
        nothing owns. What was deleted a few minutes ago still belongs where it did. Empty when there is none, or nobody knows.
        """
        ...

    def behind(self, service: ResourceRef) -> tuple[ResourceRef, ...]:
        """The workloads whose pods stand behind a Service; empty when there is none, or nobody knows."""
        ...

    def members(self, kinds: Collection[str]) -> tuple[str, ...]:
        """Of which kinds the objects are that those of ``kinds`` can be added up from, the best first; ``Workload`` is any workload."""
        ...

    def narrowing(self, kinds: Collection[str], namespace: str, name: str) -> tuple[str, ...]:
        """The names of the members of that object, beginnings of names with a hyphen at the end; empty when they cannot be told."""
        ...

    def splits(self, kind: str, namespace: str, name: str) -> tuple[Split, ...]:
        """The objects of a kind that divides traffic; ``namespace`` and ``name`` empty are all. Those that make no sense are left out.

        Raises :class:`metrics_api.errors.Unsupported` where there can be none (the cluster does not have the kind, or there is no
        cluster), :class:`metrics_api.errors.BackendUnavailable` where they cannot be read.
        """
        ...


class Objects(Protocol):
    """Where object views come from."""

    async def view(self, kinds: Collection[str], namespace: str, name: str) -> ObjectView:
        """The objects of these kinds; ``namespace`` and ``name`` narrow the look-up, empty is all."""
        ...

    async def view_of(self, resources: Collection[ResourceRef]) -> ObjectView:
        """A view that can name these resources; those of kind ``Workload``, ``JoinedService`` and ``CalledHost`` are what it is for."""
        ...


class Unowned:
    """The part of a view of objects of which nobody knows what belongs to what."""

    custom_kinds: frozenset[str] = frozenset()

    def above(self, resource: ResourceRef, kinds: Collection[str]) -> tuple[ResourceRef, ...]:
        """Nothing belongs to anything else."""
        return (resource,) if resource.kind in kinds else ()

    def behind(self, service: ResourceRef) -> tuple[ResourceRef, ...]:  # noqa: ARG002 nobody knows
        """Nobody knows."""
        return ()

    def members(self, kinds: Collection[str]) -> tuple[str, ...]:  # noqa: ARG002 nobody knows
        """Nobody knows."""
        return ()

    def narrowing(self, kinds: Collection[str], namespace: str, name: str) -> tuple[str, ...]:  # noqa: ARG002 nobody knows
        """Nobody knows."""
        return ()

    def splits(self, kind: str, namespace: str, name: str) -> tuple[Split, ...]:  # noqa: ARG002 nobody knows
        """Nobody knows: what divides traffic is read from Kubernetes alone."""
        row = type_of_kind(kind)
        raise Unsupported(
            f"{row.plural if row else kind} are read from Kubernetes, and this server runs without it: ask for the services they send to"
        )


class StandaloneObjects(Unowned):
    """No cluster: nothing is known to exist or not, and a bare workload name is of the configured kind.

    Which hyphen stands between the namespace and the name of a Service cannot be known, and the ``warnings`` say so of those ``joined``.
    """

    def __init__(self, workload_kind: str, joined: Collection[str] = ()) -> None:
        self._kind = workload_kind
        self._joined = tuple(sorted(joined))

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is shown for no Service."""
        if not self._joined:
            return ()
        sentence = (
            "the mesh writes the namespace and the name of a Service with a hyphen between them, and without Kubernetes nobody knows "
            f"which hyphen that is: the numbers of {first_few(self._joined)} are shown for no Service"
        )
        return (sentence,)

    async def view(self, kinds: Collection[str], namespace: str, name: str) -> ObjectView:  # noqa: ARG002 nothing to look up
        """This very object: there is nothing to look up."""
        return self

    async def view_of(self, resources: Collection[ResourceRef]) -> ObjectView:
        """A view that warns of what it cannot name."""
        joined = {resource.name for resource in resources if resource.kind == JOINED_SERVICE}
        return StandaloneObjects(self._kind, joined) if joined else self

    def exists(self, resource: ResourceRef) -> bool | None:  # noqa: ARG002 nobody knows
        """Nobody knows."""
        return None

    def labels(self, resource: ResourceRef) -> Mapping[str, str] | None:  # noqa: ARG002 nobody knows
        """Nobody knows."""
        return None

    def refs(self) -> Collection[ResourceRef]:
        """None is known."""
        return ()

    def named(self, resource: ResourceRef) -> ResourceRef:
        """A bare workload name becomes an object of the configured kind, a Service one cannot tell a mere name."""
        match resource.kind:
            case "Workload":
                return resource._replace(kind=self._kind)
            case "JoinedService":
                return host(resource.name)
            case "CalledHost":
                found = called_service(resource)
                # Only the form of the name tells a Service from any other host.
                return found[0] if found is not None and found[1] else host(resource.name)
            case _:
                return resource


class ThenView:
    """What the objects of now tell about a past instant: names, labels and kinds of those that are still there."""

    def __init__(self, now: ObjectView) -> None:
        self._now = now

    @property
    def warnings(self) -> tuple[str, ...]:
        """What could not be looked up, in sentences."""
        return self._now.warnings

    def exists(self, resource: ResourceRef) -> bool | None:
        """Whether the object existed: one that is gone may have."""
        return self._now.exists(resource) or None

    def gone(self, resource: ResourceRef) -> bool:
        """Whether the object is known not to exist any more."""
        return self._now.exists(resource) is False

    def labels(self, resource: ResourceRef) -> Mapping[str, str] | None:
        """The labels it has now."""
        return self._now.labels(resource)

    def refs(self) -> Collection[ResourceRef]:
        """The objects there are now."""
        return self._now.refs()

    def named(self, resource: ResourceRef) -> ResourceRef:
        """As the objects of now have it."""
        return self._now.named(resource)

    @property
    def custom_kinds(self) -> frozenset[str]:
        """Those there are now."""
        return self._now.custom_kinds

    def above(self, resource: ResourceRef, kinds: Collection[str]) -> tuple[ResourceRef, ...]:
        """As the objects of now have it, and those that are gone had it."""
        return self._now.above(resource, kinds)

    def behind(self, service: ResourceRef) -> tuple[ResourceRef, ...]:
        """Those that stand there now."""
        return self._now.behind(service)

    def members(self, kinds: Collection[str]) -> tuple[str, ...]:
        """As now."""
        return self._now.members(kinds)

    def narrowing(self, kinds: Collection[str], namespace: str, name: str) -> tuple[str, ...]:  # noqa: ARG002 what it is of
        """All: other objects belonged to it then."""
        return ()

    def splits(self, kind: str, namespace: str, name: str) -> tuple[Split, ...]:
        """Those of now, as they divide traffic now."""
        return self._now.splits(kind, namespace, name)
