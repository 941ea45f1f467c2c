"""Names of labels and of metrics: those Prometheus has always had, and those with dots that OpenTelemetry has.

Prometheus 3 takes any UTF-8 for a name, and wants it quoted where it is none of the old ones (prometheus/prometheus,
docs/querying/basics.md). Here are taken such as services that keep OTLP data show: ``http.server.request.duration``,
``@resource.k8s.pod.name``. Older stores do not know them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["FIELD", "LABEL", "METRIC", "listed", "spelt"]

_DOTTED = r"(?=[^.@]*[.@])[a-zA-Z_@][a-zA-Z0-9_.@/:-]*"

LABEL = re.compile(rf"[a-zA-Z_][a-zA-Z0-9_]*|{_DOTTED}")
METRIC = re.compile(rf"[a-zA-Z_:][a-zA-Z0-9_:]*|{_DOTTED}")

FIELD = re.compile(r"\{([a-zA-Z_@][a-zA-Z0-9_.@/:-]*)\}")
"""A label in a template: ``{deployment}-{pod_template_hash}``."""

_PLAIN = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")


def spelt(name: str) -> str:
    """A name as PromQL writes it where a label stands: as it is, or quoted."""
    return name if not name or _PLAIN.fullmatch(name) else f'"{name}"'


def listed(names: Iterable[str]) -> str:
    """Names of labels with commas between them, as PromQL writes them behind ``by``."""
    return ", ".join(map(spelt, names))
