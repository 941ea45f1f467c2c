"""What can go wrong between us and the metrics-api of Linkerd viz, as the error that says what to do about it.

It fails in two ways: by the status of the call, and by an error in the body of a call that succeeded, which is how it refuses
(linkerd/linkerd2, viz/metrics-api/stat_summary.go and edges.go; viz/pkg/util/util.go for which status stands for what).
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass

import grpc

from backends.linkerd.settings import LinkerdSettings
from metrics_api import (
    BackendError,
    BackendProtocolError,
    BackendRefused,
    BackendTimeout,
    BackendUnavailable,
)

__all__ = ["Asked", "refused", "unanswered", "unreadable"]

_LOG = logging.getLogger(__name__)
_LONGEST = 500
_PATIENCE = 5
"""Seconds that an overloaded metrics-api is left alone for."""

_TOO_SHORT = re.compile(
    r"time window \((?P<window>[^)]*)\) must be at least as long as the Prometheus scrape interval \((?P<interval>[^)]*)\)"
)
_QUERY_FAILED = re.compile(r'Query failed: "(?:[^"\\]|\\.)*": (?P<why>.*)', re.DOTALL)
_NO_PROMETHEUS = "No prometheus instance"
_ADMISSION = (
    "add an AuthorizationPolicy with a MeshTLSAuthentication that names our ServiceAccount, as in deploy/linkerd, "
    "and let Linkerd inject its proxy into our pod"
)


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked, as an error tells of it: the call, and the kind and the name of the object it was about, as on the wire."""

    settings: LinkerdSettings
    operation: str
    kind: str = ""
    object: str = ""

    @property
    def source(self) -> str:
        """The name of the source."""
        return self.settings.name

    @property
    def where(self) -> str:
        """Where it was asked."""
        return self.settings.address


def refused(asked: Asked, message: str) -> BackendError:
    """The error that stands in the body of an answer."""
    _note(asked, "body", message)
    short = _TOO_SHORT.search(message)
    if short is not None:
        return BackendRefused(
            asked.source,
            f"the window of {short['window']} is too short for it: its Prometheus has a sample every {short['interval']}, "
            "and it answers for windows that are at least that long, usefully from twice as long on",
        )
    if message.startswith("invalid time window"):
        return BackendRefused(asked.source, "Linkerd viz does not accept the window; ask for another one")
    return _of_prometheus(asked, message) or BackendRefused(
        asked.source, f"Linkerd viz refused {asked.operation}; what it says is in the log"
    )


def unanswered(asked: Asked, error: grpc.aio.AioRpcError) -> BackendError:
    """The error that the status of a call stands for."""
    name, code, details = asked.source, error.code(), error.details() or ""
    _note(asked, code.name, details)
    match code:
        case grpc.StatusCode.DEADLINE_EXCEEDED:
            return BackendTimeout(name, f"Linkerd viz at {asked.where} did not answer within {asked.settings.timeout}s")
        case grpc.StatusCode.UNAVAILABLE:
            return _unreached(asked, details)
        case grpc.StatusCode.PERMISSION_DENIED | grpc.StatusCode.UNAUTHENTICATED if "is forbidden: User" in details:
            return BackendRefused(
                name, "Kubernetes does not allow Linkerd viz to read its objects; check the RBAC of its metrics-api"
            )
        case grpc.StatusCode.PERMISSION_DENIED | grpc.StatusCode.UNAUTHENTICATED:
            return BackendRefused(name, f"Linkerd does not let us ask the metrics-api at {asked.where}; {_ADMISSION}")
        case grpc.StatusCode.UNIMPLEMENTED if details.startswith("unimplemented resource type"):
            return BackendRefused(name, f'this release of Linkerd viz tells nothing of the kind "{asked.kind}"')
        case grpc.StatusCode.UNIMPLEMENTED:
            return BackendProtocolError(
                name,
                f"what answers at {asked.where} does not know {asked.operation}: is it the metrics-api of Linkerd viz 2.12 or newer?",
            )
        case grpc.StatusCode.RESOURCE_EXHAUSTED if "larger than max" in details:
            return BackendRefused(name, "the answer of Linkerd viz is too large; ask for one namespace, or for one object")
        case grpc.StatusCode.RESOURCE_EXHAUSTED:
            return BackendUnavailable(name, "Linkerd viz says that there are too many requests", retry_after=_PATIENCE)
        case grpc.StatusCode.INVALID_ARGUMENT:
            return BackendRefused(name, f"Linkerd viz refused {asked.operation}; what it says is in the log")
        case _:
            return _of_prometheus(asked, details) or BackendUnavailable(
                name, f"Linkerd viz failed to answer {asked.operation} ({code.name}); what it says is in the log"
            )


def unreadable(asked: Asked, why: str) -> BackendError:
    """The error of an answer that is not what the protocol says."""
    _note(asked, "OK", why)
    return BackendProtocolError(
        asked.source,
        f"answered {asked.operation} with something that is not its protocol; is {asked.where} the metrics-api of Linkerd viz?",
    )


def _unreached(asked: Asked, details: str) -> BackendError:
    name, where = asked.source, asked.where
    if "CERTIFICATE_VERIFY_FAILED" in details or "Hostname Verification" in details or "not match" in details:
        return BackendRefused(
            name, f"the certificate of {where} is not trusted; set tls.caFile to the CA that signed it, and check the name"
        )
    if "http1.x server" in details or "Failed parsing HTTP/2" in details:
        return BackendProtocolError(
            name, f"what answers at {where} does not speak gRPC; the metrics-api of Linkerd viz has port 8085"
        )
    if "WRONG_VERSION_NUMBER" in details or "Ssl handshake failed" in details or "SSL_ERROR" in details:
        return BackendUnavailable(
            name, f'TLS with {where} failed; Linkerd viz itself has none: leave "tls" out where the mesh secures it'
        )
    if "address lookup failed" in details or "errors resolving" in details:
        return BackendUnavailable(name, f"the host of {where} has no address; check the address and the DNS of the cluster")
    return BackendUnavailable(name, f"cannot be reached at {where}; check the address, and that Linkerd viz runs and lets us in")


def _of_prometheus(asked: Asked, message: str) -> BackendError | None:
    """The error of a failure behind the metrics-api; the text of its query is for the log."""
    name = asked.source
    if _NO_PROMETHEUS in message:
        return BackendRefused(name, 'Linkerd viz has no Prometheus; set "prometheusUrl" of its chart')
    failed = _QUERY_FAILED.search(message)
    if failed is None:
        return None
    why = failed["why"]
    if why.startswith("client_error") and ("401" in why or "403" in why):
        return BackendRefused(name, "the Prometheus of Linkerd viz does not let it ask; check the credentials that viz has for it")
    if why.startswith(("bad_data", "execution", "client_error")):
        return BackendRefused(name, "the Prometheus of Linkerd viz refused its query; what it says is in the log")
    if why.startswith(("timeout", "canceled")) or "deadline exceeded" in why or "i/o timeout" in why or "Client.Timeout" in why:
        return BackendTimeout(
            name, "the Prometheus of Linkerd viz did not answer it in time; ask for fewer objects or a shorter window"
        )
    return BackendUnavailable(name, "the Prometheus of Linkerd viz did not answer it; check that it runs, and `linkerd viz check`")


def _note(asked: Asked, status: str, message: str) -> None:
    _LOG.info("source %s: %s failed: %s: %s", asked.source, asked.operation, status, message[:_LONGEST])
