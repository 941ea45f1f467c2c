"""What split traffic came to: a row for each backend of a TrafficSplit, HTTPRoute or GRPCRoute, of what clients sent to it.

"The traffic metrics for a traffic split represent all requests which are sent to the traffic split's apex service. Each TrafficMetrics
object is scoped to an individual backend" (Service Mesh Interface, Traffic Metrics v1alpha1, "Traffic Splits"). Proxies tell of the
Service that was chosen, and few of them which object chose it: where a source tells routes apart, a row is what came by its route;
elsewhere it is all that clients sent to the Service.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from apiservice.federation.fanout import Gathered
from apiservice.hiding import Places, discreet, hide, left_alone
from apiservice.objects import BackendService, ObjectView, Split
from apiservice.question import Question, fields_of
from apiservice.result import Result
from metrics_api import (
    EVERYTHING,
    Direction,
    Edge,
    NotFound,
    ResourceRef,
    Sample,
    Side,
    SplitBackend,
    TrafficMetrics,
    TrafficQuery,
    Unsupported,
    first_few,
    idle,
    normalise,
)
from metrics_api.resources import GROUP

__all__ = ["Ask", "answer_split"]

Ask = Callable[[TrafficQuery], Awaitable[Gathered]]
"""Asks the sources; what they saw is named, and about the kinds that were asked for."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """What the sources saw of each backend, by the split and the Service; and what the reader must know of it."""

    gathered: Gathered
    samples: Mapping[tuple[ResourceRef, ResourceRef], Sequence[Sample]] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    hidden: Places = frozenset()


async def answer_split(question: Question, instant: int, ask: Ask, view: ObjectView, cluster: str = "") -> Result:
    """The rows of a question about objects that split traffic, as of ``instant`` in Unix seconds: as many as they have backends.

    A backend of which nothing was observed has a row without numbers, because the split exists; an edge has a row where there was one.
    Raises :class:`metrics_api.errors.NotFound` for a name nothing has, :class:`metrics_api.errors.Unsupported` where nobody can tell of
    such objects or of their backends, and the errors of ``ask``. ``cluster`` is the name of the one whose objects they are.
    """
    (kind,) = question.kinds
    splits = sorted(view.splits(kind, question.namespace, question.name), key=lambda split: split.ref)
    if question.name and not splits and not view.exists(ResourceRef(kind, question.namespace, question.name)):
        raise NotFound(f"{question.resource}.{GROUP}", question.name)
    warnings = _left_out(question, splits, view)
    seen = await _seen(question, instant, splits, ask)
    rows = [row for split in splits for row in _rows(question, instant, split, seen, view, cluster)]
    told = discreet((*seen.gathered.warnings, *view.warnings, *warnings, *seen.warnings), question.visible, question.home)
    return Result(
        rows=tuple(row for row in rows if question.labels.matches(row.labels) and question.fields.matches(fields_of(row))),
        instant=seen.gathered.instant,
        window=seen.gathered.window,
        warnings=tuple(dict.fromkeys(map(str, told))),
        incomplete=seen.gathered.incomplete,
        hidden=seen.hidden,
    )


def _left_out(question: Question, splits: Sequence[Split], view: ObjectView) -> list[str]:
    """What a reader must know of the objects themselves."""
    warnings = []
    known = {split.ref for split in splits}
    unread = sorted(
        "/".join(ref[1:])
        for ref in view.refs()
        if ref.kind in question.kinds
        and ref not in known
        and question.namespace in ("", ref.namespace)
        and question.name in ("", ref.name)
    )
    if unread:
        warnings.append(f"{question.resource} left out, because what their spec says cannot be understood: {first_few(unread)}")
    if question.instant is not None:
        warnings.append("backends and weights are those of now; which they were then is not known")
    return warnings


async def _seen(question: Question, instant: int, splits: Sequence[Split], ask: Ask) -> _Seen:
    if not any(split.backends for split in splits):
        return _nothing(question, instant)
    if question.edges or question.kinds == ("TrafficSplit",):
        return await _by_services(question, instant, splits, ask)
    query = replace(question.query(instant), edges=True, direction=Direction.TO, peer_kind="Service", peer=EVERYTHING)
    try:
        gathered = await ask(replace(query, side=Side.CLIENT))
    except Unsupported:
        return await _by_services(question, instant, splits, ask)
    # The route called the backend: of the route, that is what it received for it.
    received = {
        (sample.resource, sample.peer): (replace(sample, peer=EVERYTHING, direction=Direction.FROM),) for sample in gathered.samples
    }
    return _Seen(gathered, received)


async def _by_services(question: Question, instant: int, splits: Sequence[Split], ask: Ask) -> _Seen:
    """What clients sent to the backends as the Services they are, whatever sent them there."""
    pairs = [(split.ref, _service(backend)) for split in splits for backend in split.backends]
    own = {service for ref, service in pairs if _own(ref, service)}
    warnings = _of_services(question, sorted(_shown(service, ref) for ref, service in pairs if not _own(ref, service)))
    if not own:
        return replace(_nothing(question, instant), warnings=warnings)
    spaces, names = {service.namespace for service in own}, {service.name for service in own}
    query = replace(
        question.query(instant),
        kinds=("Service",),
        namespace=spaces.pop() if len(spaces) == 1 else "",
        name=names.pop() if len(names) == 1 else "",
        direction=Direction.FROM if question.edges else None,
    )
    gathered = await _from_clients(query, ask)
    samples, hidden = list(gathered.samples), frozenset[ResourceRef]()
    if question.visible is not None:
        samples, hidden = hide(gathered.samples, question.visible, gathered.origin)
        warnings = (*warnings, *left_alone(gathered.samples, samples, gathered.origin))
    received = defaultdict(list)
    for sample in samples:
        received[sample.resource].append(sample)
    return _Seen(gathered, {(ref, service): received[service] for ref, service in pairs if _own(ref, service)}, warnings, hidden)


def _nothing(question: Question, instant: int) -> _Seen:
    """Nobody had to be asked."""
    return _Seen(Gathered((), instant, question.window, (), incomplete=False))


async def _from_clients(query: TrafficQuery, ask: Ask) -> Gathered:
    """As clients saw it, who alone know what they sent; what servers saw where no source has anything of clients."""
    if query.side is not None:
        return await ask(query)
    try:
        return await ask(replace(query, side=Side.CLIENT))
    except Unsupported:
        return await ask(query)


def _of_services(question: Question, elsewhere: Sequence[str]) -> tuple[str, ...]:
    """What a reader must know of routes that are told by the Services behind them; ``elsewhere`` are those in another namespace."""
    (kind,) = question.kinds
    if kind == "TrafficSplit":
        return ()
    if question.edges:
        told = f"who called by which {kind} is not told: the callers of a backend are all that called its Service, by whatever way"
    else:
        told = (
            f"no source tells {kind}s apart here: the numbers of a backend are those of its Service, by whatever way requests came"
        )
    if not elsewhere:
        return (told,)
    without = "callers" if question.edges else "numbers"
    return (
        told,
        f"without {without}, because not all that a Service of another namespace received came so: {first_few(elsewhere)}",
    )


def _rows(question: Question, asked: int, split: Split, seen: _Seen, view: ObjectView, cluster: str) -> Iterable[TrafficMetrics]:
    """The rows of one split, in the order of its backends, as answer to what was ``asked`` of that instant."""
    labels = view.labels(split.ref) or {}
    gathered, measures = seen.gathered, question.measures
    instant, window = gathered.instant, gathered.window
    for backend in split.backends:
        service = _service(backend)
        about = SplitBackend(split.apex, _shown(service, split.ref), backend.weight)
        samples = [replace(sample, resource=split.ref) for sample in seen.samples.get((split.ref, service), ())]
        rows = normalise(
            samples,
            instant,
            window,
            lambda _: labels,
            measures=measures,
            elsewhere=gathered.elsewhere,
            asked=asked,
            cluster=cluster,
        )
        if not rows and not question.edges:
            of = idle(split.ref, instant, window, labels, measures=measures, cluster=cluster)
            rows = [replace(of, edge=Edge(side=Side.CLIENT))]
        for row in rows:
            yield replace(row, backend=about)


def _service(backend: BackendService) -> ResourceRef:
    return ResourceRef("Service", backend.namespace, backend.name)


def _own(split: ResourceRef, service: ResourceRef) -> bool:
    """Whether the Service is in the namespace of the split.

    Whoever may write routes in a namespace may write the name of any Service into one, and must not read its traffic by that.
    """
    return service.namespace == split.namespace


def _shown(service: ResourceRef, split: ResourceRef) -> str:
    """The name of a backend as rows have it, with the namespace behind it when it is another one; no name of a Service holds a dot."""
    return service.name if _own(split, service) else f"{service.name}.{service.namespace}"
