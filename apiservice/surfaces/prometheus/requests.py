"""Requests as Prometheus' clients send them: parameters in the URL or in a form, each perhaps several times."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import parse_qsl

from aiohttp import web
from multidict import MultiDict

from apiservice.envelope import USER
from apiservice.identity.user import User
from apiservice.requestinfo import RequestInfo
from apiservice.surfaces.prometheus.expression import BadSyntax, Expression, NotEvaluated, parse_expression, parse_selector
from apiservice.surfaces.prometheus.failures import bad_data, cannot_execute, parameter
from apiservice.surfaces.prometheus.selection import Scope
from apiservice.surfaces.prometheus.selector import Selector
from apiservice.surfaces.prometheus.times import parse_length, parse_moment
from metrics_api.window import Window

__all__ = ["LONGEST", "OutOfTime", "Query", "query_of"]

LONGEST = 55.0
"""Seconds a query may take: a little less than the request that it came with."""

_AHEAD = 300.0
"""Seconds a time may be ahead for the latest numbers still to be told: as long as a Prometheus looks back for a sample."""

_FORM = "application/x-www-form-urlencoded"
_LARGEST_FORM = 256 * 1024
"""Bytes of a form, which takes a while to be taken apart."""

_MOST_FIELDS = 10_000
_MOST_SELECTORS = 50
"""Selectors of one request: each may come to 64 reads of the API."""


class Query(NamedTuple):
    """A request, read: who asks, within which limits, and with which ``parameters``. ``now`` is Unix time."""

    user: User
    scope: Scope
    parameters: MultiDict[str]
    refresh: int
    now: float

    def text(self, name: str, default: str = "") -> str:
        """A parameter; of several values the first, as in Prometheus."""
        return self.parameters.get(name, default)

    def expression(self) -> Expression:
        """What ``query`` says. Raises a 400 for what is no PromQL, and a 422 for what is more than is evaluated."""
        try:
            return parse_expression(self.text("query"))
        except BadSyntax as error:
            raise parameter("query", str(error)) from error
        except NotEvaluated as error:
            raise cannot_execute(str(error)) from error

    def selectors(self) -> list[Selector]:
        """What the values of ``match[]`` say. Raises as above."""
        texts = self.parameters.getall("match[]", [])
        if len(texts) > _MOST_SELECTORS:
            raise cannot_execute(f"{len(texts):,} selectors are more than the {_MOST_SELECTORS} that are answered at once")
        try:
            return [parse_selector(text) for text in texts]
        except BadSyntax as error:
            raise parameter("match[]", str(error)) from error
        except NotEvaluated as error:
            raise cannot_execute(str(error)) from error

    def moment(self, name: str) -> int | None:
        """A time in milliseconds, None without one."""
        text = self.text(name)
        return parse_moment(name, text) if text else None

    def limit(self) -> int:
        """How many results are wanted at most; 0 for all."""
        text = self.text("limit", "0")
        if not (text.isascii() and text.isdecimal() and len(text) < 19):
            raise parameter("limit", f'"{text[:40]}" is not a whole number, or is negative')
        return int(text)

    def timeout(self) -> float:
        """Seconds that it may take."""
        text = self.text("timeout")
        seconds = parse_length("timeout", text) / 1000 if text else LONGEST
        return min(seconds, LONGEST) if seconds > 0 else LONGEST

    def instant(self, moment: int | None) -> int | None:
        """The instant whose numbers a query at a moment is about, in whole seconds; None for the latest.

        The moment a client thinks it is now is about the latest, which all share, also where its clock is ahead. Raises
        :class:`OutOfTime` for a time that is further in the future, or before 1970.
        """
        if moment is None or (self.now - self.refresh) * 1000 <= moment <= (self.now + _AHEAD) * 1000:
            return None
        if moment > self.now * 1000:
            raise OutOfTime("the time is in the future, of which nothing is known")
        if moment < 0:
            raise OutOfTime("the time is before 1970, of which nothing is known")
        return moment // 1000


class OutOfTime(Exception):
    """A time of which nothing can be known: there are no series. The message says why."""


def query_of(
    info: RequestInfo, request: web.Request, body: bytes, window: Window, refresh: int, clock: Callable[[], float] = time.time
) -> Query:
    """Read a request. ``window`` is the one of what does not name any. Raises a 400.

    As in Go's ``ParseForm``, a form comes before the URL, and bodies in other forms are not looked at.
    """
    parameters: MultiDict[str] = MultiDict()
    if body and request.method == "POST" and request.content_type == _FORM:
        if len(body) > _LARGEST_FORM:
            raise bad_data(f"the form in the body of the request has {len(body):,} bytes: {_LARGEST_FORM:,} are the most")
        try:
            parameters.extend(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=_MOST_FIELDS, errors="strict"))
        except ValueError as error:
            raise bad_data(
                "the form in the body of the request cannot be read: it must be UTF-8, with at most 10,000 fields"
            ) from error
    parameters.extend(request.query)
    given = request.query.getall("window", []) if "window" in request.query else []
    windows = {Window.parse(text) for text in given} or {window}
    if len(windows) > 1:
        raise parameter("window", f"different windows are asked for: {', '.join(sorted(map(str, windows)))}")
    return Query(request[USER], Scope(info.namespace, windows.pop()), parameters, refresh, clock())
