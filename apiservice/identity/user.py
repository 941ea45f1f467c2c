"""Who asks, and what it takes to tell."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from aiohttp import web

from metrics_api.errors import TrafficError

__all__ = ["ANONYMOUS", "Authenticator", "Unauthorized", "User", "readable"]

_ANONYMOUS = "system:anonymous"
_AUTHENTICATED = "system:authenticated"
_UNAUTHENTICATED = "system:unauthenticated"
_NO_TEXT = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class User:
    """An identity as Kubernetes has it. Keys of ``extra`` are lower-case."""

    name: str
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)

    def authenticated(self) -> User:
        """The user with ``system:authenticated`` among the groups.

        The aggregator's own users arrive without any group; discovery is granted to this one. As in Kubernetes, users who say
        themselves that they are anonymous or unauthenticated are left alone.
        """
        if self.name == _ANONYMOUS or _AUTHENTICATED in self.groups or _UNAUTHENTICATED in self.groups:
            return self
        return replace(self, groups=(*self.groups, _AUTHENTICATED))


ANONYMOUS = User(_ANONYMOUS, groups=(_UNAUTHENTICATED,))
"""Whoever shows no credentials at all."""


class Unauthorized(TrafficError):
    """Credentials were shown and none of them holds. Answered 401.

    ``causes`` say why, one sentence for each credential; they are for the log, while ``message`` tells the client nothing.
    """

    def __init__(self, *causes: str) -> None:
        super().__init__("; ".join(causes))
        self.causes = causes

    @property
    def message(self) -> str:
        """The one word the client reads."""
        return "Unauthorized"


class Authenticator(Protocol):
    """What the server asks for every request."""

    async def authenticate(self, request: web.Request) -> User:
        """Who sent the request; raises :class:`Unauthorized`."""
        ...


def readable(text: str) -> str:
    """What a header says, fit to be sent on: each byte that is not UTF-8 (a surrogate, to Python) becomes a replacement character.

    Go does so when it writes JSON, so this is what kube-apiserver reads in the reviews of any server.
    """
    return _NO_TEXT.sub("\ufffd", text)
