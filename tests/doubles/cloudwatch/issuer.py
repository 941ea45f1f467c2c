"""Who gives out temporary credentials: STS for a web identity (IRSA), and the agent of EKS Pod Identity.

Rules: botocore data ``sts/2011-06-15`` (GetCallerIdentity, AssumeRoleWithWebIdentity); Amazon EKS User Guide, "EKS Pod Identity", and
``botocore.credentials.ContainerProvider``, which reads what the agent answers.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.doubles.cloudwatch.errors import Refusal
from tests.doubles.cloudwatch.signing import ACCOUNT, Identity

__all__ = ["Issuer"]

_LEAST = 900


@dataclass(slots=True)
class Issuer:
    """Both of them, and their knobs.

    ``lifetime`` is the seconds for which credentials are good, of the real clock; None: what the client asks for, an hour if nothing.
    ``web_tokens`` are the roles that a web identity may assume, by its token; ``expired_tokens`` are known but old. ``pod_token`` is what
    the agent wants as ``Authorization``, and ``pod_role`` the role whose credentials it gives.
    """

    identities: dict[str, Identity]
    lifetime: float | None = None
    web_tokens: dict[str, str] = field(default_factory=dict)
    expired_tokens: set[str] = field(default_factory=set)
    pod_token: str = "token-of-a-pod"
    pod_role: str = f"arn:aws:sts::{ACCOUNT}:assumed-role/traffic/pod"
    issued: list[Identity] = field(default_factory=list)

    def issue(self, arn: str, seconds: float = 3600) -> Identity:
        """New credentials, that may sign from now on."""
        number = len(self.issued) + 1
        expires = time.time() + (seconds if self.lifetime is None else self.lifetime)
        identity = Identity(f"ASIAISSUED{number:06}", f"issued/secret/{number}", f"issued-token-{number}", arn, expires)
        self.issued.append(identity)
        self.identities[identity.access_key] = identity
        return identity

    def assume(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """AssumeRoleWithWebIdentity, which nobody signs."""
        role, session = parameters.get("RoleArn", ""), parameters.get("RoleSessionName", "")
        token = parameters.get("WebIdentityToken", "")
        if token in self.expired_tokens:
            raise Refusal("ExpiredTokenException", "Token expired: the current time is after the expiration of the token")
        if token not in self.web_tokens:
            raise Refusal(
                "InvalidIdentityToken",
                "The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)",
            )
        if self.web_tokens[token] != role:
            raise Refusal("AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity", 403)
        seconds = int(parameters.get("DurationSeconds", 3600))
        if seconds < _LEAST:
            raise Refusal("ValidationError", f"DurationSeconds must have value greater than or equal to {_LEAST}")
        arn = f"arn:aws:sts::{ACCOUNT}:assumed-role/{role.rpartition('/')[2]}/{session}"
        identity = self.issue(arn, seconds)
        return {
            "Credentials": {
                "AccessKeyId": identity.access_key,
                "SecretAccessKey": identity.secret_key,
                "SessionToken": identity.token,
                "Expiration": _text(identity.expires),
            },
            "AssumedRoleUser": {"AssumedRoleId": f"AROAEXAMPLE:{session}", "Arn": arn},
        }

    def pod_credentials(self, authorization: str) -> dict[str, Any]:
        """What the agent of Pod Identity answers."""
        if authorization != self.pod_token:
            raise Refusal("AccessDeniedException", "the token of the service account is not accepted", 401)
        identity = self.issue(self.pod_role)
        return {
            "AccessKeyId": identity.access_key,
            "SecretAccessKey": identity.secret_key,
            "Token": identity.token,
            "AccountId": ACCOUNT,
            "Expiration": _text(identity.expires),
        }


def caller(identity: Identity) -> dict[str, str]:
    """GetCallerIdentity, which needs no permission."""
    return {"UserId": f"AIDA{identity.access_key[4:]}", "Account": ACCOUNT, "Arn": identity.arn}


def _text(expires: float | None) -> str:
    return dt.datetime.fromtimestamp(expires or 0, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
