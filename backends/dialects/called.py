"""What is asked for by the host names that callers know it by: who calls a workload is told by the names of the Services before it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from backends.dialects.identity import Identity, Sought
from metrics_api import ANY_WORKLOAD, CALLED_HOST, WORKLOAD_KINDS, Direction, TrafficQuery

__all__ = ["called"]

_CALLED = frozenset({*WORKLOAD_KINDS, ANY_WORKLOAD, "Service", "Namespace"})
"""Kinds that a host name may come to stand for."""


def called(identities: Iterable[Identity], query: TrafficQuery, direction: Direction) -> list[Identity]:
    """The identities of hosts, narrowed to those that may be what is asked for: of edges from callers, whose series alone have them.

    What answers under a host name is for whoever knows the Services.
    """
    if not query.edges or direction is not Direction.FROM or not _CALLED.issuperset(query.kinds):
        return []
    if query.kinds == ("Namespace",):
        sought = Sought(query.name)
    else:
        # While nobody knows the Services, one may have the name of its workload.
        sought = Sought(query.namespace, query.services or ((query.name,) if query.name else ()))
    return [replace(identity, sought=sought) for identity in identities if identity.kind == CALLED_HOST]
