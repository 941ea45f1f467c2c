"""Who sent a request: front proxy, client certificate, bearer token, in this order, or else nobody in particular.

The order and the handling of errors are those of Kubernetes' delegating servers
(``k8s.io/apiserver/pkg/authentication/authenticatorfactory/delegating.go``): a credential that does not hold does not stop the next one
from being tried, but if none holds, having shown one means 401; only a request without any credentials is anonymous.

Two things differ. A client certificate of an authority nobody has named fails in the handshake, because Python verifies there, where a Go
server answers 401. And no token is read from ``Sec-WebSocket-Protocol``: this server speaks no WebSocket, and who comes through
kube-apiserver has been authenticated there.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Protocol

from aiohttp import web
from aiohttp.hdrs import AUTHORIZATION

from apiservice.clock import Clock
from apiservice.identity.clientcert import client_certificate_user
from apiservice.identity.peer import asked_for_certificate, peer_chain
from apiservice.identity.requestheader import front_proxy_user
from apiservice.identity.token import bearer_token
from apiservice.identity.trust import Trust
from apiservice.identity.user import ANONYMOUS, Unauthorized, User

__all__ = ["DelegatedAuthenticator"]

logger = logging.getLogger(__name__)


class _Tokens(Protocol):
    async def user(self, token: str) -> User: ...


class _TrustSource(Protocol):
    @property
    def current(self) -> Trust: ...


class DelegatedAuthenticator:
    """An :class:`apiservice.identity.user.Authenticator` that believes what the cluster believes.

    ``lifetime`` is told for how many more seconds each client certificate is valid that makes somebody a user.
    """

    def __init__(self, trust: _TrustSource, tokens: _Tokens, clock: Clock, lifetime: Callable[[float], None] | None = None) -> None:
        self._lifetime = lifetime
        self._trust = trust
        self._tokens = tokens
        self._clock = clock

    async def authenticate(self, request: web.Request) -> User:
        """Who sent the request; raises :class:`Unauthorized`."""
        trust = self._trust.current
        now = self._clock.now()
        chain = peer_chain(request.transport)
        if not asked_for_certificate(request.transport):
            # A front proxy keeps its connections, and on this one it could never say who it is.
            request.protocol.close()
        causes: list[str] = []
        user: User | None = None
        try:
            user = front_proxy_user(request.headers, chain, trust.front_proxy, now)
        except Unauthorized as error:
            causes.append(f"as a front proxy: {error}")
        if user is None:
            try:
                user = client_certificate_user(chain, trust.clients, now, self._lifetime)
            except Unauthorized as error:
                causes.append(f"as a client: {error}")
        if user is None:
            try:
                user = await self._token_user(request)
            except Unauthorized as error:
                causes.append(str(error))
        if user is not None:
            return user.authenticated()
        if causes:
            logger.warning("a request was not authenticated: %s", "; ".join(causes))
            raise Unauthorized(*causes)
        return ANONYMOUS

    async def _token_user(self, request: web.Request) -> User | None:
        token = bearer_token(request.headers.get(AUTHORIZATION, ""))
        return None if token is None else await self._tokens.user(token)
