"""The third way to be somebody: a bearer token, which only kube-apiserver can read (``TokenReview``)."""

from __future__ import annotations

import hmac
import logging
import secrets
from collections.abc import Mapping
from typing import Any

from apiservice.clock import Clock
from apiservice.identity.user import Unauthorized, User, readable
from apiservice.kube import KubeError
from apiservice.logs import DECISIONS, fields
from apiservice.reviews import Observer, Reviewer, Reviews

__all__ = ["TokenReviews", "bearer_token"]

_PATH = "/apis/authentication.k8s.io/v1/tokenreviews"
_CAPACITY = 32_768

logger = logging.getLogger(__name__)


def bearer_token(authorization: str) -> str | None:
    """The token in an ``Authorization`` header; None when it holds none, or credentials of another kind."""
    parts = authorization.strip().split(" ", 2)
    if len(parts) < 2 or parts[0].lower() != "bearer" or not parts[1]:
        return None
    return parts[1]


class TokenReviews:
    """Users by their tokens. Tokens are kept nowhere: answers are remembered under a keyed hash, with a key made for this process."""

    def __init__(self, kube: Reviewer, clock: Clock, observer: Observer | None = None) -> None:
        self._reviews = Reviews(kube, _PATH, clock, _CAPACITY, observer=observer)
        self._secret = secrets.token_bytes(32)

    async def user(self, token: str) -> User:
        """Whose token it is; raises :class:`Unauthorized` when it is nobody's, or when kube-apiserver cannot tell."""
        key = hmac.digest(self._secret, token.encode("utf-8", "surrogateescape"), "sha256")
        document = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenReview",
            "spec": {"token": readable(token)},
        }
        try:
            status = await self._reviews.status(key, document, keep=lambda status: not _error(status))
        except KubeError as error:
            if error.status == 403:
                logger.error(  # noqa: TRY400 - the trace tells an operator nothing
                    "tokens cannot be reviewed: bind the ClusterRole system:auth-delegator to the service account of this server: %s",
                    error,
                )
            raise Unauthorized(f"the bearer token could not be reviewed: {error}") from error
        if logger.isEnabledFor(DECISIONS):
            found = {"authenticated": status.get("authenticated") is True, "user": _user(status.get("user") or {}).name}
            logger.log(DECISIONS, "TokenReview", extra=fields({**found, "error": _error(status)}))
        if status.get("authenticated") is not True:
            raise Unauthorized(
                f"the bearer token is not valid: {_error(status)}" if _error(status) else "the bearer token is not valid"
            )
        return _user(status.get("user") or {})


def _error(status: Mapping[str, Any]) -> str:
    """Why a token could not be authenticated. As in Kubernetes, such an answer is an error, and errors are not remembered."""
    return "" if status.get("authenticated") is True else str(status.get("error") or "")


def _user(user: Mapping[str, Any]) -> User:
    return User(
        name=user.get("username") or "",
        uid=user.get("uid") or "",
        groups=tuple(user.get("groups") or ()),
        extra={key: tuple(values or ()) for key, values in (user.get("extra") or {}).items()},
    )
