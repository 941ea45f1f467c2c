"""No cluster, no questions: for the plain HTTP port on loopback, where whoever reaches it has a shell on the machine already."""

from __future__ import annotations

from collections.abc import Mapping

from aiohttp import web

from apiservice.authorization import Decision
from apiservice.identity.user import Unauthorized, User
from apiservice.requestinfo import RequestInfo

__all__ = ["AllowAll", "Everyone"]

_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


class Everyone:
    """An :class:`apiservice.identity.user.Authenticator` to whom everybody is the same ``user``. Credentials are not looked at."""

    def __init__(self, user: User = User("system:unsecured", groups=("system:masters", "system:authenticated"))) -> None:  # noqa: B008 - frozen
        self._user = user

    async def authenticate(self, request: web.Request) -> User:
        """The one user.

        Raises :class:`apiservice.identity.user.Unauthorized` for a request that was sent to another name than loopback's: a web page whose
        name was made to point here must not read what its visitor can.
        """
        host = request.host.rpartition(":")[0] if request.host.rpartition(":")[2].isdecimal() else request.host
        if host.strip("[]") not in _LOOPBACK_NAMES:
            raise Unauthorized(f'the insecure port serves loopback by its own names, not as "{host}"')
        return self._user


class AllowAll:
    """An :class:`apiservice.authorization.Authorizer` that allows everything."""

    async def authorize(self, user: User, info: RequestInfo, query: Mapping[str, str]) -> Decision:  # noqa: ARG002 - nothing is asked of them
        """Always allowed."""
        return Decision(allowed=True)
