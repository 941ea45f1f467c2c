"""Who the ends of edges are to each other by mutual TLS, as Linkerd viz tells it of the connections that are open now.

It is told of edges that are known already, and is never taken for a reason to believe in one: what is open now is not what there was in
the window (linkerd/linkerd2, viz/metrics-api/edges.go).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from backends.linkerd import viz_pb2 as viz
from backends.linkerd.client import VizClient
from backends.linkerd.kinds import WIRE
from metrics_api import BackendError, Direction, Identities, ResourceRef, Sample, together

__all__ = ["IdentityReader", "identified"]

_TOLD_OF = frozenset(WIRE) - {"Service", "Namespace"}
"""Kinds of which viz tells it, if both ends are of one. It does not of Services, and of all the workloads of two namespaces it would tell
who the first pair of them are."""

_PATIENCE = 1.0
"""Seconds that an answer waits for identities when all else is there."""


class IdentityReader:
    """Reads the identities of the edges between two objects of one of ``kinds``, one of them in the namespace, or with "" in any."""

    def __init__(self, client: VizClient, source: str, kinds: Iterable[str], namespace: str) -> None:
        self._client = client
        self._source = source
        self._kinds = [kind for kind in kinds if kind in _TOLD_OF]
        self._namespace = namespace
        self._limit: asyncio.Timeout | None = None
        self.known: dict[tuple[ResourceRef, ResourceRef], Identities] = {}
        """By the caller and the callee."""
        self.warnings: tuple[str, ...] = ()
        """Why none are known."""

    async def read(self) -> None:
        """Read them. That it fails is a warning, for edges are edges without them."""
        try:
            async with asyncio.timeout(None) as self._limit:
                answers = await together(*(self._client.edges(WIRE[kind], self._namespace) for kind in self._kinds))
        except BackendError as error:
            self.warnings = (f"{error.message}; edges are told without identities",)
        except TimeoutError:
            self.warnings = (f'source "{self._source}": identities of edges are left out, because they take longer than all else',)
        else:
            for kind, edges in zip(self._kinds, answers, strict=True):
                for edge in edges:
                    ends = (_ref(kind, edge.src), _ref(kind, edge.dst))
                    self.known.setdefault(ends, Identities(edge.client_id, edge.server_id, edge.no_identity_msg))
        finally:
            self._limit = None

    def hurry(self) -> None:
        """All else is there."""
        if self._limit is not None:
            self._limit.reschedule(asyncio.get_running_loop().time() + _PATIENCE)


def identified(samples: Sequence[Sample], known: Mapping[tuple[ResourceRef, ResourceRef], Identities]) -> list[Sample]:
    """The samples of edges, those with identities of which they are known."""
    return [replace(sample, identities=known.get(_ends(sample))) for sample in samples]


def _ends(sample: Sample) -> tuple[ResourceRef, ResourceRef]:
    """The caller and the callee."""
    ends = (sample.resource, sample.peer)
    return ends if sample.direction is Direction.TO else ends[::-1]


def _ref(kind: str, resource: viz.Resource) -> ResourceRef:
    return ResourceRef(kind, resource.namespace, resource.name)
