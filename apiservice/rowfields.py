"""The fields of rows that field selectors compare: which there are for what is asked, and what they are of a row."""

from __future__ import annotations

from apiservice.requestinfo import RequestInfo
from apiservice.rownames import is_custom_kind
from metrics_api import (
    RESOURCE_TYPES,
    SPLIT_KINDS,
    BadQuery,
    Direction,
    FieldSelector,
    Side,
    TrafficMetrics,
    type_of_kind,
    type_of_plural,
)
from metrics_api.fields import FieldTerm

__all__ = ["CHOICES", "CLUSTER", "EDGES", "fields_of", "name_in_path", "parse_kind", "parse_row_fields"]

EDGES = "edges"

CHOICES = ("window", "time")
"""Fields that choose what is measured; they say nothing about rows."""

CLUSTER = "cluster"
"""The field that chooses among clusters, by their names; the empty name is that of the cluster the server runs in."""

_OBJECT_FIELDS = ("metadata.name", "metadata.namespace", CLUSTER, *CHOICES)
_EDGE_FIELDS = ("edge.direction", "edge.side", "edge.resource.kind", "edge.resource.name", "edge.resource.namespace")
_RESOURCE_FIELDS = ("resource.kind", "resource.name")
_SPLIT_FIELDS = ("backend.name", "backend.apex")


def fields_of(row: TrafficMetrics) -> dict[str, str]:
    """The fields of a row that field selectors compare."""
    backend = {} if row.backend is None else {"backend.name": row.backend.name, "backend.apex": row.backend.apex}
    return {
        **backend,
        "metadata.name": row.name,
        "metadata.namespace": row.namespace,
        CLUSTER: row.cluster,
        "resource.kind": row.resource.kind,
        "resource.name": row.resource.name,
        "edge.direction": row.edge.direction.value,
        "edge.side": row.edge.side.value,
        "edge.resource.kind": row.edge.peer.kind,
        "edge.resource.name": row.edge.peer.name,
        "edge.resource.namespace": row.edge.peer.namespace,
    }


def parse_row_fields(text: str, info: RequestInfo, *, qualified: bool) -> FieldSelector:
    """The field selector of a request, with kinds spelt as Kubernetes spells them; ``qualified`` rows have the fields of workloads.

    Raises :class:`metrics_api.errors.BadQuery` for a field that the rows do not have, and for a value that no row can have.
    """
    known = [*_OBJECT_FIELDS]
    if qualified:
        known += _RESOURCE_FIELDS
    if qualified or EDGES in (info.resource, info.subresource):
        known += _EDGE_FIELDS
    served = type_of_plural(info.resource)
    if served is not None and served.kind in SPLIT_KINDS:
        known += _SPLIT_FIELDS
    selector = FieldSelector.parse(text, known)
    terms = []
    for term in selector.terms:
        value = term.value
        if term.field.endswith(".kind") and value:
            value = parse_kind(value, term.field)
        if term.field == "edge.direction" and value not in (Direction.TO, Direction.FROM):
            raise BadQuery(f'edge.direction is "to" or "from", not "{value}"')
        if term.field == "edge.side" and value not in (Side.CLIENT, Side.SERVER):
            raise BadQuery(f'edge.side is "client" or "server", not "{value}"')
        terms.append(FieldTerm(term.field, value, term.equal))
    name = selector.required("metadata.name")
    if name_in_path(info) not in ("", name or name_in_path(info)):
        raise BadQuery("fieldSelector metadata.name doesn't match requested name")
    return FieldSelector(tuple(terms))


def parse_kind(text: str, field: str, also: str = "") -> str:
    """The kind that the value of ``field`` means, which may be a plural. ``also`` are words that are understood beside kinds.

    Raises :class:`metrics_api.errors.BadQuery` for what can be no kind.
    """
    row = type_of_kind(text) or type_of_plural(text.lower())
    if row is None and field != "edgeKind" and is_custom_kind(text):
        # Which custom controllers there are is for Kubernetes to say.
        return text
    if row is None:
        known = f"{also}{', '.join(row.kind for row in RESOURCE_TYPES)}"
        custom = "" if field == "edgeKind" else ", and the kinds of custom controllers, spelt as Kubernetes has them (Rollout)"
        raise BadQuery(f'{field}: "{text}" is not a kind; known are {known}{custom}')
    return row.kind


def name_in_path(info: RequestInfo) -> str:
    """The name the path gives; that of a list is one its field selector asks for."""
    return info.name if info.verb == "get" else ""
