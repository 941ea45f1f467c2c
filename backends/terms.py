"""The keys that an entry of any type may have: which part of the world a source tells of, and how it takes part beside others."""

from __future__ import annotations

import re
from collections.abc import Mapping

from metrics_api.document import Node
from metrics_api.source import Merge, Terms, parse_cluster
from metrics_api.window import parse_duration

__all__ = ["KEYS", "read_terms"]

KEYS = ("covers", "merge", "hedgeAfter")

_NAMESPACES = re.compile(r"[-a-z0-9*?]{1,63}")
_LONGEST_HEDGE = 60


def read_terms(entries: Mapping[str, Node]) -> Terms:
    """The terms that an entry of ``backends`` states; mistakes go to the problems of its nodes."""
    covers = entries["covers"].mapping(("cluster", "namespaces")) if "covers" in entries else {}
    return Terms(
        cluster=covers["cluster"].read(parse_cluster, "") if "cluster" in covers else "",
        namespaces=_namespaces(covers["namespaces"]) if "namespaces" in covers else (),
        merge=Merge(entries["merge"].choice([each.value for each in Merge], Merge.FIRST.value))
        if "merge" in entries
        else Merge.FIRST,
        hedge_after=entries["hedgeAfter"].read(_hedge, 0.0) if "hedgeAfter" in entries else 0.0,
    )


def _namespaces(node: Node) -> tuple[str, ...]:
    found: list[str] = []
    for item in node.items():
        text = item.text()
        if not _NAMESPACES.fullmatch(text):
            item.problem(f'"{text}" is not the name of a namespace, nor a pattern for some such as team-*')
        found.append(text)
    if not found and isinstance(node.value, list):
        node.problem("lists no namespace: leave it out to cover all of them")
    return tuple(dict.fromkeys(found))


def _hedge(text: str) -> float:
    seconds = parse_duration(text)
    if not 0 <= seconds <= _LONGEST_HEDGE:
        raise ValueError(f'"{text}" must be from 0s, which is never, to {_LONGEST_HEDGE}s')
    return float(seconds)
