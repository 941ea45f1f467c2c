"""The service: from a question to rows. What the sources saw meets what exists, and becomes TrafficMetrics."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import cast

from apiservice.fanout import Fanout, Gathered
from apiservice.objects import Objects, ObjectView, ThenView
from apiservice.question import Question, fields_of
from apiservice.result import Result
from metrics_api import (
    ANY_WORKLOAD,
    JOINED_SERVICE,
    BackendUnavailable,
    FieldSelector,
    LabelSelector,
    NotFound,
    ResourceRef,
    Sample,
    TrafficError,
    TrafficMetrics,
    TrafficQuery,
    aside,
    best_observers,
    first_few,
    idle,
    normalise,
    rename,
    timestamp,
    together,
)
from metrics_api.resources import GROUP

__all__ = ["TrafficService"]


class TrafficService:
    """Answers questions."""

    def __init__(self, fanout: Fanout, objects: Objects) -> None:
        self._fanout = fanout
        self._objects = objects

    async def answer(self, question: Question, instant: int) -> Result:
        """The rows of a question as of ``instant``, in Unix seconds. Raises the errors of :mod:`metrics_api.errors`."""
        query = question.query(instant)
        gathered, view = await _both(self._fanout.gather(query), self._objects.view(question.kinds, query.namespace, query.name))
        samples, naming = await self._named(gathered.samples, view)
        then: tuple[str, ...] = ()
        if question.instant is not None:
            view = ThenView(view)
            then = _beyond_knowing(samples, gathered, query.namespace)
        samples = [sample for sample in samples if _in_scope(sample.resource, query)]
        rows = await aside(len(samples), partial(_rows, question, query, samples, gathered, view))
        if question.edges and question.name and not rows:
            await self._require(question, view, gathered)
        warnings = [*gathered.warnings, *view.warnings, *naming, *then]
        if question.labels:
            warnings += _check_labels(rows, view)
        rows = await aside(len(rows), partial(_selected, question, rows))
        if question.single:
            rows = [row for row in rows if row.name == question.name]
            if not rows:
                raise _missing(question, view, gathered, (*naming, *then))
        return Result(
            rows=tuple(rows),
            instant=gathered.instant,
            window=gathered.window,
            warnings=tuple(dict.fromkeys(warnings)),
            incomplete=gathered.incomplete,
        )

    async def _require(self, question: Question, view: ObjectView, gathered: Gathered) -> None:
        """An object without edges has an empty list of them; NotFound is for one that does not exist."""
        exists = view.exists(ResourceRef(question.kinds[0], question.namespace, question.name))
        if exists is None:
            total = replace(question, edges=False, single=True, fields=FieldSelector(), labels=LabelSelector())
            await self.answer(total, gathered.instant)
        elif not exists:
            raise _missing(question, view, gathered)

    async def _named(self, samples: Iterable[Sample], view: ObjectView) -> tuple[list[Sample], tuple[str, ...]]:
        """The samples with what is known by an incomplete name turned into objects."""
        samples = list(samples)
        bare = {ref for sample in samples for ref in (sample.resource, sample.peer) if ref.kind in (ANY_WORKLOAD, JOINED_SERVICE)}
        if not bare:
            return samples, ()
        view = await self._objects.view_of(bare)
        return best_observers(rename(samples, view.named)), view.warnings


async def _both(telemetry: Awaitable[Gathered], objects: Awaitable[ObjectView]) -> tuple[Gathered, ObjectView]:
    """Both at once; when one fails the other is cancelled."""

    async def settle(call: Awaitable[Gathered | ObjectView]) -> Gathered | ObjectView:
        return await call

    gathered, view = await together(settle(telemetry), settle(objects))
    return cast("Gathered", gathered), cast("ObjectView", view)


def _rows(
    question: Question, query: TrafficQuery, samples: list[Sample], gathered: Gathered, view: ObjectView
) -> list[TrafficMetrics]:
    """Rows for what was observed and exists; for what exists unobserved, when it is asked for by name or ``includeIdle``."""

    def labels(resource: ResourceRef) -> Mapping[str, str]:
        return view.labels(resource) or {}

    kept = [sample for sample in samples if view.exists(sample.resource) is not False]
    qualified, measures = question.qualified, question.measures
    rows = normalise(kept, gathered.instant, gathered.window, labels, qualified=qualified, measures=measures)
    if question.edges or not (question.single or question.include_idle):
        return rows
    observed = {row.resource for row in rows}
    rows += [
        idle(resource, gathered.instant, gathered.window, labels(resource), qualified=qualified, measures=measures)
        for resource in view.refs()
        if resource not in observed and _in_scope(resource, query)
    ]
    rows.sort(key=lambda row: (row.namespace, row.name, row.resource.kind))
    return rows


def _selected(question: Question, rows: list[TrafficMetrics]) -> list[TrafficMetrics]:
    return [
        row
        for row in rows
        if question.labels.matches(row.labels) and (not question.fields or question.fields.matches(fields_of(row)))
    ]


def _in_scope(resource: ResourceRef, query: TrafficQuery) -> bool:
    return (
        resource.kind in query.kinds
        and query.name in ("", resource.name)
        and (not query.namespace or resource.namespace in ("", query.namespace))
    )


def _missing(question: Question, view: ObjectView, gathered: Gathered, then: Sequence[str] = ()) -> TrafficError:
    """Nothing of that name; unless not everybody could be asked, which is no statement about existence.

    ``then`` is what a reader must know of names that cannot be told, and of the past.
    """
    resource = ResourceRef(question.kinds[0], question.namespace, question.fields.required("resource.name") or question.name)
    if gathered.incomplete and view.exists(resource) is None:
        return BackendUnavailable(gathered.asked, f"whether it exists is not known: {'; '.join(gathered.warnings)}")
    if view.warnings:
        return BackendUnavailable("kubernetes", "; ".join(view.warnings))
    resource_name = f"{question.resource}.{GROUP}"
    told = "; ".join([f'{resource_name} "{question.name}" not found', *then])
    return NotFound(resource_name, question.name, told)


def _beyond_knowing(samples: list[Sample], gathered: Gathered, namespace: str) -> tuple[str, ...]:
    """What a reader of the past must know: where the sources may not reach it, and what was seen then that nobody can name now.

    Whoever may read one ``namespace`` is told no names of others.
    """
    then = timestamp(gathered.instant)
    if not gathered.samples:
        return (f"nothing of it was observed at {then}: there were no requests, or it is before what the sources keep",)
    lost = {sample.resource for sample in samples if not sample.resource.kind and namespace in ("", sample.resource.namespace)}
    nameless = sorted("/".join(filter(None, resource[1:])) for resource in lost)
    if not nameless:
        return ()
    why = "because the mesh tells no more than their names, and what exists now does not tell what they were"
    return (f"left out of {then}, {why}: {first_few(nameless)}",)


def _check_labels(rows: list[TrafficMetrics], view: ObjectView) -> list[str]:
    """A selector over labels nobody knows must not look like "no such objects"."""
    gone = [row for row in rows if view.gone(row.resource)] if isinstance(view, ThenView) else []
    if gone:
        return [f"labelSelector compares the labels objects have now: those of {len(gone)} that are gone are not known"]
    unlabelled = [row for row in rows if view.labels(row.resource) is None]
    if not unlabelled:
        return []
    if view.warnings:
        raise BackendUnavailable("kubernetes", f"a label selector cannot be applied: {'; '.join(view.warnings)}")
    return ["labelSelector compares the labels of Kubernetes objects; without a cluster there are none"]
