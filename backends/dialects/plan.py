"""From a question to what must be read: a TrafficQuery and a dialect become a plan of reads.

A plan does not know where series live. The Prometheus source turns each :class:`Read` into PromQL, the scrape source evaluates it over
its snapshots; both give rows by the values of the labels ``Read.by``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial, reduce
from itertools import chain

from backends.dialects.called import called
from backends.dialects.dialect import Dialect, View
from backends.dialects.expression import quote
from backends.dialects.identity import HOST, Identity
from backends.dialects.matcher import Comparison, Matcher, equal, one_of
from backends.dialects.nameless import among, identities_apart, left_unnamed, members_of
from backends.dialects.part import Part, Read, Reading
from backends.dialects.remembering import remembered
from metrics_api import ANY_WORKLOAD, CALLED_HOST, WORKLOAD_KINDS, Direction, Side, TrafficQuery

__all__ = ["COARSE", "by_caller", "peer_kinds", "plan", "refusal", "seen_by_callers", "unnamed_peers"]

_PEERS_WHEN_UNNAMED = (CALLED_HOST, "Service", HOST)
COARSE = ("Namespace", "Node", "Service")
"""Kinds that stand for several workloads: each observer, and each dialect, may know another part of one."""
_BOTH = (Side.SERVER, Side.CLIENT)


@remembered
def plan(dialect: Dialect, query: TrafficQuery) -> list[list[Part]]:
    """Stages of parts: a later stage is for when the earlier ones found nothing. Empty when the dialect cannot answer."""
    if not query.edges:
        return _totals(dialect, query)
    directions = (query.direction,) if query.direction else (Direction.TO, Direction.FROM)
    parts: list[Part] = []
    for direction in directions:
        near = (Side.CLIENT, Side.SERVER) if direction is Direction.TO else (Side.SERVER, Side.CLIENT)
        parts += _parts(dialect, query, direction, tuple(side for side in near if query.side in (None, side)))
    # Callers of whom only "unknown" can be said do not make a question about peers answerable; they may be all there is at one side.
    told = any(identity.labels for part in parts for identity in part.peer)
    shared = [_shared(part, parts) for part in parts]
    return [shared] if told or (parts and query.side is not None and not query.peer_kind) else []


def _totals(dialect: Dialect, query: TrafficQuery) -> list[list[Part]]:
    """Both sides at once, since some workloads are seen by their callers alone; how long it took those is for when there are some.

    Where callers know no more than the name of a workload whose kind its own proxy knows, what they say is kept for when no server
    knows anything: it could be about a workload of another kind.
    """
    if query.side:
        return _present([_parts(dialect, query, Direction.FROM, (query.side,))])
    servers, clients = (_parts(dialect, query, Direction.FROM, _BOTH, among=(side,)) for side in _BOTH)
    exact, vague = (
        {identity.kind for part in parts for identity in part.resource} & {ANY_WORKLOAD, *WORKLOAD_KINDS}
        for parts in (servers, clients)
    )
    if vague == {ANY_WORKLOAD} and exact - vague:
        return _present([servers, clients])
    whole = _parts(dialect, query, Direction.FROM, _BOTH)
    if not servers or any(part.strands for part in whole):
        return _present([whole])
    counted = [part for part in servers if part.view.requests]
    counted += [replace(part, latencies=(), sums=(), bare=True) for part in clients if part.view.requests]
    return _present([[*counted, *(part for part in whole if part.view.connections)]])


def _present(stages: Sequence[list[Part]]) -> list[list[Part]]:
    return [stage for stage in stages if stage]


def seen_by_callers(dialect: Dialect, query: TrafficQuery) -> list[Part]:
    """The parts of a total that callers saw, with how long it took, for when some of it was seen by nobody else."""
    parts = _parts(dialect, query, Direction.FROM, _BOTH, among=(Side.CLIENT,))
    return [part for part in parts if part.latencies]


def by_caller(dialect: Dialect, query: TrafficQuery) -> list[Part]:
    """The parts of a total told apart by caller, for when an observer that callers may pass by has seen some of it."""
    return _parts(dialect, query, Direction.FROM, (query.side,) if query.side else _BOTH, callers=True)


def refusal(dialect: Dialect, query: TrafficQuery) -> str | None:
    """Why the dialect can never answer such a query; None when it can."""
    if plan(dialect, query):
        return None
    kinds = ", ".join(kind for kind in query.kinds)
    reasons = [dialect.reasons[key] for key in (*query.kinds, "edges" if query.edges else "") if key in dialect.reasons]
    if reasons:
        return f"dialect {dialect.name}: {'; '.join(dict.fromkeys(reasons))}"
    peers = {Direction.TO: " with each callee", Direction.FROM: " with each caller", None: " with each peer"}
    what = f"traffic of {kinds}{peers[query.direction] if query.edges else ''}"
    if query.edges and query.peer_kind:
        what = f"peers of {kinds} as {query.peer_kind}"
    side = f" at the {query.side}" if query.side else ""
    return f"dialect {dialect.name} has no series that tell {what}{side}"


def _parts(
    dialect: Dialect,
    query: TrafficQuery,
    direction: Direction,
    sides: Sequence[Side],
    *,
    among: Sequence[Side] = _BOTH,
    callers: bool = False,
) -> list[Part]:
    """One part per view that can name both ends as asked; the first of several views that read the very same series.

    ``sides`` are those to observe from, the most trusted first; ``among`` narrows them and leaves the trust as it is.
    """
    planned: list[Part] = []
    for rank, view in enumerate(dialect.views):
        ends = (view.source, view.destination) if direction is Direction.TO else (view.destination, view.source)
        # Unless several kinds are wanted, an object of a single kind is named in the first way that works.
        told = [identity for identity in ends[0] if _asked(identity, query.kinds)]
        resource = tuple(_precise([*told, *called(ends[0], query, direction)], query))
        peer = _peers(ends[1], query) if query.edges else ()
        observed = tuple(
            (value, side, 10_000 * sides.index(side) + 100 * rank + order)
            for order, (value, side) in enumerate(view.observer.sides)
            if side in sides and side in among
        )
        if resource and observed and (peer if query.edges else not view.partial):
            apart = _apart(dialect, view, query, direction)
            if query.apart_from and not left_unnamed(apart)[0]:
                # Without labels that such series lack, they cannot be told from all others.
                continue
            named = _ends(view, query, direction, resource, peer, callers=callers)
            part = _part(view, query, direction, replace(named, apart=apart), observed)
            if others := _better_named(part, planned, query):
                if any(other.strands for other in others):
                    # Observers are chosen there for each strand, and a member is on none.
                    continue
                better = dict.fromkeys(identity for other in others for identity in other.peer if identity.labels)
                part = _part(view, query, direction, replace(named, apart=(*apart, *better)), observed)
            # Two views may read the very same series for this question: once is enough.
            if not any(_repeats(part, earlier) for earlier in planned):
                planned.append(part)
    planned = [replace(part, named=True) if _told_elsewhere(part, planned, query) else part for part in planned]
    observers = [side for part in planned for _, side, _ in part.sides if part.view.requests]
    if callers or len(set(observers)) < len(observers):
        return planned
    return [part if any(item.overlap for item in part.view.corrections) else _whole(dialect, part, query) for part in planned]


def _apart(dialect: Dialect, view: View, query: TrafficQuery, direction: Direction) -> tuple[Identity, ...]:
    """The identities of which one names the resource in series that are left out."""
    return tuple(_precise(identities_apart(dialect, view, query.apart_from, source=direction is Direction.TO), query))


def _precise(identities: Sequence[Identity], query: TrafficQuery) -> list[Identity]:
    """The identities without bare names where pods tell the ReplicaSet: those are the names of what owns it."""
    return [identity for identity in identities if query.whole != "ReplicaSet" or identity.kind != ANY_WORKLOAD]


def _told_elsewhere(part: Part, parts: Sequence[Part], query: TrafficQuery) -> bool:
    """Whether a peer that this part has no name for is one that another part, which reads all its series, names by a member."""
    kinds = peer_kinds(query)
    sides = {side for _, side, _ in part.sides}
    if not query.edges or not any(identity.names(kind) for identity in part.peer for kind in kinds):
        return False
    return any(
        other.view.counters == part.view.counters
        and sides <= {side for _, side, _ in other.sides}
        and members_of(other.peer, query.peer_members)
        for other in parts
        if other is not part and not any(identity.names(kind) for identity in other.peer for kind in kinds)
    )


def _better_named(part: Part, earlier: Sequence[Part], query: TrafficQuery) -> list[Part]:
    """If this part names peers by members alone, the earlier ones that read all its series and have other names for peers."""
    kinds = peer_kinds(query)
    if not query.edges or any(identity.names(kind) for identity in part.peer for kind in kinds):
        return []
    members, sides = members_of(part.peer, query.peer_members), {side for _, side, _ in part.sides}
    return [
        other
        for other in earlier
        if members
        and other.view.counters == part.view.counters
        and set(part.resource) <= set(other.resource)
        and sides <= {side for _, side, _ in other.sides}
        and not set(members) & set(other.peer)
    ]


def _repeats(part: Part, earlier: Part) -> bool:
    """Whether an earlier part reads all series of this one, and names their ends in the same way."""
    if (part.view.counters, part.resource, part.peer) != (earlier.view.counters, earlier.resource, earlier.peer):
        return False
    matchers, others = set(part.requests.matchers), set(earlier.requests.matchers)
    if matchers == others:
        return True
    label = earlier.view.observer.label
    told = {equal(label, value) for value, _, _ in earlier.sides}
    return (
        bool(label) and matchers - others <= told and others - matchers == {one_of(label, [value for value, _, _ in earlier.sides])}
    )


def _shared(part: Part, parts: Sequence[Part]) -> Part:
    """The part; if it differs from another one of its view in direction alone, made to share the reads of the two.

    Asked for all edges of a mesh, callees and callers are the two ends of the same series: reading them once halves the work.
    """
    twins = [other for other in parts if other.view is part.view]
    finest = max(twins, key=lambda twin: len(twin.by))
    common = tuple(matcher for matcher in finest.requests.matchers if all(matcher in twin.requests.matchers for twin in twins))
    narrowing = {matcher for twin in twins for matcher in twin.requests.matchers if matcher not in common}
    # Without a label that names an end a row is about nothing and dropped: the few such series may as well be read.
    same_series = all(matcher.comparison is Comparison.NOT_EQUAL and not matcher.value for matcher in narrowing)
    if not same_series or any(not set(twin.by) <= set(finest.by) for twin in twins):
        return part
    return replace(
        part,
        by=finest.by,
        requests=replace(finest.requests, matchers=common),
        latencies=tuple(replace(read, matchers=common) for read in finest.latencies),
        sums=tuple(replace(read, matchers=common) for read in finest.sums),
        corrections=tuple(replace(read, matchers=common) for read in finest.corrections),
    )


def _asked(identity: Identity, kinds: Sequence[str]) -> bool:
    """Whether the identity is one to name ``kinds`` by.

    A name composed of several labels is that of an object that owns less than another one in the labels (the ReplicaSet of a Deployment):
    it counts when its kind is asked for alone.
    """
    return any(identity.names(kind) for kind in kinds) and (len(kinds) == 1 or not identity.composed)


def _peers(identities: Sequence[Identity], query: TrafficQuery) -> tuple[Identity, ...]:
    """The identities of a peer at the level asked for, then those that at least name it; empty when the level cannot be told."""
    level = query.peer_level
    if level == ANY_WORKLOAD:
        wanted = [identity for identity in identities if _asked(identity, WORKLOAD_KINDS)] or members_of(
            identities, query.peer_members
        )
    else:
        wanted = [identity for identity in identities if _asked(identity, (level,))] or members_of(identities, query.peer_members)
        if not wanted and query.peer_kind:
            # A constant end (an unmeshed caller) belongs to every level.
            return tuple(identity for identity in identities if identity.kind == HOST and not identity.labels)
        if level != "Namespace":
            # What has no name at that level still has one of its own.
            wanted += [identity for identity in identities if identity not in wanted and _asked(identity, WORKLOAD_KINDS)]
    rest = [
        identity
        for identity in identities
        if identity.kind in _PEERS_WHEN_UNNAMED
        and identity not in wanted
        and not (level == "Namespace" and identity.kind == "Service")
    ]
    return tuple(wanted + rest)


def peer_kinds(query: TrafficQuery) -> tuple[str, ...]:
    """The kinds of peers at the level they are wanted at."""
    level = query.peer_level
    return (*WORKLOAD_KINDS, ANY_WORKLOAD) if level == ANY_WORKLOAD else (level,)


def unnamed_peers(dialect: Dialect, query: TrafficQuery, parts: Sequence[Part]) -> tuple[list[Part], list[Part]]:
    """The parts whose rows may have a peer that only a member names: without those rows, and a part for each that tells them by it."""
    kinds = peer_kinds(query)
    known: list[Part] = []
    others: list[Part] = []
    for part in parts:
        view, direction = part.view, part.direction
        by_level = tuple(identity for identity in part.peer if any(map(identity.names, kinds)))
        members = members_of(view.destination if direction is Direction.TO else view.source, query.peer_members)
        if not by_level or not members or members[0] in part.peer:
            known.append(part)
            continue
        rest = tuple(identity for identity in part.peer if identity not in by_level)
        peer = (*members, *rest)
        # What was chosen from without looking at the workloads within is so here, too.
        ends = (
            _ends(view, query, direction, part.resource, peer, callers=part.callers) if part.within else _Ends(part.resource, peer)
        )
        apart = _apart(dialect, view, query, direction)
        others.append(_part(view, query, direction, replace(ends, apart=(*apart, *by_level)), part.sides))
        known.append(replace(part, peer=by_level, named=True))
    return (known, others) if others else ([], [])


@dataclass(frozen=True, slots=True)
class _Ends:
    """The identities of both ends, and of what is within them: workloads, or strands of the traffic."""

    resource: tuple[Identity, ...]
    peer: tuple[Identity, ...]
    within: tuple[tuple[Identity, ...], ...] = ()
    strands: bool = False
    callers: bool = False
    apart: tuple[Identity, ...] = ()


def _ends(
    view: View,
    query: TrafficQuery,
    direction: Direction,
    resource: tuple[Identity, ...],
    peer: tuple[Identity, ...],
    *,
    callers: bool,
) -> _Ends:
    coarse = any(named and named[0].kind in COARSE for named in (resource, peer))
    if view.observer.partial and (coarse or callers):
        told = callers or query.edges
        service = tuple(identity for identity in view.destination if identity.kind == "Service")
        strands = (_workloads(view.destination), _workloads(view.source) if told else (), service if told else ())
        return _Ends(resource, peer, strands, strands=True, callers=callers)
    ends = (view.source, view.destination) if direction is Direction.TO else (view.destination, view.source)
    within = (_within(resource, ends[0]), _within(peer, ends[1]))
    return _Ends(resource, peer, tuple(filter(None, within)), callers=callers)


def _within(named: Sequence[Identity], end: Sequence[Identity]) -> tuple[Identity, ...]:
    """The identities of the workloads, or else of the services, at an end which is named by something coarser."""
    if not named or named[0].kind not in COARSE:
        return ()
    # A pod of which no label tells the workload is told from others by its own name.
    workloads = tuple(identity for identity in end if _asked(identity, (*WORKLOAD_KINDS, "Pod")))
    return workloads or tuple(identity for identity in end if identity.kind == "Service" and identity not in named)


def _workloads(end: Sequence[Identity]) -> tuple[Identity, ...]:
    """The identities that tell workloads apart."""
    return tuple(identity for identity in end if _asked(identity, WORKLOAD_KINDS)) or tuple(end)


def _part(view: View, query: TrafficQuery, direction: Direction, ends: _Ends, sides: tuple[tuple[str, Side, int], ...]) -> Part:
    lacking, apart = left_unnamed(ends.apart)
    named = (*ends.resource, *ends.peer, *chain.from_iterable(ends.within), *apart)
    labels = dict.fromkeys(label for identity in named for label in identity.labels)
    matchers = [*view.match, *_narrow(ends.resource, query.namespace, query.name), *among(ends.resource, query.narrowing)]
    matchers += lacking
    if view.observer.label:
        labels[view.observer.label] = None
        matchers.append(one_of(view.observer.label, [value for value, _, _ in sides]))
    by = tuple(labels)
    unique = tuple(dict.fromkeys(matchers))
    counted_by = tuple(dict.fromkeys((*by, *view.outcome_labels)))
    reads = partial(Read, temporality=view.temporality, native=view.native)
    return Part(
        view=view,
        direction=direction,
        resource=ends.resource,
        peer=ends.peer,
        sides=sides,
        by=by,
        requests=reads(Reading.COUNT if view.observations else Reading.COUNTER, view.counters, unique, counted_by),
        latencies=tuple(reads(Reading.HISTOGRAM, (item.metric,), unique, by, item.unit) for item in view.latencies),
        corrections=tuple(reads(Reading.COUNTER, item.metrics, unique, by) for item in view.corrections),
        sums=tuple(reads(Reading.SUM, (item.metric,), unique, by, item.unit) for item in view.latencies if query.sums),
        within=ends.within,
        strands=ends.strands,
        callers=ends.callers,
        apart=apart,
        namespace=query.namespace,
        name=query.name,
    )


def _whole(dialect: Dialect, part: Part, query: TrafficQuery) -> Part:
    """The part without the workloads within."""
    apart = _apart(dialect, part.view, query, part.direction)
    return _part(part.view, query, part.direction, _Ends(part.resource, part.peer, apart=apart), part.sides)


def _narrow(identities: Sequence[Identity], namespace: str, name: str) -> list[Matcher]:
    """The matchers that hold whichever of the identities names the resource.

    Where each of them asks something else of the same label, one of these must hold.
    """
    narrowed = [identity.narrow(*_place(identity, namespace, name)) for identity in identities]
    common = list(dict.fromkeys(reduce(lambda left, right: [matcher for matcher in left if matcher in right], narrowed)))
    asked = [{matcher.label: matcher for matcher in matchers if matcher not in common} for matchers in narrowed]
    for label in reduce(lambda left, right: {name: left[name] for name in left if name in right}, asked):
        matchers = [matchers[label] for matchers in asked]
        if all(matcher.comparison in (Comparison.EQUAL, Comparison.MATCHES) for matcher in matchers):
            common.append(Matcher(label, Comparison.MATCHES, "|".join(dict.fromkeys(map(_as_expression, matchers)))))
    return common


def _as_expression(matcher: Matcher) -> str:
    return quote(matcher.value) if matcher.comparison is Comparison.EQUAL else matcher.value


def _place(identity: Identity, namespace: str, name: str) -> tuple[str, str]:
    """Namespace and name to narrow by: a cluster-scoped object has no namespace."""
    return ("", name) if identity.kind in ("Namespace", "Node") else (namespace, name)
