"""Requests to CloudWatch that its SDK has no operation for, signed as the SDK signs its own (Signature Version 4).

Source: CloudWatch User Guide, "PromQL querying" (the host, and the service name ``monitoring``); IAM User Guide, "AWS Signature Version 4
for API requests"; boto/botocore, botocore/auth.py.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping

from aiobotocore.session import AioSession
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.configprovider import ConfiguredEndpointProvider
from botocore.exceptions import ClientError

from backends.cloudwatch.credentials import Account
from backends.cloudwatch.failures import Asked, explained
from backends.cloudwatch.settings import CloudWatchSettings
from metrics_api import BackendError, BackendRefused, BackendUnavailable

__all__ = ["CloudWatchSigner", "endpoint"]

logger = logging.getLogger(__name__)

_SERVICE = "monitoring"
_OPERATIONS = "GetMetricData and cloudwatch:ListMetrics"
"""What IAM has to allow, in the service ``cloudwatch`` ("PromQL querying", IAM permissions)."""

_SUFFIXES = {
    "cn-": "amazonaws.com.cn",
    "eusc-": "amazonaws.eu",
    "eu-isoe-": "cloud.adc-e.uk",
    "us-iso-": "c2s.ic.gov",
    "us-isob-": "sc2s.sgov.gov",
    "us-isof-": "csp.hci.ic.gov",
}
"""The domains of the partitions whose regions begin like this (botocore, data/partitions.json); all others are in ``amazonaws.com``."""

_CODES = {401: "UnrecognizedClientException", 403: "AccessDeniedException", 429: "ThrottlingException"}
"""What a status means that comes without a code."""

_LIMITS = 422
_LOGGED = 1000
"""Bytes of what CloudWatch says of a query."""


class CloudWatchSigner:
    """Signs for one CloudWatch source, with the credentials of the SDK's chain, which renews them."""

    def __init__(self, settings: CloudWatchSettings) -> None:
        self._settings = settings
        self._account = Account(settings)
        self._session: AioSession | None = None
        self._url = ""

    async def open(self) -> str:
        """The URL of the endpoint: the one configured here or for the SDK, or that of the region.

        Raises :class:`metrics_api.errors.BadConfiguration` without region, or anything that gives credentials.
        """
        session = self._session = await self._account.open()
        configured = ConfiguredEndpointProvider(session.full_config, session.get_scoped_config(), "cloudwatch").provide()
        url = self._settings.endpoint_url or str(configured or "") or endpoint(session.get_config_variable("region"))
        self._url = url.rstrip("/")
        return self._url

    async def sign(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> Mapping[str, str]:
        """``headers`` and those of a signature over method, URL, these headers and the body.

        Raises :class:`metrics_api.errors.BackendError` when credentials cannot be had or renewed, or the URL is not one of the endpoint.
        """
        name = self._settings.name
        if self._session is None:
            raise BackendUnavailable(name, "is closed")
        if not url.startswith(f"{self._url}/"):
            raise BackendRefused(
                name, "would ask another host than CloudWatch's, which must not see a signature; check endpointUrl"
            )
        frozen = await self._account.credentials()
        request = AWSRequest(method, url, headers=dict(headers), data=body)
        SigV4Auth(frozen, _SERVICE, self._session.get_config_variable("region")).add_auth(request)
        return dict(request.headers.items())

    def explain(self, status: int, body: bytes) -> BackendError | None:
        """The error that an answer stands for; None where it is one of the query API's own, or not AWS's."""
        name = self._settings.name
        if status == _LIMITS:
            logger.warning("source %s: CloudWatch refused a query: %s", name, body[:_LOGGED].decode(errors="replace"))
            return BackendRefused(
                name,
                "CloudWatch would have to look at more series, samples or days than a query may (HTTP 422); "
                "ask for fewer namespaces or a shorter time",
            )
        said = _read(body)
        code = said.get("Code") or _CODES.get(status)
        if not code:
            return None
        answer = {"Error": {**said, "Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
        try:
            with explained(Asked(name, "cloudwatch", _OPERATIONS, self._settings.timeout)):
                raise ClientError(answer, "a query")  # type: ignore[arg-type] # the part of it that is read
        except BackendError as error:
            return error


def endpoint(region: str) -> str:
    """Where CloudWatch is in a region, without a slash at the end."""
    suffix = next((suffix for start, suffix in _SUFFIXES.items() if region.startswith(start)), "amazonaws.com")
    return f"https://{_SERVICE}.{region}.{suffix}"


def _read(body: bytes) -> dict[str, str]:
    """Code and message of an error as AWS writes it where it never looked at a query; nothing of any other body."""
    try:
        document = json.loads(body)
    except ValueError:
        return {}
    if not isinstance(document, dict):
        return {}
    code, message = document.get("__type") or document.get("code"), document.get("message") or document.get("Message")
    # The type may have its namespace before it, and a URL behind it.
    return {"Code": str(code).rpartition("#")[2].partition(":")[0], "Message": str(message or "")} if code else {}
