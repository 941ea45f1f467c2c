"""From a question to what must be read: a TrafficQuery and a dialect become a plan of reads.

A plan does not know where series live. The Prometheus source turns each :class:`Read` into PromQL, the scrape source evaluates it over
its snapshots; both give rows by the values of the labels ``Read.by``.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from functools import reduce

from backends.dialects.dialect import Dialect, View
from backends.dialects.identity import HOST, Identity
from backends.dialects.matcher import Comparison, Matcher, one_of
from metrics_api import ANY_WORKLOAD, WORKLOAD_KINDS, Direction, Side, TrafficQuery

__all__ = ["Part", "Read", "Reading", "omissions", "plan", "refusal"]

_PEERS_WHEN_UNNAMED = ("Service", HOST)
_COARSE = ("Namespace", "Node", "Service")


class Reading(Enum):
    """What a read yields per row: an increase of a counter, or the increase of a histogram."""

    COUNTER = "counter"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Read:
    """One read: the increase over the window of ``metrics`` whose series satisfy ``matchers``, summed by the labels ``by``.

    Several counters are added. A histogram is named without ``_bucket``, and ``unit`` is the factor from its unit to seconds.
    """

    reading: Reading
    metrics: tuple[str, ...]
    matchers: tuple[Matcher, ...]
    by: tuple[str, ...]
    unit: float = 1.0


@dataclass(frozen=True, slots=True)
class Part:
    """One view asked for one direction: the reads, and how to name the two ends of their rows.

    ``resource`` are the identities of the end the question is about, ``peer`` those of the other end (empty for totals).
    ``corrections`` are in the order of the view's. ``within`` are the identities of the workloads, of either end, that a coarser resource
    or peer (a namespace, a node, a service) is added up from: which observer counts, and which failures were counted already, can only
    be told of a workload.
    """

    view: View
    direction: Direction
    resource: tuple[Identity, ...]
    peer: tuple[Identity, ...]
    sides: tuple[tuple[str, Side, int], ...]
    requests: Read
    latency: Read
    corrections: tuple[Read, ...]
    within: tuple[tuple[Identity, ...], ...] = ()

    @property
    def reads(self) -> tuple[Read, ...]:
        """Every read of the part."""
        return (self.requests, self.latency, *self.corrections)


def plan(dialect: Dialect, query: TrafficQuery) -> list[list[Part]]:
    """Stages of parts: a later stage is for when the earlier ones found nothing. Empty when the dialect cannot answer."""
    if not query.edges:
        sides = (query.side,) if query.side else (Side.SERVER, Side.CLIENT)
        stages = [_parts(dialect, query, Direction.FROM, (side,)) for side in sides]
        return [stage for stage in stages if stage]
    directions = (query.direction,) if query.direction else (Direction.TO, Direction.FROM)
    parts: list[Part] = []
    for direction in directions:
        near = (Side.CLIENT, Side.SERVER) if direction is Direction.TO else (Side.SERVER, Side.CLIENT)
        parts += _parts(dialect, query, direction, tuple(side for side in near if query.side in (None, side)))
    # Callers of whom only "unknown" can be said do not make a question about peers answerable; they may be all there is at one side.
    told = any(identity.labels for part in parts for identity in part.peer)
    shared = [_shared(part, parts) for part in parts]
    return [shared] if told or (parts and query.side is not None and not query.peer_kind) else []


def refusal(dialect: Dialect, query: TrafficQuery) -> str | None:
    """Why the dialect can never answer such a query; None when it can."""
    if plan(dialect, query):
        return None
    kinds = ", ".join(kind for kind in query.kinds)
    reasons = [dialect.reasons[key] for key in (*query.kinds, "edges" if query.edges else "") if key in dialect.reasons]
    if reasons:
        return f"dialect {dialect.name}: {'; '.join(reasons)}"
    peers = {Direction.TO: " with each callee", Direction.FROM: " with each caller", None: " with each peer"}
    what = f"traffic of {kinds}{peers[query.direction] if query.edges else ''}"
    if query.edges and query.peer_kind:
        what = f"peers of {kinds} as {query.peer_kind}"
    side = f" at the {query.side}" if query.side else ""
    return f"dialect {dialect.name} has no series that tell {what}{side}"


def omissions(dialect: Dialect, query: TrafficQuery) -> tuple[str, ...]:
    """What an answer to ``query`` lacks whatever the traffic is: of edges in both directions, the one the dialect cannot tell."""
    if not query.edges or query.direction is not None:
        return ()
    halves = (refusal(dialect, replace(query, direction=direction)) for direction in Direction)
    return tuple(half for half in halves if half is not None)


def _parts(dialect: Dialect, query: TrafficQuery, direction: Direction, sides: Sequence[Side]) -> list[Part]:
    """The parts that see ``query`` in one direction from one of ``sides``, the first being the most trusted."""
    seen: dict[Hashable, tuple[View, _Ends, tuple[tuple[str, Side, int], ...]]] = {}
    for rank, view in enumerate(dialect.views):
        ends = (view.source, view.destination) if direction is Direction.TO else (view.destination, view.source)
        resource = tuple(identity for identity in ends[0] if _asked(identity, query.kinds))
        peer = _peers(ends[1], query) if query.edges else ()
        observed = tuple(
            (value, side, 100 * sides.index(side) + 10 * rank + order)
            for order, (value, side) in enumerate(view.observer.sides)
            if side in sides
        )
        # A view with a fixed source sees some of the callers only, and is no total.
        partial = bool(view.source) and not any(identity.labels for identity in view.source)
        if resource and observed and (peer if query.edges else not partial):
            named = _Ends(resource, peer, _within(resource, ends[0]), _within(peer, ends[1]))
            # Two views may read the very same series for this question: once is enough.
            read = _part(view, query, direction, named, observed).requests
            seen.setdefault((read.metrics, frozenset(read.matchers), resource, peer), (view, named, observed))
    observers = [side for _, _, observed in seen.values() for _, side, _ in observed]
    several = len(set(observers)) < len(observers)
    return [
        _part(view, query, direction, ends if several or any(item.overlap for item in view.corrections) else ends.whole(), observed)
        for view, ends, observed in seen.values()
    ]


def _shared(part: Part, parts: Sequence[Part]) -> Part:
    """The part; if it differs from another one of its view in direction alone, made to share the reads of the two.

    Asked for all edges of a mesh, callees and callers are the two ends of the same series: reading them once halves the work.
    """
    twins = [other for other in parts if other.view is part.view]
    finest = max(twins, key=lambda twin: len(twin.latency.by))
    common = tuple(matcher for matcher in finest.latency.matchers if all(matcher in twin.latency.matchers for twin in twins))
    narrowing = {matcher for twin in twins for matcher in twin.latency.matchers if matcher not in common}
    # Without a label that names an end a row is about nothing and dropped: the few such series may as well be read.
    same_series = all(matcher.comparison is Comparison.NOT_EQUAL and not matcher.value for matcher in narrowing)
    if not same_series or any(not set(twin.latency.by) <= set(finest.latency.by) for twin in twins):
        return part
    return replace(
        part,
        requests=replace(finest.requests, matchers=common),
        latency=replace(finest.latency, matchers=common),
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
    level = query.peer_kind or (query.kinds[0] if query.kinds[0] in ("Namespace", "Node", "Pod") else ANY_WORKLOAD)
    if level == ANY_WORKLOAD:
        wanted = [identity for identity in identities if _asked(identity, WORKLOAD_KINDS)]
    else:
        wanted = [identity for identity in identities if _asked(identity, (level,))]
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


@dataclass(frozen=True, slots=True)
class _Ends:
    """The identities of both ends, and of the workloads within each."""

    resource: tuple[Identity, ...]
    peer: tuple[Identity, ...]
    in_resource: tuple[Identity, ...] = ()
    in_peer: tuple[Identity, ...] = ()

    def whole(self) -> _Ends:
        """The same without the workloads within."""
        return _Ends(self.resource, self.peer)


def _within(named: Sequence[Identity], end: Sequence[Identity]) -> tuple[Identity, ...]:
    """The identities of the workloads, or else of the services, at an end which is named by something coarser."""
    if not named or named[0].kind not in _COARSE:
        return ()
    workloads = tuple(identity for identity in end if _asked(identity, WORKLOAD_KINDS))
    return workloads or tuple(identity for identity in end if identity.kind == "Service" and identity not in named)


def _part(view: View, query: TrafficQuery, direction: Direction, ends: _Ends, sides: tuple[tuple[str, Side, int], ...]) -> Part:
    named = (*ends.resource, *ends.peer, *ends.in_resource, *ends.in_peer)
    labels = dict.fromkeys(label for identity in named for label in identity.labels)
    matchers = [*view.match, *_narrow(ends.resource, query.namespace, query.name)]
    if view.observer.label:
        labels[view.observer.label] = None
        matchers.append(one_of(view.observer.label, [value for value, _, _ in sides]))
    by = tuple(labels)
    unique = tuple(dict.fromkeys(matchers))
    counted_by = tuple(dict.fromkeys((*by, *view.outcome_labels)))
    return Part(
        view=view,
        direction=direction,
        resource=ends.resource,
        peer=ends.peer,
        sides=sides,
        requests=Read(Reading.COUNTER, (view.requests,), unique, counted_by),
        latency=Read(Reading.HISTOGRAM, (view.latency,), unique, by, view.unit),
        corrections=tuple(Read(Reading.COUNTER, item.metrics, unique, by) for item in view.corrections),
        within=tuple(filter(None, (ends.in_resource, ends.in_peer))),
    )


def _narrow(identities: Sequence[Identity], namespace: str, name: str) -> list[Matcher]:
    """The matchers that hold whichever of the identities names the resource."""
    narrowed = [identity.narrow(*_place(identity, namespace, name)) for identity in identities]
    common = reduce(lambda left, right: [matcher for matcher in left if matcher in right], narrowed)
    return list(dict.fromkeys(common))


def _place(identity: Identity, namespace: str, name: str) -> tuple[str, str]:
    """Namespace and name to narrow by: a cluster-scoped object has no namespace."""
    return ("", name) if identity.kind in ("Namespace", "Node") else (namespace, name)
