"""API groups beside our own that a server may be told to serve: what discovery and OpenAPI have to say of them.

Without such groups the documents are those of our own group alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

__all__ = ["ApiGroup", "GroupVersion", "Listed"]


class Listed(NamedTuple):
    """One entry of an APIResourceList. ``name`` may be of a subresource (``pods/requests_per_second``)."""

    name: str
    namespaced: bool
    kind: str
    verbs: tuple[str, ...] = ("get",)


@dataclass(frozen=True, slots=True)
class GroupVersion:
    """One version of a group.

    ``paths`` are path items of OpenAPI 3.0 by their paths, ``schemas`` its schemas by their full names, which nobody else may use.
    """

    group: str
    version: str
    resources: tuple[Listed, ...]
    paths: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    schemas: Mapping[str, Any] = field(default_factory=dict)

    @property
    def api_version(self) -> str:
        """Group and version as objects carry them."""
        return f"{self.group}/{self.version}"


@dataclass(frozen=True, slots=True)
class ApiGroup:
    """A group, and its versions; the first is the preferred one."""

    name: str
    versions: tuple[GroupVersion, ...]
