"""TrafficQuery: one question, complete. A request becomes one once, and nothing later looks at the request again."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from metrics_api.resources import ANY_WORKLOAD, ResourceRef
from metrics_api.span import Span
from metrics_api.window import Window

__all__ = ["Direction", "Side", "TrafficQuery"]


class Direction(StrEnum):
    """Which way requests go, seen from the resource: ``to`` its callees, or ``from`` its callers."""

    TO = "to"
    FROM = "from"


class Side(StrEnum):
    """Who observed: the proxy of the caller (``client``) or of the callee (``server``)."""

    CLIENT = "client"
    SERVER = "server"


@dataclass(frozen=True, slots=True)
class TrafficQuery:
    """What is asked of the sources; hashable, so that identical questions are asked once.

    ``kinds``: the kinds of resource wanted; a row counts under the first kind a source can name it by.
    ``namespace`` and ``name``: empty for every one.
    ``edges``: rows per peer instead of the total each resource received.
    ``direction``: edges of one direction only; None for both. ``side``: rows observed there only; None for the better side of each.
    ``peer_kind``: the kind peers are wanted as; empty for the level of the resource itself.
    ``peer``: only edges with this peer; its empty fields are open.
    ``instant``: Unix seconds, the end of the window; one for the whole answer.
    ``sums``: also read how long all requests took together, for their mean.
    ``members``: kinds of the objects that the asker can add up to those of ``kinds`` (``Pod``; ``Workload`` is any kind of workload), the
    best first. Where a source cannot name an object of ``kinds``, in all of its series or in some, it names the first of these it can, and
    the sample is about that. ``peer_members``: the same for the level of the peer.
    ``whole``: of which kind the objects are whose members are asked about; its level is that of the peers.
    ``apart_from``: kinds; series that name an object of one of these are left out.
    ``quantiles``: percentiles that are wanted beside the three that every row has; a source that tells histograms need not look.
    ``services``: names of the Services by which callers may know the object asked for; empty when nobody knows.
    ``span``: the instants of the history that this question is a part of; who is asked may read all of them at once.
    ``narrowing``: the names of the members that matter, or with a hyphen at the end the beginnings of them; empty is all.
    """

    kinds: tuple[str, ...]
    window: Window
    instant: int
    namespace: str = ""
    name: str = ""
    edges: bool = False
    direction: Direction | None = None
    side: Side | None = None
    peer_kind: str = ""
    peer: ResourceRef = ResourceRef("", "", "")
    sums: bool = False
    members: tuple[str, ...] = ()
    peer_members: tuple[str, ...] = ()
    whole: str = ""
    apart_from: tuple[str, ...] = ()
    narrowing: tuple[str, ...] = ()
    quantiles: tuple[float, ...] = ()
    services: tuple[str, ...] = ()
    span: Span | None = None

    @property
    def peer_level(self) -> str:
        """The kind that peers are wanted as: that of the resource where it is no workload, unless another one is asked for."""
        kind = self.whole or self.kinds[0]
        return self.peer_kind or (kind if kind in ("Namespace", "Node", "Pod") else ANY_WORKLOAD)
