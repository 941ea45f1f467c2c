"""The keys that an entry of any type may have: which part of the world a source tells of, and how it takes part beside others."""

from __future__ import annotations

import re
from collections.abc import Mapping

from metrics_api.document import Node
from metrics_api.keys import keys_of, names_of, read_keys
from metrics_api.source import Terms

__all__ = ["KEYS", "read_terms"]

KEYS = names_of(keys_of(Terms))

_NAMESPACES = re.compile(r"[-a-z0-9*?]{1,63}")


def read_terms(entries: Mapping[str, Node]) -> Terms:
    """The terms that an entry of ``backends`` states; mistakes go to the problems of its nodes."""
    told = read_keys(Terms, entries)
    covers = entries["covers"].value if "covers" in entries else None
    if isinstance(covers, dict) and "namespaces" in covers:
        told["namespaces"] = _namespaces(covers["namespaces"])
    return Terms(**told)


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
