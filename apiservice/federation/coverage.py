"""What a source is asked that tells of some namespaces only: the question as far as it covers it, or why it is not asked at all."""

from __future__ import annotations

from dataclasses import replace

from metrics_api import Terms, TrafficQuery, first_few

__all__ = ["by_pods", "covered"]

_WILD = frozenset("*?")


def covered(query: TrafficQuery, terms: Terms) -> TrafficQuery | str:
    """The query as a source on these terms is asked it, or a sentence that says why it is not.

    A source may still tell of more than it covers: that is not heard (:func:`metrics_api.federation.merged`).
    """
    if terms.everywhere:
        return query
    namespaced = "Namespace" not in query.kinds
    asked = query.namespace if namespaced else query.name
    if asked:
        return query if terms.covers(asked) else _elsewhere(terms, asked)
    if "Node" in query.kinds:
        if "Pod" not in query.members:
            return "it covers some namespaces, and a node is in none"
        # What it would tell of a whole node is of other namespaces as well; its pods can be told apart.
        return by_pods(query)
    if len(terms.namespaces) == 1 and not _WILD & set(terms.namespaces[0]):
        (only,) = terms.namespaces
        return replace(query, namespace=only) if namespaced else replace(query, name=only)
    return query


def by_pods(query: TrafficQuery) -> TrafficQuery:
    """A query about nodes as one about the pods that are on them."""
    return replace(query, kinds=("Pod",), members=(), name="", whole=query.whole or "Node")


def _elsewhere(terms: Terms, namespace: str) -> str:
    return f'it covers {first_few(terms.namespaces)}, and not "{namespace}"'
