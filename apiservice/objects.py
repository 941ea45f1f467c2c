"""What exists: the objects traffic is shown for, their labels, and the kind of a workload known by name alone.

The server asks this of Kubernetes (:mod:`apiservice.inventory`) or, standalone, of nobody: then what a source reports is what exists.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Protocol

from metrics_api import ANY_WORKLOAD, ResourceRef

__all__ = ["ObjectView", "Objects", "StandaloneObjects"]


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
        """The object a source meant: a workload known by name gets its kind. Nothing else changes."""
        ...


class Objects(Protocol):
    """Where object views come from."""

    async def view(self, kinds: Collection[str], namespace: str, name: str) -> ObjectView:
        """The objects of these kinds; ``namespace`` and ``name`` narrow the look-up, empty is all."""
        ...

    async def view_of(self, resources: Collection[ResourceRef]) -> ObjectView:
        """A view that can name these resources; those of kind ``Workload`` are what it is for."""
        ...


class StandaloneObjects:
    """No cluster: nothing is known to exist or not, and a bare workload name is of the configured kind."""

    warnings: tuple[str, ...] = ()

    def __init__(self, workload_kind: str) -> None:
        self._kind = workload_kind

    async def view(self, kinds: Collection[str], namespace: str, name: str) -> ObjectView:  # noqa: ARG002 nothing to look up
        """This very object: there is nothing to look up."""
        return self

    async def view_of(self, resources: Collection[ResourceRef]) -> ObjectView:  # noqa: ARG002 nothing to look up
        """This very object: there is nothing to look up."""
        return self

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
        """A bare workload name becomes an object of the configured kind."""
        return resource._replace(kind=self._kind) if resource.kind == ANY_WORKLOAD else resource
