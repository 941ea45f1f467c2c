"""Ad hoc filters: what a dashboard compares the rows of all of its panels with.

Names are compared with ``=``, ``!=``, ``=~`` and ``!~``, numbers with ``=``, ``!=``, ``<`` and ``>``; ``=|`` and ``!=|`` are one of several
and none of them. What a row does not have is the empty name, as in PromQL: a total has no peer. A number that is unknown is compared with
nothing, and its row is left out.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from apiservice.rownames import join_cluster, split_cluster
from apiservice.surfaces.grafana.choice import Choice
from apiservice.surfaces.grafana.metrics import METRICS
from apiservice.surfaces.pattern import Pattern
from metrics_api.errors import BadQuery
from metrics_api.golden import golden
from metrics_api.objects import TrafficMetrics
from metrics_api.resources import EVERYTHING, type_of_kind, type_of_plural

__all__ = ["MOST_FILTERS", "NUMBERS", "WORDS", "Filter", "full_name", "names_required", "parse_filters", "words_of"]

WORDS = ("namespace", "kind", "name", "peer", "peer_kind", "peer_namespace", "direction", "cluster")
"""What rows are told apart by, and panels label their series with."""

MOST_FILTERS = 50
"""Filters of one request: each is compared with every row."""

_OF_EDGES = frozenset({"peer", "peer_kind", "peer_namespace", "direction"})

NUMBERS = tuple(metric.name for metric in METRICS)

_NUMBERS = {metric.name: metric.value for metric in METRICS}
_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
}


def full_name(row: TrafficMetrics) -> str:
    """The name of what a row is about: ``web``, and ``web@west`` in another cluster than the server's own."""
    return join_cluster(row.resource.name, split_cluster(row.name)[1])


def words_of(row: TrafficMetrics) -> dict[str, str]:
    """The words of a row, those of :data:`WORDS`; of a total those about a peer are empty."""
    resource, peer = row.resource, row.edge.peer
    edge = peer != EVERYTHING
    return {
        "namespace": resource.name if resource.kind == "Namespace" else row.namespace or resource.namespace,
        "kind": resource.kind,
        "name": full_name(row),
        "peer": peer.name,
        "peer_kind": peer.kind,
        "peer_namespace": peer.namespace,
        "direction": row.edge.direction.value if edge else "",
        "cluster": row.cluster,
    }


@dataclass(frozen=True)
class Filter:
    """One comparison; ``values`` are several for ``=|`` and ``!=|``, else one."""

    key: str
    operator: str
    values: tuple[str, ...]

    @property
    def about_edges(self) -> bool:
        """Whether it compares what only edges have."""
        return self.key in _OF_EDGES

    @cached_property
    def _pattern(self) -> Pattern:
        return Pattern(self.values[0])

    @cached_property
    def _number(self) -> float:
        return float(self.values[0])

    def check(self) -> None:
        """Raise :class:`metrics_api.errors.BadQuery` when it compares nothing there is, or with something it cannot be compared with."""
        if self.key in _NUMBERS:
            if self.operator not in _COMPARE:
                raise BadQuery(f"filter {self.key}: a number is compared with =, !=, < or >, not with {self.operator}")
            try:
                finite = abs(self._number) < float("inf")
            except ValueError:
                finite = False
            if not finite:
                raise BadQuery(f'filter {self.key}: "{self.values[0][:40]}" is not a number')
            return
        if self.key not in WORDS:
            raise BadQuery(f'there is nothing called "{self.key[:40]}" to filter by: known are {", ".join((*WORDS, *NUMBERS))}')
        match self.operator:
            case "=" | "!=" | "=|" | "!=|":
                return
            case "=~" | "!~":
                try:
                    self._pattern  # noqa: B018 it is read to be checked
                except BadQuery as error:
                    raise BadQuery(f"filter {self.key}: {error.message}") from error
            case _:
                raise BadQuery(f"filter {self.key}: names are compared with =, !=, =~ or !~, not with {self.operator[:10]}")

    def passes(self, words: Mapping[str, str], row: TrafficMetrics) -> bool:
        """Whether a row, whose ``words`` these are, is left in."""
        number = _NUMBERS.get(self.key)
        if number is not None:
            value = number(golden(row))
            return value is not None and _COMPARE[self.operator](value, self._number)
        word = words[self.key]
        if self.operator in ("=~", "!~"):
            return self._pattern.matches(word) is (self.operator == "=~")
        return (word in self.accepted) is self.operator.startswith("=")

    @cached_property
    def accepted(self) -> frozenset[str]:
        """The words it names. A kind may be written as one writes a resource."""
        if self.key not in ("kind", "peer_kind"):
            return frozenset(self.values)
        known = {value: type_of_kind(value) or type_of_plural(value.lower()) for value in self.values}
        return frozenset(value if row is None else row.kind for value, row in known.items())


def parse_filters(given: Any) -> tuple[Filter, ...]:
    """The filters of a request, checked; those that are not filled in yet say nothing. Raises :class:`metrics_api.errors.BadQuery`."""
    if given is None:
        return ()
    if not isinstance(given, list) or not all(isinstance(each, Mapping) for each in given):
        raise BadQuery('filters are a list of {"key": "namespace", "operator": "=", "value": "shop"}')
    if len(given) > MOST_FILTERS:
        raise BadQuery(f"there are {len(given)} filters: {MOST_FILTERS} is the most that are compared")
    filters = []
    for each in given:
        key, operator = str(each.get("key") or ""), str(each.get("operator") or "=")
        several = each.get("values")
        values = several if isinstance(several, list) and several and operator in ("=|", "!=|") else [each.get("value")]
        if not key or values == [None]:
            continue
        made = Filter(key, operator, tuple(str(value) for value in values))
        made.check()
        filters.append(made)
    return tuple(filters)


def names_required(filters: Iterable[Filter], key: str, chosen: Choice) -> frozenset[str] | None:
    """The words that ``key`` may have by the choice of a query and by filters together; None when that is no list."""
    found = chosen.names
    for each in filters:
        if each.key == key and each.operator in ("=", "=|"):
            accepted = each.accepted
            found = frozenset(name for name in accepted if chosen.has(name)) if found is None else found & accepted
    return found
