"""What exists: the objects traffic is shown for, their labels, and the kind of a workload known by name alone.

The server asks this of Kubernetes (:mod:`apiservice.inventory`) or, standalone, of nobody: then what a source reports is what exists.
Kubernetes knows the present only, so of an object that is gone nobody knows whether it existed at a past instant.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Protocol

from metrics_api import JOINED_SERVICE, ResourceRef, first_few
from metrics_api.resources import host

__all__ = ["ObjectView", "Objects", "StandaloneObjects", "ThenView"]


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


class Objects(Protocol):
    """Where object views come from."""

    async def view(self, kinds: Collection[str], namespace: str, name: str) -> ObjectView:
        """The objects of these kinds; ``namespace`` and ``name`` narrow the look-up, empty is all."""
        ...

    async def view_of(self, resources: Collection[ResourceRef]) -> ObjectView:
        """A view that can name these resources; those of kind ``Workload`` and ``JoinedService`` are what it is for."""
        ...


class StandaloneObjects:
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
