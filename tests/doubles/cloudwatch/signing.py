"""Who calls: the signature of a request, worked out again from the secret the double knows, as AWS does.

Rules: AWS General Reference, "Signature Version 4"; the arithmetic is botocore's own (``botocore.auth.SigV4Auth``).
"""

from __future__ import annotations

import datetime as dt
import hmac
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.doubles.cloudwatch.errors import Refusal

__all__ = ["ACCOUNT", "Identity", "authenticate"]

ACCOUNT = "111122223333"
_SKEW = 15 * 60

_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<key>[^/]+)/(?P<day>\d{8})/(?P<region>[^/]+)/(?P<service>[^/]+)/aws4_request,"
    r" ?SignedHeaders=(?P<headers>[^,]+), ?Signature=(?P<signature>[0-9a-f]{64})"
)


@dataclass(slots=True)
class Identity:
    """Someone who may sign. ``token`` goes with temporary credentials, which ``expires`` (Unix seconds of the real clock) ends."""

    access_key: str
    secret_key: str
    token: str = ""
    arn: str = f"arn:aws:iam::{ACCOUNT}:user/reader"
    expires: float | None = None


def authenticate(
    identities: Mapping[str, Identity], service: str, region: str, method: str, url: str, headers: Mapping[str, str], body: bytes
) -> Identity:
    """Whose signature it is; Refusal for one that is wrong, expired or made for something else."""
    given = _AUTHORIZATION.fullmatch(headers.get("Authorization", ""))
    if given is None:
        raise Refusal("MissingAuthenticationTokenException", "Missing Authentication Token", 403, "MissingAuthenticationToken")
    identity = identities.get(given["key"])
    token = headers.get("X-Amz-Security-Token", "")
    if identity is None or token != identity.token:
        message = "The security token included in the request is invalid."
        raise Refusal("UnrecognizedClientException", message, 403, "InvalidClientTokenId")
    if given["region"] != region:
        raise _mismatch(f"Credential should be scoped to a valid region, not '{given['region']}'.")
    if given["service"] != service:
        raise _mismatch(f"Credential should be scoped to correct service: '{service}'.")
    if not {"host", "x-amz-date"} <= set(given["headers"].split(";")):
        raise _mismatch("'Host' and 'X-Amz-Date' must be signed headers.")
    date = headers.get("X-Amz-Date", "")
    if abs(_instant(date) - time.time()) > _SKEW:
        raise _mismatch(f"Signature expired: {date} is too far from the time of day")
    if not date.startswith(given["day"]):
        raise _mismatch("Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP")
    if not hmac.compare_digest(given["signature"], _signature(identity, given, method, url, headers, body)):
        raise _mismatch(
            "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing "
            "method. Consult the service documentation for details."
        )
    if identity.expires is not None and identity.expires <= time.time():
        raise Refusal("ExpiredTokenException", "The security token included in the request is expired", 403, "ExpiredToken")
    return identity


def _signature(identity: Identity, given: re.Match[str], method: str, url: str, headers: Mapping[str, str], body: bytes) -> str:
    signer = SigV4Auth(
        Credentials(identity.access_key, identity.secret_key, identity.token or None), given["service"], given["region"]
    )
    signed = {name: headers.get(name, "") for name in given["headers"].split(";")}
    request = AWSRequest(method=method, url=url, headers=signed, data=body)
    request.context["timestamp"] = headers["X-Amz-Date"]
    return str(signer.signature(signer.string_to_sign(request, signer.canonical_request(request)), request))


def _mismatch(message: str) -> Refusal:
    return Refusal("InvalidSignatureException", message, 403, "SignatureDoesNotMatch")


def _instant(date: str) -> float:
    try:
        return dt.datetime.strptime(date, "%Y%m%dT%H%M%SZ").replace(tzinfo=dt.UTC).timestamp()
    except ValueError:
        raise _mismatch("Date must be in ISO-8601 'basic format'.") from None
