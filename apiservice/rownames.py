"""The names of rows, read: ``deployment.web``, ``rollout.web``, ``deployment.web.to.deployment.api``, and ``web@west``.

Rows of other clusters than the one the server runs in have the name of their cluster at the end, behind an ``@``, which is in no name of
Kubernetes. One in the name of a peer that is a mere host is written twice.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from metrics_api import ANY_WORKLOAD, CALLED_HOST, JOINED_SERVICE, WORKLOAD_KINDS, Direction, type_of_kind

__all__ = ["RowName", "is_custom_kind", "join_cluster", "row_named", "split_cluster"]

_CUSTOM = re.compile(r"[A-Z][A-Za-z0-9]*")
"""Kinds as custom resources have them."""

_IN_CLUSTER = re.compile(r"(?P<name>.+(?<!@)(?:@@)*)@(?P<cluster>[^@]+)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class RowName:
    """``deployment.web`` or ``deployment.web.to.pod.api-1``: kind, the rest, and of an edge the part about the peer and its kind."""

    kind: str
    rest: str
    peer: str = ""
    peer_kind: str = ""


def row_named(text: str) -> RowName | None:
    """What a row of this name, without its cluster, is about; None when no row has such a name."""
    word, _, rest = text.partition(".")
    row = type_of_kind(word)
    if not rest or (row is None and not is_custom_kind(word.capitalize())):
        return None
    # Of what kind the workload of a custom controller is, its row says; here it is of any.
    kind = row.kind if row is not None else ""
    for direction in Direction:
        before, _, peer = rest.partition(f".{direction.value}.")
        if before and peer:
            level = type_of_kind(peer.partition(".")[0])
            natural = level is None or level.kind in WORKLOAD_KINDS
            return RowName(kind, rest, peer, "" if natural or level is None else level.kind)
    return RowName(kind, rest)


def split_cluster(text: str) -> tuple[str, str]:
    """The name of a row without its cluster, and the cluster: empty for a name without ``@``, which is of the server's own."""
    found = _IN_CLUSTER.fullmatch(text)
    return (found["name"], found["cluster"]) if found else (text, "")


def join_cluster(name: str, cluster: str) -> str:
    """The name of a row of a cluster, the other way round."""
    return f"{name}@{cluster}" if cluster else name


def is_custom_kind(text: str) -> bool:
    """Whether a kind that is not served may be that of a custom controller's objects; which there are is for Kubernetes to say."""
    return _CUSTOM.fullmatch(text) is not None and text not in (ANY_WORKLOAD, CALLED_HOST, JOINED_SERVICE)
