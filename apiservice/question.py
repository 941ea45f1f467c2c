"""From a request to a question: which resources, which peers, which window, when. Pure parsing; nothing later looks at the request.

``trafficmetrics`` is asked through field selectors, because kubectl can send no other parameter; the other resources also take
plain parameters.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from multidict import MultiMapping

from apiservice.hiding import Places
from apiservice.identity.user import User
from apiservice.requestinfo import RequestInfo
from apiservice.rowfields import CHOICES, EDGES, fields_of, name_in_path, parse_kind, parse_row_fields
from apiservice.rownames import join_cluster, row_named, split_cluster
from metrics_api import (
    ANY_WORKLOAD,
    EVERYTHING,
    SPLIT_KINDS,
    WORKLOAD_KINDS,
    BadQuery,
    Direction,
    FieldSelector,
    LabelSelector,
    Measure,
    NotFound,
    ResourceRef,
    Side,
    Span,
    TrafficQuery,
    Window,
    parse_instant,
    parse_percentiles,
    parse_stats,
    timestamp,
    type_of_kind,
    type_of_plural,
)
from metrics_api.fields import FieldTerm
from metrics_api.resources import GROUP

__all__ = ["TRAFFIC_METRICS", "Asker", "Question", "fields_of", "parse_question"]

TRAFFIC_METRICS = "trafficmetrics"
_TRUE = frozenset({"true", "1", "t", "yes", ""})
_FALSE = frozenset({"false", "0", "f", "no"})


class Asker(NamedTuple):
    """For whom an answer is, where that matters; ``resource`` is the plural that the user has to be allowed to list where peers are."""

    user: User
    resource: str


@dataclass(frozen=True, slots=True)
class Question:
    """One request, understood.

    ``resource`` is the plural asked for. ``single`` asks for one object by ``name``, NotFound when it is not there; otherwise a list is
    wanted, which is what one object has that splits traffic.
    ``kinds`` are the kinds of the rows. ``edges`` wants a row per peer. ``qualified`` rows are named ``deployment.web``.
    ``instant`` is the past one that is asked about, in Unix seconds; None for the latest. ``measures`` are wanted beside the five.
    ``visible`` are the places of peers that may be told of, None for all; ``asker`` is whose question it is until those are found out.
    ``span`` are the instants of the history that it is a part of.
    ``cluster`` is the one that a name names with an ``@``, empty for a name without: that of the server itself. None is any.
    """

    resource: str
    kinds: tuple[str, ...]
    window: Window
    namespace: str = ""
    name: str = ""
    single: bool = False
    edges: bool = False
    qualified: bool = False
    peer_kind: str = ""
    include_idle: bool = False
    labels: LabelSelector = LabelSelector()
    fields: FieldSelector = FieldSelector()
    instant: int | None = None
    measures: tuple[Measure, ...] = ()
    visible: Places | None = None
    asker: Asker | None = None
    cluster: str | None = None
    span: Span | None = None

    def __str__(self) -> str:
        """What is asked, in a few words for the log."""
        edges = "edges of " if self.edges else ""
        name = f" {self.full_name!r}" if self.name else ""
        then = f" at {timestamp(self.instant)}" if self.instant is not None else ""
        return f"{edges}{self.resource}{name} in {repr(self.namespace) if self.namespace else 'all namespaces'}{then}"

    @property
    def full_name(self) -> str:
        """The name with the cluster it names, as the rows of that have it."""
        return join_cluster(self.name, self.cluster or "")

    @property
    def split(self) -> bool:
        """Whether it is about objects that split traffic, each of which has a row for each of its backends."""
        return any(kind in SPLIT_KINDS for kind in self.kinds)

    @property
    def home(self) -> str:
        """The namespace whose reader asks; empty for several, and for what is in none."""
        return self.name if self.resource == "namespaces" else self.namespace

    @property
    def selects(self) -> bool:
        """Whether a selector takes part: then nobody can say how many items remain."""
        return bool(self.labels) or bool(self.fields)

    @property
    def resource_ref(self) -> ResourceRef:
        """What was asked for, as a list carries it."""
        kind = self.kinds[0] if not self.qualified else ""
        return ResourceRef(kind, self.namespace, "" if self.qualified else self.name)

    def query(self, instant: int) -> TrafficQuery:
        """What the sources are asked; selectors they can use to read less go along, all are applied to the rows afterwards."""
        direction, side = self.fields.required("edge.direction"), self.fields.required("edge.side")
        named = "resource.name" if self.qualified else "metadata.name"
        return TrafficQuery(
            kinds=self.kinds,
            window=self.window,
            instant=instant,
            namespace=self.namespace or self.fields.required("metadata.namespace") or "",
            name=("" if self.qualified else self.name) or split_cluster(self.fields.required(named) or "")[0],
            edges=self.edges,
            direction=Direction(direction) if direction and self.edges else None,
            side=Side(side) if side else None,
            peer_kind=self.peer_kind,
            # Who is hidden must not be told by what is left of the others.
            peer=EVERYTHING
            if self.visible is not None
            else ResourceRef(
                "",
                self.fields.required("edge.resource.namespace") or "",
                self.fields.required("edge.resource.name") or "",
            ),
            sums=any(measure.needs_sum for measure in self.measures),
            span=self.span,
        )


def parse_question(info: RequestInfo, query: Mapping[str, str], window: Window, clock: Callable[[], float] = time.time) -> Question:
    """The question of a request; ``window`` is the default one, ``clock`` is Unix time.

    The path must be one that is served (:func:`apiservice.catalog.locate`). Raises :class:`metrics_api.errors.BadQuery` for a malformed
    parameter, :class:`metrics_api.errors.NotFound` for a row name that no row can have.
    """
    qualified = info.resource == TRAFFIC_METRICS
    fields = parse_row_fields(query.get("fieldSelector", ""), info, qualified=qualified)
    labels = LabelSelector.parse(query.get("labelSelector", ""))
    what = _What(
        _window(query, fields, window),
        _instant(query, fields, clock()),
        (*parse_percentiles(_all_of(query, "percentiles")), *parse_stats(_all_of(query, "stats"))),
    )
    fields = FieldSelector(tuple(term for term in fields.terms if term.field not in CHOICES))
    if qualified:
        return _qualified(info, query, fields, labels, what)
    name = name_in_path(info)
    # ".../namespaces/shop/edges" reads to Kubernetes as "list edges in namespace shop": the edges of that namespace.
    of_namespace = info.resource == EDGES
    plural, name = ("namespaces", info.namespace) if of_namespace else (info.resource, name)
    row = type_of_plural(plural)
    if row is None:
        raise NotFound(f"{plural}.{GROUP}", name)
    if row.namespaced:
        _check_namespace(info)
    cluster = _cluster(name, fields)
    if of_namespace:
        # A list, of a namespace that is the same one in every cluster.
        cluster = cluster or None
    edges = of_namespace or info.subresource == EDGES
    peer_kind, fields = _level(query.get("edgeKind", ""), fields)
    return Question(
        resource=plural,
        kinds=(row.kind,),
        window=what.window,
        instant=what.instant,
        measures=what.measures,
        namespace=info.namespace if row.namespaced else "",
        name=split_cluster(name)[0],
        single=bool(name) and not edges and row.kind not in SPLIT_KINDS,
        edges=edges,
        peer_kind=peer_kind,
        include_idle=_boolean("includeIdle", query.get("includeIdle", "false")),
        labels=labels,
        fields=fields,
        cluster=cluster,
    )


class _What(NamedTuple):
    """What is measured, whatever it is measured of."""

    window: Window
    instant: int | None
    measures: tuple[Measure, ...]


def _qualified(info: RequestInfo, query: Mapping[str, str], fields: FieldSelector, labels: LabelSelector, what: _What) -> Question:
    """A question to ``trafficmetrics``, whose rows are named ``deployment.web`` and ``deployment.web.to.deployment.api``."""
    _check_namespace(info)
    name = name_in_path(info)
    cluster = _cluster(name, fields)
    edges = fields.mentions("edge.") and not _is_total(fields)
    kinds = _kinds(fields)
    peer_kind, fields = _level(query.get("edgeKind", ""), fields)
    row = row_named(split_cluster(name or fields.required("metadata.name") or "")[0])
    if row is None and name:
        # kubectl asks so when it takes the names of another resource's rows for names of this one.
        told = f'{TRAFFIC_METRICS}.{GROUP} "{name}" not found: names here begin with a kind, such as deployment.{name}'
        raise NotFound(f"{TRAFFIC_METRICS}.{GROUP}", name, told)
    if row is not None:
        kinds = tuple(kind for kind in (row.kind,) if kind and (not fields.mentions("resource.kind") or kind in kinds)) or kinds
        edges = edges or bool(row.peer)
        peer_kind = peer_kind or row.peer_kind
        if not edges:
            fields = FieldSelector((*fields.terms, FieldTerm("resource.name", row.rest, equal=True)))
    for kind in kinds:
        # They are in no namespace: whoever may list in one must not read the cluster through it.
        served = type_of_kind(kind)
        if served is not None and not served.namespaced:
            raise BadQuery(f"{TRAFFIC_METRICS} are in namespaces and a {kind} is not: get {served.plural}.{GROUP}")
        if served is not None and kind in SPLIT_KINDS:
            raise BadQuery(
                f"{TRAFFIC_METRICS} are one for each object and a {kind} has one for each backend: get {served.plural}.{GROUP}"
            )
    return Question(
        resource=TRAFFIC_METRICS,
        kinds=kinds,
        window=what.window,
        instant=what.instant,
        measures=what.measures,
        namespace=info.namespace,
        name=split_cluster(name)[0],
        single=bool(name),
        edges=edges,
        qualified=True,
        peer_kind=peer_kind,
        include_idle=_boolean("includeIdle", query.get("includeIdle", "false")),
        labels=labels,
        fields=fields,
        cluster=cluster,
    )


def _cluster(name: str, fields: FieldSelector) -> str | None:
    """The cluster that the name asked for names; empty for a name without one, None where no name is asked for."""
    asked = name or fields.required("metadata.name")
    return split_cluster(asked)[1] if asked else None


def _check_namespace(info: RequestInfo) -> None:
    """A namespace has one name in all clusters; what is asked of it chooses among them."""
    namespace, cluster = split_cluster(info.namespace)
    if cluster:
        raise BadQuery(f'a namespace has no cluster in its name: ask in "{namespace}" with the field selector cluster={cluster}')


def _window(query: Mapping[str, str], fields: FieldSelector, default: Window) -> Window:
    """The window asked for: parameter ``window``, its older name ``t``, or the field ``window``; they must not contradict each other."""
    given = [text for name in ("window", "t") for text in _all_of(query, name)]
    windows = {Window.parse(text) for text in (*given, *_chosen("window", "window=5m", fields))}
    if len(windows) > 1:
        raise BadQuery(f"different windows are asked for: {', '.join(sorted(map(str, windows)))}")
    return windows.pop() if windows else default


def _instant(query: Mapping[str, str], fields: FieldSelector, now: float) -> int | None:
    """The instant asked about, by the parameter ``time`` or the field ``time``, in Unix seconds; None for the latest."""
    given = (*_all_of(query, "time"), *_chosen("time", "time=2026-11-21T22:25:55Z", fields))
    instants = {parse_instant(text, now) for text in given}
    if len(instants) > 1:
        raise BadQuery(f"different times are asked for: {', '.join(map(timestamp, sorted(instants)))}")
    return instants.pop() if instants else None


def _chosen(field: str, example: str, fields: FieldSelector) -> list[str]:
    """The values chosen by a field that says nothing about rows."""
    terms = [term for term in fields.terms if term.field == field]
    if any(not term.equal for term in terms):
        raise BadQuery(f"a {field} is chosen with {example}; != has no meaning for it")
    return [term.value for term in terms]


def _all_of(query: Mapping[str, str], name: str) -> list[str]:
    """Every value of a parameter, which may be given more than once."""
    if isinstance(query, MultiMapping):
        return list(query.getall(name, []))
    return [query[name]] if name in query else []


def _is_total(fields: FieldSelector) -> bool:
    """Whether the edge that is selected is the total: everything received, from nobody in particular."""
    peer = [fields.required(f"edge.resource.{part}") for part in ("kind", "name")]
    return "" in peer and fields.required("edge.direction") in (None, Direction.FROM)


def _kinds(fields: FieldSelector) -> tuple[str, ...]:
    kind = fields.required("resource.kind")
    if kind:
        return (kind,)
    refused = {term.value for term in fields.terms if term.field == "resource.kind" and not term.equal}
    return tuple(kind for kind in (*WORKLOAD_KINDS, ANY_WORKLOAD) if kind not in refused)


def _level(text: str, fields: FieldSelector) -> tuple[str, FieldSelector]:
    """The level peers are wanted at, and what must hold for them.

    ``edgeKind`` is ``workloads``, a plural or a kind. A kind of workload is a choice among workloads: every peer is one of some kind.
    Without it, the one kind of peer that is selected says the level.
    """
    if text == "workloads":
        return ANY_WORKLOAD, fields
    kind = parse_kind(text, "edgeKind", "workloads, ") if text else fields.required("edge.resource.kind") or ""
    if kind in SPLIT_KINDS:
        raise BadQuery(f"nobody exchanges traffic with a {kind}, which divides it among Services: ask for services")
    if kind and type_of_kind(kind) is None:
        return ANY_WORKLOAD, fields
    if kind not in WORKLOAD_KINDS or (text and kind == "ReplicaSet"):
        return kind, fields
    return ANY_WORKLOAD, FieldSelector((*fields.terms, FieldTerm("edge.resource.kind", kind, equal=True)))


def _boolean(name: str, text: str) -> bool:
    word = text.lower()
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    raise BadQuery(f'{name} is "true" or "false", not "{text}"')
