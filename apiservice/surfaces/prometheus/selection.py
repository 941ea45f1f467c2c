"""From a selector to reads of the API: what has to be read for it, and which of what was read it selects.

What a selector pins down is asked for and nothing else: the series of one namespace take a read of that namespace alone, which is what a
role that grants it allows. Some labels choose what is measured: ``kind`` another level than workloads, a label of edges the edges in the
place of totals, ``window`` another window than the usual one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

from apiservice.rowfields import CLUSTER
from apiservice.rownames import is_custom_kind
from apiservice.surfaces.prometheus.failures import cannot_execute
from apiservice.surfaces.prometheus.selector import NAME, Matcher, Selector
from apiservice.surfaces.prometheus.vocabulary import (
    EDGE_LABELS,
    FAMILIES,
    INCOMPLETE,
    MEASURE_LABELS,
    ROW_LABELS,
    WINDOW,
    Family,
    Labels,
    Measure,
)
from apiservice.surfaces.reading import Asked
from metrics_api.fields import FieldSelector, FieldTerm
from metrics_api.resources import SPLIT_KINDS, type_of_kind
from metrics_api.window import Window

__all__ = ["Scope", "Selection", "select"]

_MOST_READS = 64
"""Reads that a selector may come to. Of more namespaces than that all are read at once, which takes the right to."""

_EDGE_FIELDS = {
    "direction": "edge.direction",
    "peer_name": "edge.resource.name",
    "peer_namespace": "edge.resource.namespace",
}
_OWN_PATHS = {"Namespace": "namespaces", "Node": "nodes"}
"""Kinds that are in no namespace, and the resources they are read as."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What a URL limits every question to: a ``namespace``, or all of them; and the ``window`` of what does not name one."""

    namespace: str
    window: Window


@dataclass(frozen=True, slots=True)
class Selection:
    """What a selector comes to.

    ``reads`` are what to ask the API for, each once. ``of_rows`` are its matchers of what numbers are of, and ``measures`` the numbers it
    selects of every row. ``window`` is the value of the label that series have, empty for none. ``told`` are sentences for the reader.
    """

    of_rows: tuple[Matcher, ...]
    reads: tuple[Asked, ...]
    measures: tuple[tuple[Family, Measure], ...]
    window: str = ""
    told: tuple[str, ...] = ()

    @property
    def tells_of_whole(self) -> bool:
        """Whether it selects what is told of answers as a whole."""
        return bool(self.reads) and any(family is INCOMPLETE for family, _ in self.measures) and self.has({})

    def has(self, labels: Labels) -> bool:
        """Whether a row with these labels is selected."""
        return all(matcher.accepts(labels.get(matcher.label, "")) for matcher in self.of_rows)


def select(selector: Selector, scope: Scope) -> Selection:
    """Understand a selector.

    Raises a :class:`apiservice.surfaces.prometheus.failures.Failure` for what cannot be read at once, and
    :class:`metrics_api.errors.BadQuery` for a window that is none.
    """
    measures = tuple(
        (family, measure)
        for family in FAMILIES
        for measure in family.measures
        if selector.accepts(family.labels(measure), (NAME, *MEASURE_LABELS))
    )
    of_rows = tuple(matcher for matcher in selector.matchers if matcher.label in (*ROW_LABELS, WINDOW))
    window = _window(selector)
    known = {NAME, *MEASURE_LABELS, *ROW_LABELS, WINDOW}
    strange = sorted(
        {matcher.label for matcher in selector.matchers if matcher.label not in known and not selector.allows(matcher.label, "")}
    )
    if not measures or strange:
        return Selection(of_rows, (), (), window, _nothing_of(selector, strange))
    totals = all(selector.allows(label, "") for label in EDGE_LABELS)
    if all(family is INCOMPLETE for family, _ in measures) and not totals:
        return Selection(of_rows, (), (), window)
    namespaces, told = _namespaces(selector, scope)
    kinds, spelt = _kinds(selector, "kind")
    peer_kinds, also = ([""], ()) if totals else _kinds(selector, "peer_kind")
    if len(namespaces) > 1 and len(namespaces) * len(kinds) * len(peer_kinds) > _MOST_READS:
        namespaces = [None]
    wanted = [_Read(*each, totals) for each in product(namespaces, kinds, peer_kinds)]
    if len(wanted) > _MOST_READS:
        raise cannot_execute(f"{len(wanted)} pairs of kinds are selected: name fewer of them, {_MOST_READS} are the most")
    chosen = (("window", str(Window.parse(window) if window else scope.window)),)
    reads = dict.fromkeys(asked for each in wanted if (asked := each.asked(selector, scope, chosen)) is not None)
    return Selection(of_rows, tuple(reads), measures, window, (*told, *spelt, *also))


class _Read(NamedTuple):
    """One read: ``namespace`` is None for all of them, and empty for what is in none; an empty kind is any workload."""

    namespace: str | None
    kind: str
    peer_kind: str
    totals: bool

    def asked(self, selector: Selector, scope: Scope, parameters: tuple[tuple[str, str], ...]) -> Asked | None:
        """The read as the API has it; None where there is nothing of it."""
        resource = _OWN_PATHS.get(self.kind)
        cluster = ((CLUSTER, _one(selector, CLUSTER)),)
        if resource is None:
            if self.namespace == "":
                return None
            fields = (*cluster, ("resource.kind", self.kind), ("resource.name", _one(selector, "name")), *self._edge(selector))
            return Asked("trafficmetrics", self.namespace or "", parameters=(*parameters, *self._field_selector(fields)))
        if self.namespace or not selector.allows("namespace", "") or (scope.namespace and self.kind != "Namespace"):
            return None
        if scope.namespace and not selector.allows("name", scope.namespace):
            return None
        name = scope.namespace or _one(selector, "name")
        if self.totals and not scope.namespace and _one(selector, CLUSTER):
            # Names are those of home; which cluster that is shows in the rows alone.
            return Asked(resource, parameters=(*parameters, *self._field_selector(cluster)))
        if self.totals:
            return Asked(resource, name=name, parameters=parameters)
        if not name:
            raise cannot_execute(f'the edges of a {self.kind} are those of one: add name="…"')
        return Asked(resource, name=name, edges=True, parameters=(*parameters, *self._field_selector(self._edge(selector))))

    def _edge(self, selector: Selector) -> Iterator[tuple[str, str]]:
        if not self.totals:
            yield "edge.resource.kind", self.peer_kind
            for label, field in _EDGE_FIELDS.items():
                yield field, _one(selector, label)

    def _field_selector(self, wanted: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
        """The field selector that lets sources read less, and that tells edges from totals."""
        terms = [FieldTerm(field, value, equal=True) for field, value in wanted if value]
        if not self.totals:
            # Every edge has somebody at its other end, and no total has.
            terms.append(FieldTerm("edge.resource.name", "", equal=False))
        return (("fieldSelector", str(FieldSelector(tuple(terms)))),) if terms else ()


def _one(selector: Selector, label: str) -> str:
    """The one value that a label has; empty when it may have several, or none."""
    only = selector.only(label)
    return next(iter(only)) if only is not None and len(only) == 1 else ""


def _namespaces(selector: Selector, scope: Scope) -> tuple[list[str | None], tuple[str, ...]]:
    """The namespaces to read; None is all of them, and the empty one is what is in none."""
    only = selector.only("namespace")
    if scope.namespace:
        if selector.allows("namespace", scope.namespace):
            return [scope.namespace, *([""] if selector.allows("namespace", "") else [])], ()
        if selector.allows("namespace", ""):
            return [""], ()
        return [], (f'this address tells of the namespace "{scope.namespace}" alone',)
    return [None] if only is None else [*sorted(only)], ()


def _kinds(selector: Selector, label: str) -> tuple[list[str], tuple[str, ...]]:
    """The kinds to read; the empty one is that of workloads, whatever they are."""
    only = selector.only(label)
    if only is None:
        return [""], ()
    found, told = [], []
    for kind in sorted(only):
        row = type_of_kind(kind)
        if kind in SPLIT_KINDS:
            raise cannot_execute(f"a {kind} has no traffic of its own, but some for each backend: read that from the API itself")
        if (row is not None and row.kind == kind) or (row is None and (is_custom_kind(kind) or not kind)):
            found.append(kind)
        else:
            told.append(f'there is no {label} "{kind[:100]}"' + (f": it is spelt {row.kind}" if row is not None else ""))
    return found, tuple(told)


def _window(selector: Selector) -> str:
    """The window that is chosen, as it is written; empty for the usual one."""
    if selector.allows(WINDOW, ""):
        return ""
    only = selector.only(WINDOW)
    if only is None or len(only) > 1:
        raise cannot_execute(f'one window can be chosen for a query: write {WINDOW}="5m"')
    if not only:
        raise cannot_execute(f"the matchers of {WINDOW} contradict each other")
    return next(iter(only))


def _nothing_of(selector: Selector, strange: list[str]) -> tuple[str, ...]:
    """Why nothing is selected, where it is likely a mistake."""
    if strange:
        return (f"no series has the label {', '.join(strange)}: there are {', '.join((*ROW_LABELS, *MEASURE_LABELS, WINDOW))}",)
    names = [family.name for family in FAMILIES]
    only = selector.only(NAME)
    if only is not None and not only & set(names):
        return (f"there is no metric of that name: there are {', '.join(names)}",)
    return ()
