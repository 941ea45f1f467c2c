"""The service: from a question to rows. What the sources saw meets what exists, and becomes TrafficMetrics."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from apiservice.called import named
from apiservice.federation.fanout import Fanout, Gathered
from apiservice.hiding import Places, discreet, hide, left_alone
from apiservice.lifting import in_scope, lifted, lost_in_sums, lost_members, lost_percentiles, with_members
from apiservice.objects import Objects, ObjectView, ThenView
from apiservice.question import Question, fields_of
from apiservice.result import Result
from apiservice.rownames import join_cluster
from apiservice.splits import answer_split
from metrics_api import (
    ANY_WORKLOAD,
    CALLED_HOST,
    JOINED_SERVICE,
    RESOURCE_TYPES,
    BackendUnavailable,
    BadQuery,
    FieldSelector,
    LabelSelector,
    Naming,
    NotFound,
    ResourceRef,
    Sample,
    TrafficError,
    TrafficMetrics,
    TrafficQuery,
    Unsupported,
    aside,
    best_observers,
    first_few,
    idle,
    normalise,
    timestamp,
    type_of_kind,
)
from metrics_api.federation import settled
from metrics_api.resources import GROUP

__all__ = ["TrafficService"]

_INCOMPLETE = (ANY_WORKLOAD, JOINED_SERVICE, CALLED_HOST)
"""Kinds of what is known by a name that does not tell which object it is."""


class TrafficService:
    """Answers questions about one cluster, called ``cluster``; rows of one that is not ``home`` say so in their names."""

    def __init__(self, fanout: Fanout, objects: Objects, cluster: str = "", *, home: bool = True) -> None:
        self._fanout = fanout
        self._objects = objects
        self._cluster = cluster
        self._home = home

    async def answer(self, question: Question, instant: int) -> Result:
        """The rows of a question as of ``instant``, in Unix seconds. Raises the errors of :mod:`metrics_api.errors`."""
        query = self._precise(question.query(instant), question)
        view = await self._objects.view(question.kinds, query.namespace, query.name)
        if question.instant is not None:
            view = ThenView(view)
        if question.split:
            return await answer_split(question, instant, partial(self._seen, question), view, self._cluster)
        if self._home:
            _check_kinds(question, view)
        else:
            _check_kinds_abroad(question)
        gathered, naming = await self._found(query, view)
        then: tuple[str, ...] = ()
        # Of a history the last instant says it for all, each of which would say it of itself.
        alone = question.span is None or instant == question.span.instants[-1]
        if question.instant is not None and alone and (gathered.samples or not naming):
            then = _beyond_knowing(gathered, query.namespace)
        told = partial(discreet, visible=question.visible, home=question.home)
        gathered, naming, then = replace(gathered, warnings=told(gathered.warnings)), told(naming), told(then)
        samples = [sample for sample in gathered.samples if in_scope(sample.resource, query)]
        hidden: Places = frozenset()
        if question.visible is not None:
            seen = samples
            samples, hidden = await aside(len(seen), partial(hide, seen, question.visible, gathered.origin))
            naming = (*naming, *told(await aside(len(seen), partial(lost_percentiles, seen, samples))))
            naming = (*naming, *await aside(len(seen), partial(left_alone, seen, samples, gathered.origin)))
        suffix = "" if self._home else join_cluster("", self._cluster)
        rows = await aside(len(samples), partial(_rows, question, query, samples, gathered, view, self._cluster, suffix))
        if question.edges and question.name and not rows:
            await self._require(question, instant, view, gathered)
        warnings = [*gathered.warnings, *told(view.warnings), *naming, *then]
        if question.labels:
            warnings += _check_labels(rows, view)
        rows = await aside(len(rows), partial(_selected, question, rows))
        if question.single:
            rows = [row for row in rows if row.name == question.full_name]
            if not rows:
                raise _missing(question, view, gathered, (*naming, *then))
        return Result(
            rows=tuple(rows),
            instant=gathered.instant,
            window=gathered.window,
            # Who may be told of what they name has been seen to: what is left are texts like any other.
            warnings=tuple(dict.fromkeys(map(str, warnings))),
            incomplete=gathered.incomplete,
            hidden=hidden,
        )

    def _precise(self, query: TrafficQuery, question: Question) -> TrafficQuery:
        """The query, with the percentiles that are wanted if a source has to be told; otherwise all that ask it share an answer."""
        if not self._fanout.gives_percentiles:
            return query
        return replace(query, quantiles=tuple([measure.quantile for measure in question.measures if measure.quantile is not None]))

    async def _seen(self, question: Question, query: TrafficQuery) -> Gathered:
        """What the sources saw of the kinds that a query asks for, with all there is to tell; whether it exists is not looked at."""
        view = await self._objects.view(query.kinds, query.namespace, query.name)
        if question.instant is not None:
            view = ThenView(view)
        gathered, naming = await self._observed(self._precise(query, question), view)
        return replace(gathered, warnings=(*gathered.warnings, *view.warnings, *naming))

    async def _found(self, query: TrafficQuery, view: ObjectView) -> tuple[Gathered, tuple[str, ...]]:
        """What was observed. What no mesh names is unavailable, and not unsupported, while what it is made of cannot be read."""
        try:
            return await self._observed(query, view)
        except Unsupported as error:
            if view.warnings:
                raise BackendUnavailable("kubernetes", f"{'; '.join(view.warnings)}; {error.message}") from error
            raise

    async def _observed(self, query: TrafficQuery, view: ObjectView) -> tuple[Gathered, tuple[str, ...]]:
        """What the sources saw, named and added up, and what is to be known of the names."""
        asked = with_members(query, view)
        gathered = await self._fanout.gather(asked, view.named)
        samples, naming = await self._named(gathered.samples, query, view)
        if not asked.members and not asked.peer_members:
            together, sums = await aside(len(samples), partial(_together, gathered, samples))
            return together, (*naming, *sums)
        if _one_level(samples):
            # Of members that are told apart each is in one sum, which is added to what others know of further members.
            gathered, early = await aside(len(samples), partial(_together, gathered, samples))
            samples, naming = list(gathered.samples), (*naming, *early)
        lost = await aside(len(samples), partial(lost_members, samples, query, view))
        whole, apart = await aside(len(samples), partial(lifted, samples, query, view, gathered.elsewhere))
        together, sums = await aside(len(whole), partial(_together, gathered, whole))
        together = replace(together, incomplete=together.incomplete or bool(apart))
        return together, (*naming, *lost, *lost_percentiles(samples, whole), *apart, *sums)

    async def _require(self, question: Question, instant: int, view: ObjectView, gathered: Gathered) -> None:
        """An object without edges has an empty list of them; NotFound is for one that does not exist."""
        exists = view.exists(ResourceRef(question.kinds[0], question.namespace, question.name))
        if exists is None:
            total = replace(question, edges=False, single=True, fields=FieldSelector(), labels=LabelSelector())
            await self.answer(total, instant)
        elif not exists:
            raise _missing(question, view, gathered)

    async def _named(
        self, samples: Iterable[Sample], query: TrafficQuery, view: ObjectView
    ) -> tuple[list[Sample], tuple[str, ...]]:
        """The samples with what is known by an incomplete name turned into objects."""
        samples = list(samples)
        bare = {ref for sample in samples for ref in (sample.resource, sample.peer) if ref.kind in _INCOMPLETE}
        if not bare and not view.custom_kinds:
            return samples, ()
        naming = await self._objects.view_of(bare) if bare else view
        found, told = await aside(len(samples), partial(named, samples, query, naming))
        # Where it is what had an incomplete name shows only now.
        found = [sample for sample in found if not sample.resource.kind or self._fanout.covers(sample.source, sample.resource)]
        return best_observers(found), (*naming.warnings, *told) if bare else ()


def _one_level(samples: Sequence[Sample]) -> bool:
    """Whether samples of disjoint sources are about objects of one kind, as those of all others are, and so are their peers."""
    return any(sample.share for sample in samples) and all(
        len(kinds) < 2
        for kinds in ({sample.resource.kind for sample in samples}, {sample.peer.kind for sample in samples if sample.peer.kind})
    )


def _together(gathered: Gathered, samples: Sequence[Sample]) -> tuple[Gathered, tuple[str, ...]]:
    """What was gathered, as ``samples``, those of disjoint sources added up; and what is to be known of the sums."""
    found = settled(samples, gathered.order, (gathered.instant, gathered.window), gathered.elsewhere)
    told = (*found.warnings, *lost_in_sums(samples, found.samples))
    return replace(
        gathered, samples=found.samples, elsewhere=found.elsewhere, incomplete=gathered.incomplete or bool(found.warnings)
    ), told


def _rows(
    question: Question,
    query: TrafficQuery,
    samples: list[Sample],
    gathered: Gathered,
    view: ObjectView,
    cluster: str,
    suffix: str,
) -> list[TrafficMetrics]:
    """Rows for what was observed and exists; for what exists unobserved, when it is asked for by name or ``includeIdle``."""

    def labels(resource: ResourceRef) -> Mapping[str, str]:
        return view.labels(resource) or {}

    kept = [sample for sample in samples if view.exists(sample.resource) is not False]
    qualified, measures = question.qualified, question.measures
    rows = normalise(
        kept,
        gathered.instant,
        gathered.window,
        labels,
        qualified=qualified,
        measures=measures,
        elsewhere=gathered.elsewhere,
        asked=query.instant,
        cluster=cluster,
        suffix=suffix,
    )
    if question.edges or not (question.single or question.include_idle):
        return rows
    observed = {row.resource for row in rows}
    of = partial(idle, qualified=qualified, measures=measures, cluster=cluster, suffix=suffix)
    rows += [
        of(resource, gathered.instant, gathered.window, labels(resource))
        for resource in view.refs()
        if resource not in observed and in_scope(resource, query)
    ]
    rows.sort(key=lambda row: (row.namespace, row.name, row.resource.kind))
    return rows


def _selected(question: Question, rows: list[TrafficMetrics]) -> list[TrafficMetrics]:
    return [
        row
        for row in rows
        if question.labels.matches(row.labels) and (not question.fields or question.fields.matches(fields_of(row)))
    ]


def _check_kinds(question: Question, view: ObjectView) -> None:
    """Kinds of custom controllers are those that there are: any other is a mistake, and not a kind without objects."""
    peer = question.fields.required("edge.resource.kind") or ANY_WORKLOAD
    for field, kind in [*(("resource.kind", kind) for kind in question.kinds), ("edge.resource.kind", peer)]:
        if type_of_kind(kind) is None and kind != ANY_WORKLOAD and kind not in view.custom_kinds:
            if kind in question.kinds and view.warnings:
                raise BackendUnavailable("kubernetes", "; ".join(view.warnings))
            known = [row.kind for row in RESOURCE_TYPES] + sorted(view.custom_kinds)
            raise BadQuery(f'{field}: "{kind}" is not a kind; known are {", ".join(known)}')


def _check_kinds_abroad(question: Question) -> None:
    """The objects of custom controllers are known at home alone."""
    peer = question.fields.required("edge.resource.kind") or ANY_WORKLOAD
    for kind in (*question.kinds, peer):
        if type_of_kind(kind) is None and kind != ANY_WORKLOAD:
            raise Unsupported(f"what is a {kind} is known of the cluster of this server alone")


def _missing(question: Question, view: ObjectView, gathered: Gathered, then: Sequence[str] = ()) -> TrafficError:
    """Nothing of that name; unless not everybody could be asked, which is no statement about existence.

    ``then`` is what a reader must know of names that cannot be told, and of the past.
    """
    resource = ResourceRef(question.kinds[0], question.namespace, question.fields.required("resource.name") or question.name)
    if gathered.incomplete and view.exists(resource) is None:
        return BackendUnavailable(gathered.asked, f"whether it exists is not known: {'; '.join(gathered.warnings)}")
    if view.warnings and view.exists(resource) is None:
        return BackendUnavailable("kubernetes", "; ".join(view.warnings))
    resource_name = f"{question.resource}.{GROUP}"
    told = "; ".join([f'{resource_name} "{question.full_name}" not found', *then])
    return NotFound(resource_name, question.full_name, told)


def _beyond_knowing(gathered: Gathered, namespace: str) -> tuple[str, ...]:
    """What a reader of the past must know: where the sources may not reach it, and what was seen then that nobody can name now.

    Whoever may read one ``namespace`` is told no names of others.
    """
    then = timestamp(gathered.instant)
    if not gathered.samples:
        return (f"nothing of it was observed at {then}: there were no requests, or it is before what the sources keep",)
    lost = {
        sample.resource for sample in gathered.samples if not sample.resource.kind and namespace in ("", sample.resource.namespace)
    }
    nameless = sorted("/".join(filter(None, resource[1:])) for resource in lost)
    if not nameless:
        return ()
    why = "because the mesh tells no more than their names, and what exists now does not tell what they were"
    return (Naming(f"left out of {then}, {why}: {first_few(nameless)}", lost, f"some are left out of {then}, {why}"),)


def _check_labels(rows: list[TrafficMetrics], view: ObjectView) -> list[str]:
    """A selector over labels nobody knows must not look like "no such objects"."""
    gone = [row for row in rows if view.gone(row.resource)] if isinstance(view, ThenView) else []
    if gone:
        return [f"labelSelector compares the labels objects have now: those of {len(gone)} that are gone are not known"]
    unlabelled = [row for row in rows if view.labels(row.resource) is None]
    if not unlabelled:
        return []
    if all(row.resource.kind in view.custom_kinds for row in unlabelled):
        kinds = first_few(sorted({row.resource.kind for row in unlabelled}))
        return [f"labelSelector takes objects of custom controllers for objects without labels, as theirs are not read: {kinds}"]
    if view.warnings:
        raise BackendUnavailable("kubernetes", f"a label selector cannot be applied: {'; '.join(view.warnings)}")
    return ["labelSelector compares the labels of Kubernetes objects; without a cluster there are none"]
