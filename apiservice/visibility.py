"""Whose names an edge may tell whom: the policy about peers in namespaces that the asking user may not read.

Answers are shared among users, so what a user may be told of is part of the question. It is asked first with nobody to be told of; the
answer knows where the hidden peers are, each of those places is reviewed, and the question is asked again with what came out. A place that
turns up in between has not been reviewed, and stays hidden. Who watches asks so in every refresh, and reviews are remembered for ten
seconds: a right that was taken away hides its peers with the next answer after that.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from enum import StrEnum
from typing import Any, NamedTuple, Protocol

from cachetools import TTLCache

from apiservice.authorization import AuthorizationError, Decision
from apiservice.hiding import NODES, Places, home_of, namespace_of, place_of, words_of
from apiservice.identity import User
from apiservice.objects import Objects, ObjectView
from apiservice.question import TRAFFIC_METRICS, Asker, Question
from apiservice.requestinfo import RequestInfo
from apiservice.result import Result
from apiservice.rownames import join_cluster
from metrics_api import BackendUnavailable, Expired, ResourceRef, TrafficMetrics, called_service, together, type_of_kind
from metrics_api.resources import GROUP, VERSION, host

__all__ = ["LARGEST_REFRESH", "AuthorizedPeers", "EveryPeer", "PeerPolicy", "PeerVisibility"]

LARGEST_REFRESH = 30
"""Seconds a refresh may take where peers are authorised: who watches is told of a revoked right with the next answer."""

_AT_ONCE = 16
"""Reviews under way at one time for all requests: a gateway may have callers in hundreds of namespaces."""

_REMEMBERED = 600.0
"""Seconds it is known what somebody was told of: for longer than a version or a continue token is good."""

_ASKERS = 4096
_NODE = "Node"


class PeerVisibility(StrEnum):
    """``all``: an edge names its peer, because the traffic is the resource's own. ``authorized``: only to who may read the peer's, too."""

    ALL = "all"
    AUTHORIZED = "authorized"


class PeerPolicy(Protocol):
    """What the server asks for every question."""

    def asked(self, question: Any, user: User, info: RequestInfo) -> Any:
        """The question as this user asks it; ``info`` is the request that was authorised."""
        ...

    def whose(self, question: Any) -> str:
        """For whom the answer is; empty when it is for everybody."""
        ...

    async def confirm(self, question: Any, result: Result) -> None:
        """Make sure that an answer of some time ago may be told still. Raises :class:`metrics_api.errors.Expired`."""
        ...


class EveryPeer:
    """The policy ``all``."""

    def asked(self, question: Question, user: User, info: RequestInfo) -> Question:  # noqa: ARG002 it does not matter
        """The same for everybody."""
        return question if question.edges else _of_home(question)

    def whose(self, question: Any) -> str:  # noqa: ARG002 it does not matter
        """Everybody's."""
        return ""

    async def confirm(self, question: Any, result: Result) -> None:
        """It may."""


class _Authorizer(Protocol):
    async def authorize(self, user: User, info: RequestInfo, query: Mapping[str, str]) -> Decision: ...


class _Service(Protocol):
    async def answer(self, question: Any, instant: int | None = None) -> Result: ...


class _Told(NamedTuple):
    """What somebody was told of last: all places (``visible`` is None), or some and others not; and since when, in Unix seconds."""

    visible: Places | None
    hidden: Places
    since: int

    def differs(self, visible: Places | None, hidden: Places) -> bool:
        """Whether a place was told of that is hidden now, or the other way round."""
        shown = hidden if self.visible is None else hidden & self.visible
        return bool(shown or (self.hidden if visible is None else self.hidden & visible))


class AuthorizedPeers:
    """The policy ``authorized``, and the answers of ``service`` under it. ``objects`` know the namespaces; ``clock`` is Unix time."""

    def __init__(
        self, service: _Service, authorizer: _Authorizer, objects: Objects, clock: Callable[[], float] = time.time
    ) -> None:
        self._service = service
        self._authorizer = authorizer
        self._objects = objects
        self._clock = clock
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._told: TTLCache[Question, _Told] = TTLCache(_ASKERS, _REMEMBERED)

    def asked(self, question: Question, user: User, info: RequestInfo) -> Question:
        """See :class:`PeerPolicy`. Totals are the same for everybody who may ask for them."""
        return replace(question, asker=Asker(user, _reviewed(question, info))) if question.edges else _of_home(question)

    def whose(self, question: Question) -> str:
        """See :class:`PeerPolicy`; the same on every replica."""
        if question.asker is None:
            return ""
        user = question.asker.user
        return repr((user.name, user.uid, user.groups))

    async def answer(self, question: Question, instant: int | None = None) -> Result:
        """The answer as this user may have it.

        Raises what the service raises, :class:`metrics_api.errors.BackendUnavailable` when a review fails, and
        :class:`metrics_api.errors.Expired` for an ``instant`` before which the user was told of other places.
        """
        if question.asker is None:
            return await self._service.answer(question, instant)
        plain = replace(question, asker=None)
        if await self._may_all(question.asker, plain):
            self._note(question, instant, None, frozenset())
            return await self._service.answer(plain, instant)
        # A row that is not there for who is told of nobody may be there for this user.
        name = "" if plain.single else plain.name
        first = await self._service.answer(replace(plain, visible=frozenset(), single=False, name=name), instant)
        visible = await self._allowed(question.asker, first.hidden)
        self._note(question, instant, visible, first.hidden - visible)
        if not visible and not plain.single:
            return first
        # The instant that was asked about: asked for the one of the answer, a source would have no reason to say that it is late.
        return await self._service.answer(replace(plain, visible=visible), first.asked)

    async def confirm(self, question: Question, result: Result) -> None:
        """See :class:`PeerPolicy`."""
        if question.asker is None or await self._may_all(question.asker, question):
            return
        named = {place_of(row.edge.peer, home_of(row.resource)) for row in result.rows if row.edge.peer != row.resource}
        places = frozenset(place for place in named if place is not None)
        if any(map(_names_host_abroad, result.rows)) or await self._allowed(question.asker, places) != places:
            raise _changed()

    def _note(self, question: Question, instant: int | None, visible: Places | None, hidden: Places) -> None:
        """Remember what is told. Nobody can go on from a version at which it was something else."""
        if question.instant is not None:
            # Nobody goes on from the past.
            return
        before = self._told.get(question)
        since = before.since if before is not None else 0
        if before is not None and before.differs(visible, hidden):
            since = int(self._clock()) + 1
        self._told[question] = _Told(visible, hidden, since)
        if instant is not None and instant < since:
            raise _changed()

    async def _may_all(self, asker: Asker, question: Question) -> bool:
        """Whether the user may read the traffic of all namespaces; that of nodes is another right."""
        level = question.peer_kind or question.kinds[0]
        return level != _NODE and await self._may_list(asker.user, asker.resource, "")

    async def _allowed(self, asker: Asker, places: Places) -> Places:
        """Those of the places that the user may be told of."""
        if not places:
            return places
        named = [place for place in places if not place.kind]
        view = await self._objects.view((namespace_of("").kind,), "", "") if named else None
        ordered = sorted(places)
        allowed = await together(*(self._may_know(asker, place, view) for place in ordered))
        return frozenset(place for place, told in zip(ordered, allowed, strict=True) if told)

    async def _may_know(self, asker: Asker, place: ResourceRef, view: ObjectView | None) -> bool:
        if place == NODES:
            return await self._may_list(asker.user, "nodes", "")
        if not place.kind and view is not None:
            return await self._may_know_host(asker, place.name, view)
        if place != namespace_of(place.name):
            return False
        return await self._may_list(asker.user, asker.resource, place.name)

    async def _may_know_host(self, asker: Asker, name: str, view: ObjectView) -> bool:
        """Whether every namespace that the name of a host holds is one the user may read."""
        known = {word: view.exists(namespace_of(word)) for word in words_of(name)}
        if None in known.values():
            # Nobody knows which namespaces there are.
            return False
        namespaces = {word for word, exists in known.items() if exists}
        called = called_service(host(name))
        if called is not None and called[1]:
            # By its form it has the name of a namespace in it, which may be there in another cluster alone.
            namespaces.add(called[0].namespace)
        return await self._may_list_all(asker, sorted(namespaces))

    async def _may_list_all(self, asker: Asker, namespaces: Collection[str]) -> bool:
        return all(await together(*(self._may_list(asker.user, asker.resource, namespace) for namespace in namespaces)))

    async def _may_list(self, user: User, resource: str, namespace: str) -> bool:
        """Whether the user may list a resource in a namespace; in all of them, or at cluster scope, when that is empty."""
        within = f"/namespaces/{namespace}" if namespace else ""
        path = f"/apis/{GROUP}/{VERSION}{within}/{resource}"
        info = RequestInfo(
            is_resource=True, verb="list", path=path, group=GROUP, version=VERSION, namespace=namespace, resource=resource
        )
        try:
            async with self._turns:
                return (await self._authorizer.authorize(user, info, {})).allowed
        except AuthorizationError as error:
            told = f"whether you may be told who is at the other end cannot be found out: {error.message}"
            raise BackendUnavailable("kubernetes", told) from error


def _of_home(question: Question) -> Question:
    """A question about totals, which name nobody: nothing that is told beside those of one namespace may name what is in another."""
    return replace(question, visible=frozenset()) if question.home else question


def _reviewed(question: Question, info: RequestInfo) -> str:
    """What a user must be allowed to list in the namespace of a peer: what was asked for, as far as it is in namespaces."""
    if info.resource != "nodes":
        return info.resource
    level = type_of_kind(question.peer_kind)
    return level.plural if level is not None and level.namespaced else TRAFFIC_METRICS


def _names_host_abroad(row: TrafficMetrics) -> bool:
    """Whether a row of another cluster names a host. Which namespaces that has is not known, so no review tells who may know."""
    place = place_of(row.edge.peer, home_of(row.resource))
    return place is not None and not place.kind and bool(row.cluster) and row.name.endswith(join_cluster("", row.cluster))


def _changed() -> Expired:
    return Expired("what you may be told of has changed meanwhile: list again, and go on from there")
