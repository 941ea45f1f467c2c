"""Reading the API in a user's name: whatever a surface tells, the user could have read from the API itself.

Every read is the request the user would have sent, authorised as such, and understood and answered by the same code. So there is no way
around roles, around the policy about peers, or to other numbers.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import Any

from multidict import MultiDict, MultiDictProxy

from apiservice.answering import Parse, Service
from apiservice.authorization import Authorizer
from apiservice.catalog import locate
from apiservice.identity.user import User
from apiservice.requestinfo import RequestInfo, parse_request
from apiservice.result import Result
from apiservice.shortlived import ShortLived
from apiservice.status import forbidden
from apiservice.visibility import EveryPeer, PeerPolicy
from metrics_api.errors import BadQuery, NotFound
from metrics_api.flight import SingleFlight
from metrics_api.resources import GROUP, VERSION
from metrics_api.span import Span

__all__ = ["Asked", "Reader"]

_ROWS_KEPT = 50_000
"""Rows that histories may hold together; one takes about 1 KiB."""

_AT_ONCE = 8
"""Histories that are put together at one time, for all requests: each may take 100 MB until it is told."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One read of the API: ``resource`` is a plural (``deployments``, ``trafficmetrics``); without ``name`` it is a list.

    ``namespace`` is empty for what is in none and for a list of all. ``edges`` are those of the object of that name.
    ``parameters`` are query parameters as the API has them: ``window``, ``fieldSelector``, ``labelSelector``, ``edgeKind``,
    ``includeIdle``, ``percentiles``, ``stats``, ``time``.
    """

    resource: str
    namespace: str = ""
    name: str = ""
    edges: bool = False
    parameters: tuple[tuple[str, str], ...] = ()

    def info(self) -> RequestInfo:
        """The request, as Kubernetes reads it. Raises :class:`metrics_api.errors.BadQuery` for what can be no part of a path."""
        parts = [part for part in (self.resource, self.name, "edges" if self.edges else "") if part]
        if self.edges and not self.name:
            raise BadQuery(f"edges are those of one object: name one of {self.resource}")
        if self.namespace:
            parts = ["namespaces", self.namespace, *parts]
        for part in parts:
            if part in (".", "..") or "/" in part or "%" in part:
                raise BadQuery(f'"{part}" is no name of Kubernetes: names hold no "/" and no "%", and are not "." or ".."')
        return parse_request("GET", f"/apis/{GROUP}/{VERSION}/{'/'.join(parts)}", dict(reversed(self.parameters)))


class Reader:
    """Reads for surfaces. ``keep`` is the seconds for which a history is remembered."""

    def __init__(
        self, service: Service, parse: Parse, authorizer: Authorizer, peers: PeerPolicy | None = None, keep: float = 5.0
    ) -> None:
        self._service = service
        self._parse = parse
        self._authorizer = authorizer
        self._peers: PeerPolicy = peers or EveryPeer()
        self._flights: SingleFlight[tuple[Result, ...]] = SingleFlight()
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._kept: ShortLived[Any, tuple[Result, ...]] = ShortLived(
            _ROWS_KEPT, keep, lambda kept: 1 + sum(1 + len(result.rows) for result in kept)
        )

    async def read(self, user: User, asked: Asked) -> Result:
        """What the API would answer the user; of one object, one row.

        Raises a 403 :class:`apiservice.status.StatusError` when the user may not, and what the API raises: the errors of
        :mod:`metrics_api.errors`.
        """
        return await self._service.answer(await self._question(user, asked))

    async def read_granted(self, asked: Asked) -> Result:
        """What the API would answer to somebody who may read these totals, for a surface whose own request was the permission.

        The metrics APIs of Kubernetes are APIs of their own to RBAC: ``get pods/requests_per_second`` in the group
        ``custom.metrics.k8s.io`` is granted by a rule for that group, which is what the app has reviewed before a surface sees the
        request. A second review, for our own group, would ask of autoscalers what no autoscaler has. So nobody is asked here, and
        two things follow: a surface must read nothing but the object, or the namespace, that its request names; and these are totals,
        which name no peers. Edges are refused, and what is told beside the rows is what a reader of that namespace alone may know.

        Raises the errors of :mod:`metrics_api.errors`; :class:`metrics_api.errors.BadQuery` for edges.
        """
        info = asked.info()
        locate(info)
        question = self._parse(info, MultiDictProxy(MultiDict(asked.parameters)))
        if question.edges:
            raise BadQuery("edges name the peers of an object, and are told to who may read edges: ask the API itself")
        return await self._service.answer(replace(question, visible=frozenset()))  # type: ignore[type-var]

    async def history(self, user: User, asked: Asked, span: Span) -> tuple[Result, ...]:
        """What the API would answer the user at each instant of a span, in order, each source being asked once for all of them.

        Of what was not observed around an instant there are no rows then. Raises as :meth:`read`; :class:`metrics_api.errors.NotFound`
        only for what was observed at no instant at all, and :class:`metrics_api.errors.BadQuery` when the question names a time itself.
        """
        question = await self._question(user, asked)
        if question.instant is not None:
            raise BadQuery("a history has its own times: leave out time")
        question = replace(question, span=span)
        kept = self._kept.get(question)
        if kept is not None:
            return kept
        return await self._flights.once(question, lambda: self._history(question, span))

    async def _history(self, question: Any, span: Span) -> tuple[Result, ...]:
        async with self._turns:
            return await self._put_together(question, span)

    async def _put_together(self, question: Any, span: Span) -> tuple[Result, ...]:
        results: list[Result] = []
        missing: NotFound | None = None
        found = False
        for instant in span.instants:
            # Others have their turn: nothing else in here waits for anything.
            await asyncio.sleep(0)
            try:
                results.append(await self._service.answer(replace(question, instant=instant)))
                found = True
            except NotFound as error:
                missing = error
                results.append(Result((), instant, question.window))
        if missing is not None and not found:
            raise missing
        history = tuple(results)
        if sum(1 + len(result.rows) for result in history) < _ROWS_KEPT:
            self._kept[question] = history
        return history

    async def _question(self, user: User, asked: Asked) -> Any:
        """The question of a read, once it is known that the user may ask it."""
        info, query = asked.info(), MultiDictProxy(MultiDict(asked.parameters))
        locate(info)
        decision = await self._authorizer.authorize(user, info, query)
        if not decision.allowed:
            raise forbidden(user, info, decision.reason)
        return self._peers.asked(self._parse(info, query), user, info)
