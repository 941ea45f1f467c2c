"""What kube-apiserver records of the requests it answers: the reviews an extension server asks for, and what people ask of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

__all__ = ["POLICY", "AuditLog"]

POLICY: dict[str, Any] = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [
        {"level": "RequestResponse", "resources": [{"group": "authorization.k8s.io", "resources": ["subjectaccessreviews"]}]},
        # Their bodies hold tokens.
        {"level": "Metadata", "resources": [{"group": "authentication.k8s.io", "resources": ["tokenreviews"]}]},
        {"level": "Metadata", "resources": [{"group": "metrics.smi-spec.io"}]},
        {"level": "None"},
    ],
}
"""An audit policy: https://kubernetes.io/docs/reference/config-api/apiserver-audit.v1/."""


class AuditLog:
    """The log kube-apiserver writes to this file, a JSON object on each line."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def mark(self) -> int:
        """The place the log has reached, in bytes."""
        return self._file.stat().st_size if self._file.exists() else 0

    def events(self, since: int = 0) -> list[dict[str, Any]]:
        """The audit.k8s.io/v1 Events written after that place, oldest first."""
        with self._file.open("rb") as log:
            log.seek(since)
            text = log.read()
        # What follows the last line break is a line still being written.
        return [json.loads(line) for line in text[: text.rfind(b"\n") + 1].splitlines()]

    def matching(self, since: int = 0, *, audit_id: str = "", resource: str = "") -> list[dict[str, Any]]:
        """The events of this audit ID and of this resource (``pods``, ``pods/edges``), as far as they are given."""
        return [
            event
            for event in self.events(since)
            if audit_id in ("", event["auditID"]) and resource in ("", _resource(event.get("objectRef", {})))
        ]


def _resource(reference: dict[str, str]) -> str:
    return "/".join(filter(None, (reference.get("resource"), reference.get("subresource"))))
