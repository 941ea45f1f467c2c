"""Whether a user may do what is asked, which kube-apiserver decides (``SubjectAccessReview``).

It has decided already for what it proxied; but who connects directly has asked nobody yet, and Kubernetes tells extension servers never
to assume that somebody else has checked. Order and attributes are those of its own delegating servers
(``k8s.io/apiserver``: pkg/server/options/authorization.go, plugin/pkg/authorizer/webhook/webhook.go).
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from apiservice.clock import Clock
from apiservice.identity.user import User
from apiservice.kube import KubeError
from apiservice.logs import DECISIONS, fields
from apiservice.requestinfo import RequestInfo, parse_field_selector
from apiservice.reviews import Observer, Reviewer, Reviews
from metrics_api.errors import BadQuery, TrafficError
from metrics_api.selector import LabelSelector, Operator

__all__ = ["ALWAYS_ALLOWED", "AuthorizationError", "Authorizer", "Decision", "SubjectAccessReviews"]

ALWAYS_ALLOWED = ("/healthz", "/readyz", "/livez")
"""Paths anybody may get, so that a kubelet can probe when kube-apiserver is away."""

_PATH = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
_CAPACITY = 8192
_LARGEST_REMEMBERED = 10_000
_MASTERS = "system:masters"
_SELECTING_VERBS = frozenset({"list", "watch", "deletecollection"})
_LABEL_OPERATORS = frozenset({Operator.IN, Operator.NOT_IN, Operator.EXISTS, Operator.DOES_NOT_EXIST})


logger = logging.getLogger(__name__)


class AuthorizationError(TrafficError):
    """It could not be found out whether the user may; the answer is 500, never a permission."""


@dataclass(frozen=True, slots=True)
class Decision:
    """``reason`` is kube-apiserver's, often empty. ``denied`` tells that somebody objects, not just that nobody allows it."""

    allowed: bool
    reason: str = ""
    denied: bool = False


class Authorizer(Protocol):
    """What the server asks for every request, once it knows the user."""

    async def authorize(self, user: User, info: RequestInfo, query: Mapping[str, str]) -> Decision:
        """Whether ``user`` may do ``info``; ``query`` holds the selectors. Raises :class:`AuthorizationError`."""
        ...


class SubjectAccessReviews:
    """An :class:`Authorizer` that asks kube-apiserver.

    ``always_allowed`` are paths of non-resource requests nobody is asked about; one that ends in ``*`` stands for all that begin so.
    ``deadline`` is in seconds, for one question with its retries.
    """

    def __init__(
        self,
        kube: Reviewer,
        clock: Clock,
        always_allowed: Sequence[str] = ALWAYS_ALLOWED,
        *,
        deadline: float = 10.0,
        observer: Observer | None = None,
    ) -> None:
        self._reviews = Reviews(kube, _PATH, clock, _CAPACITY, deadline, observer)
        self._allowed_paths = frozenset(path for path in always_allowed if not path.endswith("*"))
        self._allowed_prefixes = tuple(path[:-1] for path in always_allowed if path.endswith("*"))

    async def authorize(self, user: User, info: RequestInfo, query: Mapping[str, str]) -> Decision:
        """See :class:`Authorizer`. The administrators' group is never asked about: kube-apiserver would allow it everything too."""
        if _MASTERS in user.groups or (not info.is_resource and self._is_always_allowed(info.path)):
            return Decision(allowed=True)
        subject = {
            "user": user.name,
            "uid": user.uid,
            "groups": user.groups,
            "extra": {key: list(user.extra[key]) for key in sorted(user.extra)},
        }
        action = _action(info, query)
        spec = {key: value for key, value in subject.items() if value} | action
        asked = msgspec.json.encode(action)
        document = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec}
        try:
            status = await self._reviews.status(
                hashlib.sha256(msgspec.json.encode(spec)).digest(),
                document,
                # What the client writes must not fill the memory of the server.
                keep=lambda _: len(asked) < _LARGEST_REMEMBERED,
            )
        except KubeError as error:
            hint = (
                "; bind the ClusterRole system:auth-delegator to the service account of this server" if error.status == 403 else ""
            )
            raise AuthorizationError(f"{error}{hint}") from error
        allowed, denied = status.get("allowed") is True, status.get("denied") is True
        if logger.isEnabledFor(DECISIONS):
            what = next(iter(action.values()))
            told = {"user": user.name, **what, "allowed": allowed, "denied": denied, "reason": str(status.get("reason") or "")}
            logger.log(DECISIONS, "SubjectAccessReview", extra=fields(told))
        if allowed and denied:
            raise AuthorizationError("subject access review returned both allow and deny response")
        return Decision(allowed, str(status.get("reason") or ""), denied)

    def _is_always_allowed(self, path: str) -> bool:
        return path in self._allowed_paths or path.startswith(self._allowed_prefixes)


def _action(info: RequestInfo, query: Mapping[str, str]) -> dict[str, Any]:
    """What the user wants to do, as the review spells it. Empty attributes are left out."""
    if not info.is_resource:
        return {"nonResourceAttributes": {"path": info.path, "verb": info.verb}}
    attributes: dict[str, Any] = {
        "namespace": info.namespace,
        "verb": info.verb,
        "group": info.group,
        "version": info.version,
        "resource": info.resource,
        "subresource": info.subresource,
        "name": info.name,
    }
    if info.verb in _SELECTING_VERBS and not info.verb_in_path:
        for key, requirements in (("fieldSelector", _field_requirements(query)), ("labelSelector", _label_requirements(query))):
            attributes[key] = {"requirements": requirements} if requirements else None
    return {"resourceAttributes": {key: value for key, value in attributes.items() if value}}


def _field_requirements(query: Mapping[str, str]) -> list[dict[str, Any]]:
    """Selectors only narrow what is asked for; one that cannot be parsed is left out, so permission is asked for more."""
    try:
        terms = parse_field_selector(query.get("fieldSelector", "")).terms
    except BadQuery:
        return []
    return [{"key": term.field, "operator": "In" if term.equal else "NotIn", "values": [term.value]} for term in terms]


def _label_requirements(query: Mapping[str, str]) -> list[dict[str, Any]]:
    """As above; comparisons by size are left out, because a review has no words for them."""
    try:
        requirements = LabelSelector.parse(query.get("labelSelector", "")).requirements
    except BadQuery:
        return []
    return [
        {"key": requirement.key, "operator": requirement.operator.value}
        | ({"values": list(requirement.values)} if requirement.values else {})
        for requirement in requirements
        if requirement.operator in _LABEL_OPERATORS
    ]
