"""From what a query wants to what is read of the API for it: as little as will do, because each read is a right that its user must have."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from apiservice.question import TRAFFIC_METRICS
from apiservice.rowfields import parse_kind
from apiservice.rownames import split_cluster
from apiservice.surfaces.grafana.filters import names_required
from apiservice.surfaces.grafana.wanted import Wanted
from apiservice.surfaces.reading import Asked
from metrics_api.errors import BadQuery
from metrics_api.fields import FieldTerm
from metrics_api.resources import SPLIT_KINDS, WORKLOAD_KINDS, type_of_kind
from metrics_api.window import Window

__all__ = ["MOST_READS", "WORKLOADS", "alone", "kinds_of", "reads_of"]

MOST_READS = 100
"""Reads for one query: each is a question to the sources, and a permission that is asked for."""

_FEW = 10
"""Names whose edges are read one after the other; of more, those of all are, and the others are left out."""

WORKLOADS = "workloads"
"""The kind that is meant when none is said: workloads of every kind, each by its own."""

_OTHER_WORDS = frozenset({WORKLOADS, "workload", TRAFFIC_METRICS})


def reads_of(wanted: Wanted, scope: str, window: Window) -> tuple[Asked, ...]:
    """What is to be read, each once. ``scope`` is the namespace that the URL answers for, empty for all.

    No reads when there can be no row. Raises :class:`metrics_api.errors.BadQuery` for what cannot be asked so.
    """
    namespaces = _namespaces(wanted, scope)
    found: list[Asked] = []
    for kind in kinds_of(wanted):
        found += islice(_of_kind(kind, namespaces, wanted, window), MOST_READS + 1)
        if len(found) > MOST_READS:
            raise BadQuery(
                f"this is more than {MOST_READS} reads: choose fewer namespaces or kinds, or leave out the namespace to read all of "
                'them at once, for which a variable has the custom value ".*" for all'
            )
    return tuple(dict.fromkeys(found))


def alone(asked: Asked) -> bool:
    """Whether a read is about one resource in total, so that there is one row of it, or a few in other clusters."""
    selector = dict(asked.parameters).get("fieldSelector", "")
    named = bool(asked.name) or "metadata.name=" in selector or "resource.name=" in selector
    return named and not asked.edges and "edge." not in selector


def _namespaces(wanted: Wanted, scope: str) -> list[str]:
    """The namespaces to read in; the empty one stands for all."""
    if scope:
        asked = wanted.namespaces.names
        if asked is not None and asked != {scope}:
            other = ", ".join(sorted(asked - {scope}))
            raise BadQuery(
                f'this URL answers for the namespace "{scope}" alone, and {other} is asked for: leave out the namespace, or use the URL '
                "without one"
            )
        required = names_required(wanted.filters, "namespace", wanted.namespaces)
        return [scope] if wanted.namespaces.has(scope) and (required is None or scope in required) else []
    required = names_required(wanted.filters, "namespace", wanted.namespaces)
    return [""] if required is None else sorted(required - {""})


def kinds_of(wanted: Wanted) -> list[str]:
    """The kinds to read: :data:`WORKLOADS`, or kinds as Kubernetes spells them. Raises BadQuery for what is none."""
    if wanted.kinds.everything:
        return [WORKLOADS]
    if wanted.kinds.names is None:
        raise BadQuery('kind is one such as deployments, or several as "(deployments|statefulsets)", but no pattern')
    words = sorted(wanted.kinds.names)
    kinds = {WORKLOADS if word.lower() in _OTHER_WORDS else parse_kind(word, "kind", f"{WORKLOADS}, ") for word in words}
    # What workloads of every kind have is not told twice.
    return sorted(kinds - set(WORKLOAD_KINDS) if WORKLOADS in kinds else kinds)


def _of_kind(kind: str, namespaces: list[str], wanted: Wanted, window: Window) -> Iterator[Asked]:
    served = type_of_kind(kind) if kind != WORKLOADS else None
    if served is not None and served.kind == "Namespace":
        return _of_namespaces(namespaces, wanted, window)
    if served is not None and not served.namespaced:
        return _of_nodes(served.plural, namespaces, wanted, window)
    return _of_workloads(kind, namespaces, wanted, window)


def _of_workloads(kind: str, namespaces: list[str], wanted: Wanted, window: Window) -> Iterator[Asked]:
    served = type_of_kind(kind) if kind != WORKLOADS else None
    names = names_required(wanted.filters, "name", wanted.names)
    if names is not None and not names:
        return
    name = next(iter(names)) if names is not None and len(names) == 1 else ""
    split = served is not None and served.kind in SPLIT_KINDS
    apart = names is not None and (len(names) <= _FEW or split)
    for namespace in namespaces:
        if wanted.directions and served is not None and names and namespace and apart:
            for each in sorted(names):
                yield Asked(served.plural, namespace, each, edges=True, parameters=_parameters(wanted, window, _edge_terms(wanted)))
        elif wanted.directions:
            if served is not None and split:
                raise BadQuery(f"edges of {served.plural} are those of one of them: say the namespace and the name")
            terms = [*_kind_terms("" if kind == WORKLOADS else kind), *_name_terms(name), *_edge_terms(wanted)]
            if not any(term.field.startswith("edge.") and term.equal for term in terms):
                # What has no peer is a total.
                terms.append(FieldTerm("edge.resource.name", "", equal=False))
            yield Asked(TRAFFIC_METRICS, namespace, parameters=_parameters(wanted, window, terms))
        elif served is not None:
            terms = [FieldTerm("metadata.name", name, equal=True)] if name else []
            yield Asked(served.plural, namespace, parameters=_parameters(wanted, window, terms))
        else:
            terms = [*_kind_terms("" if kind == WORKLOADS else kind), *_name_terms(name)]
            yield Asked(TRAFFIC_METRICS, namespace, parameters=_parameters(wanted, window, terms))


def _of_namespaces(namespaces: list[str], wanted: Wanted, window: Window) -> Iterator[Asked]:
    """Namespaces are called by their own name, which is also the one that their rows are in."""
    names = names_required(wanted.filters, "name", wanted.names)
    if namespaces == [""]:
        namespaces = [""] if names is None else sorted(names)
    elif names is not None:
        namespaces = [namespace for namespace in namespaces if namespace in names]
    parameters = _parameters(wanted, window, _edge_terms(wanted))
    for namespace in namespaces:
        if wanted.directions and not namespace:
            raise BadQuery(
                "edges of namespaces are read one namespace after the other: say which, as a variable with all of them does"
            )
        yield Asked("namespaces", name=namespace, edges=bool(wanted.directions), parameters=parameters)


def _of_nodes(plural: str, namespaces: list[str], wanted: Wanted, window: Window) -> Iterator[Asked]:
    if namespaces != [""]:
        if wanted.namespaces.everything and any(each.key == "namespace" for each in wanted.filters):
            # A filter of the whole dashboard leaves nothing of them.
            return
        raise BadQuery(f"{plural} are in no namespace: leave it out, and use the URL without one")
    parameters = _parameters(wanted, window, _edge_terms(wanted))
    if not wanted.directions:
        yield Asked(plural, parameters=parameters)
        return
    if not wanted.names.names:
        raise BadQuery(f"edges of {plural} are those of one of them: say its name")
    for name in sorted(wanted.names.names):
        yield Asked(plural, name=name, edges=True, parameters=parameters)


def _kind_terms(kind: str) -> list[FieldTerm]:
    return [FieldTerm("resource.kind", kind, equal=True)] if kind else []


def _name_terms(name: str) -> list[FieldTerm]:
    """The resource of a name in ``trafficmetrics``, which knows the cluster of ``web@west`` by a field of its own."""
    if not name:
        return []
    plain, cluster = split_cluster(name)
    return [FieldTerm("resource.name", plain, equal=True), FieldTerm("cluster", cluster, equal=True)]


def _edge_terms(wanted: Wanted) -> list[FieldTerm]:
    terms = []
    if len(wanted.directions) == 1:
        terms.append(FieldTerm("edge.direction", wanted.directions[0].value, equal=True))
    if wanted.directions and wanted.peers.only:
        terms.append(FieldTerm("edge.resource.name", wanted.peers.only, equal=True))
    return terms


def _parameters(wanted: Wanted, window: Window, terms: Iterable[FieldTerm]) -> tuple[tuple[str, str], ...]:
    selector = ",".join(map(str, terms))
    given = {
        "window": str(wanted.window or window),
        "fieldSelector": selector,
        "labelSelector": wanted.labels,
        "edgeKind": wanted.peer_kind if wanted.directions else "",
        "includeIdle": "true" if wanted.idle and not wanted.directions else "",
    }
    return tuple((name, value) for name, value in given.items() if value)
