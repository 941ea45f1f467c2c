"""Reading rows of the API through kubectl: one object or a whole list, however many pages it comes in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from kubectl_traffic.kubectl import Kubectl, KubectlError
from metrics_api.errors import BadQuery
from metrics_api.objects import TrafficMetrics
from metrics_api.provenance import INCOMPLETE
from metrics_api.reading import row_of

__all__ = ["Reading", "read"]

_MOST_PAGES = 10_000


class Reading(NamedTuple):
    """What the server answered: ``rows`` in its order, and its ``warnings``, each once.

    ``incomplete`` tells that a source of the server failed, so that there may be more than what is told.
    """

    rows: tuple[TrafficMetrics, ...]
    warnings: tuple[str, ...] = ()
    incomplete: bool = False


def read(kubectl: Kubectl, path: str, parameters: Mapping[str, str] | None = None) -> Reading:
    """The rows at a path, of all pages. Raises :class:`kubectl_traffic.kubectl.KubectlError`, also for what are no rows."""
    rows: list[TrafficMetrics] = []
    warnings: dict[str, None] = {}
    asked = dict(parameters or {})
    for _ in range(_MOST_PAGES):
        document, told = kubectl.ask(path, asked)
        warnings |= dict.fromkeys(told)
        rows += _rows(path, document)
        token = (document.get("metadata") or {}).get("continue")
        if not token:
            return Reading(tuple(rows), tuple(warnings), any(INCOMPLETE in row.annotations for row in rows))
        asked["continue"] = token
    raise KubectlError(f"{path} does not come to an end after {_MOST_PAGES} pages")


def _rows(path: str, document: Any) -> list[TrafficMetrics]:
    """The rows of one page; an object is a page of one."""
    kind = document.get("kind") if isinstance(document, dict) else None
    try:
        if kind == "TrafficMetrics":
            return [row_of(document)]
        if kind == "TrafficMetricsList":
            return [row_of(item) for item in document["items"] or []]
    except BadQuery as error:
        raise KubectlError(f"{path}: {error.message}") from error
    raise KubectlError(f"{path} answered what is no TrafficMetrics: {kind or type(document).__name__}")
