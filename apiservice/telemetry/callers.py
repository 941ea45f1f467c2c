"""Who asks and whether they may: how often that was found out, how long it took, and what came out.

Names, labels and buckets: ``k8s.io/apiserver``, pkg/endpoints/filters/metrics.go and pkg/authentication/request/x509/x509.go.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Histogram

from apiservice.authorization import Authorizer, Decision
from apiservice.identity.user import Authenticator, User
from apiservice.requestinfo import RequestInfo
from apiservice.telemetry.untyped import Untyped

__all__ = ["CallerMetrics", "CountedAuthenticator", "CountedAuthorizer"]

_DURATIONS = tuple(0.001 * 2**power for power in range(15))
_LIFETIMES = tuple(
    3600.0 * hours for hours in (0, 0.5, 1, 2, 6, 12, 24, 2 * 24, 4 * 24, 7 * 24, 30 * 24, 90 * 24, 180 * 24, 360 * 24)
)
_WELL_KNOWN = ("admin", "client", "kube_proxy", "kubelet", "system:serviceaccount:kube-system:default")
_SUCCESS, _FAILURE, _ERROR = "success", "failure", "error"
_ALLOWED, _DENIED, _NO_OPINION = "allowed", "denied", "no-opinion"


class CallerMetrics:
    """Counts authentication and authorization in ``registry``."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._attempts = Untyped(
            "authentication_attempts",
            "Requests whose sender was looked for, by result.",
            "result",
            (_SUCCESS, _FAILURE, _ERROR),
            registry,
        )
        self._users = Untyped(
            "authenticated_user_requests",
            "Requests whose sender is known, by kind of user name.",
            "username",
            (*_WELL_KNOWN, "email_id", "other"),
            registry,
        )
        self._authentication = Histogram(
            "authentication_duration_seconds",
            "Time it took to find out who sent a request.",
            ["result"],
            buckets=_DURATIONS,
            registry=registry,
        )
        self._decisions = Counter(
            "authorization_attempts", "Requests for which permission was asked, by result.", ["result"], registry=registry
        )
        self._authorization = Histogram(
            "authorization_duration_seconds",
            "Time it took to find out whether a request is allowed.",
            ["result"],
            buckets=_DURATIONS,
            registry=registry,
        )
        self._certificates = Histogram(
            "apiserver_client_certificate_expiration_seconds",
            "Time the client certificates of requests had left.",
            buckets=_LIFETIMES,
            registry=registry,
        )
        for result in (_ALLOWED, _DENIED, _NO_OPINION, _ERROR):
            self._decisions.labels(result)

    def certificate_shown(self, seconds: float) -> None:
        """Count a client certificate that is valid for so many more seconds; less than 0 for one that has expired."""
        self._certificates.observe(seconds)

    def authenticated(self, user: User | None, seconds: float) -> None:
        """Count an attempt to find out who sent a request; None when credentials were shown and none of them holds."""
        result = _ERROR if user is None else _SUCCESS
        if user is not None:
            self._users.add(_kind_of_name(user.name))
        self._attempts.add(result)
        self._authentication.labels(result).observe(seconds)

    def authorized(self, decision: Decision | None, seconds: float) -> None:
        """Count an attempt to find out whether a request is allowed; None when it failed."""
        if decision is None:
            result = _ERROR
        elif decision.allowed:
            result = _ALLOWED
        else:
            result = _DENIED if decision.denied else _NO_OPINION
        self._decisions.labels(result).inc()
        self._authorization.labels(result).observe(seconds)


class CountedAuthenticator:
    """An :class:`apiservice.identity.Authenticator` that counts what another one finds out."""

    def __init__(self, inner: Authenticator, metrics: CallerMetrics) -> None:
        self._inner = inner
        self._metrics = metrics

    async def authenticate(self, request: web.Request) -> User:
        """See :class:`apiservice.identity.Authenticator`."""
        start = time.perf_counter()
        user: User | None = None
        try:
            user = await self._inner.authenticate(request)
        finally:
            self._metrics.authenticated(user, time.perf_counter() - start)
        return user


class CountedAuthorizer:
    """An :class:`apiservice.authorization.Authorizer` that counts what another one decides."""

    def __init__(self, inner: Authorizer, metrics: CallerMetrics) -> None:
        self._inner = inner
        self._metrics = metrics

    async def authorize(self, user: User, info: RequestInfo, query: Mapping[str, str]) -> Decision:
        """See :class:`apiservice.authorization.Authorizer`."""
        start = time.perf_counter()
        decision: Decision | None = None
        try:
            decision = await self._inner.authorize(user, info, query)
        finally:
            self._metrics.authorized(decision, time.perf_counter() - start)
        return decision


def _kind_of_name(name: str) -> str:
    """The few kinds of names Kubernetes tells apart: names themselves are too many, and nobody else's business."""
    if name in _WELL_KNOWN:
        return name
    return "email_id" if "@" in name else "other"
