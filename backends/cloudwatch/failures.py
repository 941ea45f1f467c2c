"""What can go wrong between us and AWS, as the error that says what to do about it. What AWS says in its own words goes to the log."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import aiohttp
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    HTTPClientError,
    ParamValidationError,
    ProxyConnectionError,
    ReadTimeoutError,
    SSLError,
)
from botocore.parsers import ResponseParserError

from metrics_api import BackendError, BackendProtocolError, BackendRefused, BackendTimeout, BackendUnavailable

__all__ = ["Asked", "code_of", "explained", "heard", "is_throttle", "is_transient"]

_LOG = logging.getLogger(__name__)

_THROTTLES = frozenset(
    {
        "BandwidthLimitExceeded",
        "LimitExceededException",
        "PriorRequestNotComplete",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "TransactionInProgressException",
    }
)
"""Codes by which services of AWS turn requests away that are too many (boto/botocore, botocore/retries/standard.py)."""

# The codes of the other sets: Amazon CloudWatch API Reference, AWS X-Ray API Reference and AWS STS API Reference, "Common Errors".
_DENIED = frozenset({"AccessDenied", "AccessDeniedException", "AuthorizationError", "NotAuthorized", "UnauthorizedOperation"})
_EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired"})
_UNKNOWN = frozenset(
    {
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
        "OptInRequired",
        "UnrecognizedClientException",
    }
)
_MISSIGNED = frozenset(
    {
        "IncompleteSignature",
        "IncompleteSignatureException",
        "InvalidSignatureException",
        "RequestTimeTooSkewed",
        "SignatureDoesNotMatch",
    }
)

_PATIENCE = 3
"""Seconds to wait when AWS says that there are too many requests: its limits are per second."""
_LONGEST = 500
"""Characters that are logged of what AWS says."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request: the source it is for, the service, its operation as in ``GetMetricData``, and the seconds it may take."""

    source: str
    service: str
    operation: str
    timeout: int

    @property
    def action(self) -> str:
        """What IAM calls it: ``cloudwatch:GetMetricData`` (Service Authorization Reference)."""
        return f"{self.service}:{self.operation}"


@contextmanager
def explained(asked: Asked) -> Iterator[None]:
    """Raise what goes wrong meanwhile as a :class:`metrics_api.errors.BackendError`."""
    try:
        yield
    except TimeoutError as error:
        raise BackendTimeout(asked.source, f"AWS did not answer {asked.operation} within {asked.timeout}s") from error
    except ClientError as error:
        heard(asked.source, asked.operation, error)
        raise _answered(asked, error) from error
    except (BotoCoreError, ResponseParserError) as error:
        heard(asked.source, asked.operation, error)
        raise _unanswered(asked, error) from error
    except ValueError as error:
        # So the SDK refuses where AWS is said to be (boto/botocore, botocore/endpoint.py, "Invalid endpoint").
        heard(asked.source, asked.operation, error)
        told = f"{asked.operation} cannot be asked like this; check endpointUrl, and AWS_ENDPOINT_URL; what is wrong is in the log"
        raise BackendRefused(asked.source, told) from error


def heard(source: str, what: str, error: Exception) -> None:
    """Log what AWS, or the SDK, says of an error: parameters of a request, but not an answer, which may be one that gives credentials."""
    if isinstance(error, ClientError):
        told = error.response.get("Error", {}).get("Message", "")
        identity = error.response.get("ResponseMetadata", {}).get("RequestId", "none")
        _LOG.info(
            "source %s: %s failed: %s (request %s): %s", source, error.operation_name, code_of(error), identity, told[:_LONGEST]
        )
    elif isinstance(error, ResponseParserError):
        _LOG.info("source %s: %s was answered with something that cannot be read", source, what)
    else:
        _LOG.info("source %s: %s failed: %s: %s", source, what, type(error).__name__, str(error)[:_LONGEST])


def code_of(error: ClientError) -> str:
    """The code that AWS gives an error."""
    return str(error.response.get("Error", {}).get("Code", "Unknown"))


def is_throttle(code: str, status: int) -> bool:
    """Whether an error, by its code and the status of HTTP, means that there are too many requests."""
    return code in _THROTTLES or status == 429


def is_transient(error: ClientError) -> bool:
    """Whether the same request may succeed later."""
    status = _status(error)
    return status >= 500 or is_throttle(code_of(error), status)


def _status(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _answered(asked: Asked, error: ClientError) -> BackendError:
    name, code, status = asked.source, code_of(error), _status(error)
    if is_throttle(code, status):
        return BackendUnavailable(
            name, f"AWS says there are too many requests for {asked.operation} ({code})", retry_after=_PATIENCE
        )
    if status >= 500:
        return BackendUnavailable(name, f"AWS failed to answer {asked.operation} (HTTP {status})")
    return BackendRefused(name, _refusal(asked, code, status))


def _refusal(asked: Asked, code: str, status: int) -> str:
    if code in _DENIED:
        return f"AWS does not allow {asked.action}; allow this action in the IAM policy of the role or user that is used"
    if code in _EXPIRED:
        return f"the AWS credentials have expired ({code}); use a role, whose credentials are renewed, or set new ones"
    if code in _UNKNOWN:
        return f"AWS does not know the credentials ({code}); check the access key, the session token and the region"
    if code in _MISSIGNED:
        return f"AWS does not accept the signature ({code}); check the secret access key, the region, and the clock of this machine"
    if 300 <= status < 400:
        return f"{asked.operation} is redirected elsewhere (HTTP {status}); check endpointUrl and region"
    if code == str(status):
        return f"{asked.operation} was refused without a reason (HTTP {status}); does endpointUrl point to {asked.service}?"
    return f"AWS refused {asked.operation} ({code}); what it says is in the log"


def _unanswered(asked: Asked, error: Exception) -> BackendError:
    name, where = asked.source, getattr(error, "kwargs", {}).get("endpoint_url", asked.service)
    match error:
        case ConnectTimeoutError():
            return BackendTimeout(name, f"cannot be reached at {where} in time; check region, endpointUrl and the network")
        case ReadTimeoutError():
            return BackendTimeout(name, f"AWS did not answer {asked.operation} within {asked.timeout}s")
        case SSLError(kwargs={"error": aiohttp.ClientConnectorCertificateError()}):
            return BackendRefused(name, f"the certificate of {where} is not trusted; set tls.caFile to the CA that signed it")
        case SSLError():
            return BackendRefused(name, f"TLS with {where} failed; check endpointUrl, tls.certFile and tls.keyFile")
        case ProxyConnectionError():
            return BackendUnavailable(name, f"the proxy to {asked.service} cannot be reached; check HTTPS_PROXY and NO_PROXY")
        case EndpointConnectionError(kwargs={"error": aiohttp.ClientConnectorError()}):
            return BackendUnavailable(name, f"cannot be reached at {where}; check region, endpointUrl and the network")
        case EndpointConnectionError() | ConnectionClosedError() | HTTPClientError():
            # In TLS 1.3 a server looks at our certificate when the handshake is over for us, and hangs up if it does not like it.
            hint = "; if it asks for a certificate of ours, check tls.certFile" if where.startswith("https") else ""
            return BackendUnavailable(name, f"the connection to {where} broke off{hint}")
        case ResponseParserError():
            return BackendProtocolError(
                name,
                f"answered {asked.operation} with something that is not its protocol; does endpointUrl point to {asked.service}?",
            )
        case ParamValidationError():
            return BackendRefused(name, f"{asked.operation} cannot be asked like this; what is wrong is in the log")
        case _:
            return BackendUnavailable(name, f"{asked.operation} failed ({type(error).__name__})")
