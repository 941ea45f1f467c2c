"""The parameters of a watch, and the rules between them.

Contradictions are 422 Invalid with a cause for each, as ``validateWatchOptions`` in
``k8s.io/apimachinery/pkg/apis/meta/internalversion/validation/validation.go`` has them; what cannot be parsed is 400.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from apiservice.listoptions import invalid_options, parse_integer, parse_version
from apiservice.requestinfo import parse_truth

__all__ = ["WatchOptions", "parse_watch_options"]

_NOT_OLDER = "NotOlderThan"


@dataclass(frozen=True, slots=True)
class WatchOptions:
    """How a watch is wanted.

    ``version``: what the client knows already; 0 for nothing. ``seconds``: how long to watch, 0 for as long as the server likes.
    ``bookmarks``: whether the client understands them. ``initial`` asks for the present state first; None when the client does not say.
    """

    version: int = 0
    seconds: int = 0
    bookmarks: bool = False
    initial: bool | None = None

    @property
    def begins_with_state(self) -> bool:
        """Whether the present rows are told first: when asked for, and to whoever knows nothing yet."""
        return self.initial if self.initial is not None else not self.version


def parse_watch_options(query: Mapping[str, str]) -> WatchOptions:
    """Read and validate. Raises :class:`metrics_api.errors.BadQuery` (400) or :class:`metrics_api.errors.Invalid` (422)."""
    match = query.get("resourceVersionMatch", "")
    initial = parse_truth(query, "sendInitialEvents")
    causes = []
    if initial is not None and match != _NOT_OLDER:
        causes.append(_forbidden(f"sendInitialEvents requires setting resourceVersionMatch to {_NOT_OLDER}"))
    if match:
        if initial is None:
            causes.append(_forbidden("resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"))
        if match != _NOT_OLDER:
            told = f'Unsupported value: "{match}": supported values: "{_NOT_OLDER}"'
            causes.append(("FieldValueNotSupported", told, "resourceVersionMatch"))
        if query.get("continue", ""):
            causes.append(_forbidden("resourceVersionMatch is forbidden when continue is provided"))
    if causes:
        raise invalid_options(causes)
    return WatchOptions(
        version=parse_version(query.get("resourceVersion", "")) or 0,
        seconds=max(parse_integer(query, "timeoutSeconds"), 0),
        bookmarks=bool(parse_truth(query, "allowWatchBookmarks")),
        initial=initial,
    )


def _forbidden(message: str) -> tuple[str, str, str]:
    return "FieldValueForbidden", f"Forbidden: {message}", "resourceVersionMatch"
