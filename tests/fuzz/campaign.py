"""A campaign: many requests over several connections at once, each response held against the rules."""

from __future__ import annotations

import random
import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from tests.fuzz.grammar import Grammar, Shaped
from tests.fuzz.rules import UNREADABLE, Rules
from tests.fuzz.wire import PATIENCE, BrokenOff, Connection, Misbehaved, Open, Request, Response

__all__ = ["Campaign", "fetch", "learn"]

_BURST = 16
"""Requests sent at once on a connection: fewer than the server reads ahead, so that neither side waits for the other."""


def fetch(connection: Connection, path: str) -> Any:
    """A JSON document of a server that is well."""
    connection.send(Request(b"GET", path.encode(), ((b"Host", b"localhost"),)).encode())
    response = connection.receive()
    assert response is not None
    assert response.status == 200, response
    return msgspec.json.decode(response.body)


def learn(open_connection: Open) -> tuple[dict[str, Any], list[str]]:
    """The OpenAPI document of the group, at the address its index gives, and the paths the server has beside it."""
    with open_connection() as connection:
        (entry,) = fetch(connection, "/openapi/v3")["paths"].values()
        return fetch(connection, entry["serverRelativeURL"]), fetch(connection, "/")["paths"]


@dataclass(slots=True)
class _Lane:
    connection: Connection
    sent: deque[Shaped] = field(default_factory=deque)
    since: float = 0
    last: tuple[Shaped, Response] | None = None


@dataclass(slots=True)
class Campaign:
    """``statuses`` counts the answers so far. ``open_connection`` opens one of ``lanes`` connections, again whenever one was closed."""

    open_connection: Open
    rules: Rules
    grammar: Grammar
    seed: str = ""
    lanes: int = 8
    statuses: Counter[int] = field(default_factory=Counter)
    _lanes: deque[_Lane] = field(default_factory=deque)

    @classmethod
    def over(cls, open_connection: Open, seed: str, *, knowing: bool = True, asking: Open | None = None) -> Campaign:
        """One that asks the server itself what it can be asked, over ``asking`` where not everybody may; ``knowing`` as in the rules."""
        document, others = learn(asking or open_connection)
        rules = Rules(document, sample=10, knowing=knowing)
        return cls(open_connection, rules, Grammar(document["paths"], others, random.Random(seed)), seed)

    def run(self, requests: int) -> None:
        """Send that many more requests; every one is answered when this returns."""
        self._lanes.extend(_Lane(self.open_connection()) for _ in range(self.lanes - len(self._lanes)))
        unsent = requests
        while unsent or any(lane.sent for lane in self._lanes):
            lane = self._lanes[0]
            self._lanes.rotate(-1)
            self._read(lane)
            burst = [self.grammar.make() for _ in range(min(_BURST, unsent))]
            unsent -= len(burst)
            self._send(lane, burst)

    def close(self) -> None:
        """End the connections."""
        for lane in self._lanes:
            lane.connection.close()
        self._lanes.clear()

    def _send(self, lane: _Lane, burst: Sequence[Shaped]) -> None:
        lane.since = time.monotonic()
        lane.sent.extend(burst)
        if burst:
            lane.connection.send(b"".join(shaped.request.encode() for shaped in burst))

    def _read(self, lane: _Lane) -> None:
        """The responses to all that was sent; after the end of a connection the rest is sent again on another, one by one.

        One by one, because of a burst in which one request is no HTTP the server answers no more than that; and what it has not read by
        then makes the kernel reset the connection, which may cost the client the end of an answer that is under way.
        """
        while lane.sent:
            try:
                response = self._next(lane)
            except BrokenOff:
                if len(lane.sent) == 1:
                    raise
            else:
                if not response.closes:
                    self._answered(lane, response)
                    continue
                if len(lane.sent) == 1 or response.status not in UNREADABLE:
                    self._answered(lane, response)
            again = list(lane.sent)
            self._reopen(lane)
            for shaped in again:
                self._send(lane, [shaped])
                response = self._next(lane)
                self._answered(lane, response)
                if response.closes:
                    self._reopen(lane)

    def _next(self, lane: _Lane) -> Response:
        """The next response; whole, in time, and the last where it says so."""
        request = lane.sent[0].request
        try:
            response = lane.connection.receive(request.method)
            following = lane.connection.rest() if response is not None and response.closes else b""
        except Misbehaved as error:
            raise type(error)(self._told(error, lane)) from error
        if response is None:
            raise Misbehaved(self._told("the connection ended without an answer", lane))
        if time.monotonic() - lane.since > PATIENCE:
            raise Misbehaved(self._told(f"the answer took longer than {PATIENCE} s", lane, response))
        if following and not (request.method == b"HEAD" and response.status in UNREADABLE):
            raise Misbehaved(self._told(f"something follows the last answer: {following[:200]!r}", lane, response))
        return response

    def _answered(self, lane: _Lane, response: Response) -> None:
        try:
            token = self.rules.check(lane.sent[0], response)
        except Misbehaved as error:
            raise Misbehaved(self._told(error, lane, response)) from error
        lane.last = lane.sent.popleft(), response
        self.statuses[response.status] += 1
        self.grammar.take(response.value("audit-id"), token)

    def _reopen(self, lane: _Lane) -> None:
        lane.sent.clear()
        lane.last = None
        lane.connection.close()
        lane.connection = self.open_connection()

    def _told(self, error: Misbehaved | str, lane: _Lane, response: Response | None = None) -> str:
        number, (shaped, *behind) = sum(self.statuses.values()), lane.sent
        after = b"".join(each.request.encode() for each in behind[:3])
        return (
            f"{error}\nrequest {number} of TRAFFICMETRICS_FUZZ_SEED={self.seed}: {shaped}\n"
            f"its bytes: {shaped.request.encode()[:4_000]!r}\nits answer: {str(response)[:2_000]}\n"
            f"before it on the connection: {str(lane.last)[:3_000]}\nbehind it: {after[:1_000]!r}"
        )
