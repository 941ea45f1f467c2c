"""TrafficQuery: one question, complete. A request becomes one once, and nothing later looks at the request again."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from metrics_api.resources import ResourceRef
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
