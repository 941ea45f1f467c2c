"""Several clusters behind one server: each is asked for itself, and what they say stands side by side, never together.

The rows of the cluster the server runs in are named as ever; those of others have the name of their cluster at the end
(``web@west``), so that a name says everywhere which object it is. What Kubernetes knows is known of home alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple, Protocol

from apiservice.federation.observer import Observer
from apiservice.question import Question
from apiservice.result import Result
from apiservice.rowfields import CLUSTER
from apiservice.rownames import join_cluster
from metrics_api import (
    BackendError,
    BadQuery,
    FieldSelector,
    NotFound,
    TrafficError,
    TrafficMetrics,
    Unsupported,
    aside,
    first_few,
    together,
)
from metrics_api.resources import GROUP

__all__ = ["Clusters"]

_PATIENCE = 0.5
"""Seconds that a 404 waits to be told in which other cluster there is an object of that name."""


class _Service(Protocol):
    async def answer(self, question: Question, instant: int) -> Result: ...


class _Choice(NamedTuple):
    """The clusters to ask, and what a reader must know of those that are not asked."""

    clusters: Sequence[str]
    warnings: tuple[str, ...] = ()


class Clusters:
    """Answers questions out of the ``services`` of the clusters, which are by name; ``home`` is the one the server runs in.

    Home may have no name, and nobody may tell of it; all others have one. ``observer`` is told of answers that lack a whole cluster.
    """

    def __init__(self, services: Mapping[str, _Service], home: str = "", observer: Observer | None = None) -> None:
        # The rows of home come first where rows are equal, and so do its warnings.
        self._services = dict(sorted(services.items(), key=lambda service: service[0] != home))
        self._home = home
        self._observer = observer or Observer()
        self._alone = tuple(self._services) == (home,)

    async def answer(self, question: Question, instant: int) -> Result:
        """The rows of the clusters that a question is about, as of ``instant`` (Unix seconds), sorted as those of one.

        Raises what a service raises when no cluster can answer, and :class:`metrics_api.errors.BadQuery` for a cluster that there is not.
        """
        chooses = question.fields.mentions(CLUSTER)
        if self._alone and not question.cluster and not chooses:
            return await self._services[self._home].answer(question, instant)
        choice = self._telling(question, self._meant(question))
        if chooses:
            # Answered by the choice; home goes by two names, and a row has one.
            fields = FieldSelector(tuple(term for term in question.fields.terms if term.field != CLUSTER))
            question = replace(question, fields=fields)
        try:
            return await self._answered(question, instant, choice)
        except NotFound as error:
            if question.cluster != "" or question.split or question.span is not None:
                raise
            # It was asked for by a name of home; who else has one is told.
            raise await self._pointing(question, instant, error) from error

    async def _answered(self, question: Question, instant: int, choice: _Choice) -> Result:
        match choice.clusters:
            case ():
                return _nothing(question, instant, choice.warnings)
            case (only,):
                result = await self._services[only].answer(self._as_asked_of(only, question), instant)
                return replace(result, warnings=(*result.warnings, *choice.warnings)) if choice.warnings else result
            case several:
                return await self._several(question, instant, several, choice.warnings)

    def _meant(self, question: Question) -> _Choice:
        """The clusters that the selector and the name leave; where it is none, why."""
        clusters = list(self._services)
        for term in question.fields.terms:
            if term.field != CLUSTER:
                continue
            if term.equal and term.value and term.value not in (self._home, *self._services):
                raise BadQuery(f'cluster: there is no "{term.value}" here; {self._known()}')
            value = term.value or self._home
            clusters = [name for name in clusters if (name == value) is term.equal]
        if question.cluster is None:
            return _Choice(clusters)
        if question.cluster and question.cluster == self._home:
            return _Choice((), (f'"{self._home}" is the cluster of this server, whose objects have names without @',))
        named = question.cluster or self._home
        if named in clusters:
            return _Choice((named,))
        if named not in (self._home, *self._services):
            return _Choice((), (f'there is no cluster "{named}" here; {self._known()}',))
        if named not in self._services:
            return _Choice((), ("no source tells of the cluster of this server",))
        return _Choice((), (f"the name is one of {_called(question.cluster)}, and the field selector asks for others",))

    def _telling(self, question: Question, meant: _Choice) -> _Choice:
        """Of those the ones that can tell: labels, and what divides traffic, are read from the Kubernetes of home."""
        others = [name for name in meant.clusters if name != self._home]
        if not others or not (question.labels or question.split):
            return meant
        home = tuple(name for name in meant.clusters if name == self._home)
        if question.split:
            if home:
                return _Choice(home)
            raise Unsupported(f"{question.resource} are read from Kubernetes, and that of {_listed(others)} is not read from here")
        known = "labelSelector compares labels that are known of the cluster of this server alone"
        return _Choice(home, (*meant.warnings, f"{known}: the answer is without {_listed(others)}"))

    async def _several(self, question: Question, instant: int, names: Sequence[str], warnings: Sequence[str]) -> Result:
        outcomes = await together(*(self._outcome(question, instant, name) for name in names))
        results = {name: outcome for name, outcome in zip(names, outcomes, strict=True) if isinstance(outcome, Result)}
        errors = {name: outcome for name, outcome in zip(names, outcomes, strict=True) if isinstance(outcome, TrafficError)}
        if not results:
            raise min(errors.values(), key=_standing)
        rows = sum(len(result.rows) for result in results.values())
        said = [told for name, result in results.items() for told in self._told(name, result.warnings)]
        said += [_failed(name, error) for name, error in errors.items() if not isinstance(error, NotFound)]
        in_part = any(result.incomplete for result in results.values())
        failed = any(isinstance(error, BackendError) for error in errors.values())
        if failed and not in_part:
            # What lacks a part of a cluster has been told of where that cluster was asked.
            self._observer.incomplete()
        first = next(iter(results.values()))
        if isinstance(errors.get(self._home), BackendError):
            # What it would have been of is not known; that others are late must not turn the version of the answer back.
            first = replace(first, instant=instant, window=question.window)
        return Result(
            rows=await aside(rows, partial(_sorted, tuple(results.values()), first.instant)),
            instant=first.instant,
            window=first.window,
            warnings=tuple(dict.fromkeys((*said, *warnings))),
            incomplete=in_part or failed,
            hidden=frozenset(
                place for name, result in results.items() for place in result.hidden if name == self._home or place.kind
            ),
        )

    async def _outcome(self, question: Question, instant: int, name: str) -> Result | TrafficError:
        """What becomes of asking one cluster: one that fails must not disturb the others."""
        try:
            return await self._services[name].answer(self._as_asked_of(name, question), instant)
        except TrafficError as error:
            return error

    def _as_asked_of(self, name: str, question: Question) -> Question:
        """The question, as it is put to a cluster.

        Which namespaces the name of a host may hold is known of home. What was found out there says nothing about hosts of others, so these
        are named to nobody but who may read all namespaces.
        """
        if name == self._home or question.visible is None:
            return question
        return replace(question, visible=frozenset(place for place in question.visible if place.kind))

    def _told(self, name: str, warnings: Sequence[str]) -> list[str]:
        if name == self._home:
            return list(warnings)
        return [warning if _called(name) in warning else f"{_called(name)}: {warning}" for warning in warnings]

    async def _pointing(self, question: Question, instant: int, error: NotFound) -> NotFound:
        """The error, with the names by which there is such an object in other clusters, as far as these tell quickly."""
        others = [name for name in self._services if name != self._home]
        having = await together(*(self._has(replace(question, cluster=name), instant, name) for name in others))
        names = _quoted(join_cluster(question.name, name) for name, has in zip(others, having, strict=True) if has)
        if not names:
            return error
        return NotFound(error.resource, error.name, f"{error.message}; another cluster has one: ask for {' or '.join(names[:3])}")

    async def _has(self, question: Question, instant: int, name: str) -> bool:
        try:
            async with asyncio.timeout(_PATIENCE):
                await self._services[name].answer(self._as_asked_of(name, question), instant)
        except (TrafficError, TimeoutError):
            return False
        return True

    def _known(self) -> str:
        """Which clusters there are."""
        names = _quoted(filter(None, self._services))
        return f"known are {first_few(names)}" if names else "this server tells of its own cluster alone, which has no name"


def _sorted(results: Sequence[Result], version: int) -> tuple[TrafficMetrics, ...]:
    """All rows, in the order of those of one cluster, and with the version of the whole answer."""
    rows = [row if row.told_at == version else replace(row, version=version) for result in results for row in result.rows]
    rows.sort(key=lambda row: (row.namespace, row.name, row.resource.kind, row.edge.direction, row.edge.peer))
    return tuple(rows)


def _standing(error: TrafficError) -> int:
    """Which of several errors is told: that an answer may come later, before that there is none, before that there never is."""
    kinds = (BadQuery, BackendError, NotFound)
    return next((place for place, kind in enumerate(kinds) if isinstance(error, kind)), len(kinds))


def _failed(name: str, error: TrafficError) -> str:
    how = "did not answer" if isinstance(error, BackendError) else "cannot tell"
    return f"{_called(name)} {how}: {error.message}"


def _called(name: str) -> str:
    return f'cluster "{name}"' if name else "the cluster of this server"


def _listed(names: Sequence[str]) -> str:
    return f"{'clusters' if len(names) > 1 else 'cluster'} {first_few(_quoted(names))}"


def _quoted(names: Iterable[str]) -> list[str]:
    return [f'"{name}"' for name in names]


def _nothing(question: Question, instant: int, why: Sequence[str]) -> Result:
    """What is answered when nobody is to be asked: an empty list; of one name, that there is no such object."""
    if not question.name or question.cluster is None:
        return Result((), instant, question.window, tuple(why))
    resource = f"{question.resource}.{GROUP}"
    told = "; ".join([f'{resource} "{question.full_name}" not found', *why])
    raise NotFound(resource, question.full_name, told)
