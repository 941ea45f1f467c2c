"""The parameters of a list that are the same for every Kubernetes API, and the rules between them.

Contradictions are 422 Invalid with a cause for each, as
``k8s.io/apimachinery/pkg/apis/meta/internalversion/validation/validation.go`` has them; what cannot be parsed is 400.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from apiservice.status import StatusError, too_large_version
from metrics_api.errors import BadQuery, Expired, Invalid
from metrics_api.instant import timestamp
from metrics_api.window import parse_duration

__all__ = [
    "LONGEST_TIMEOUT",
    "ListOptions",
    "invalid_options",
    "parse_integer",
    "parse_list_options",
    "parse_timeout",
    "parse_version",
]

LONGEST_TIMEOUT = 60.0
"""Seconds a request may take, whatever it asks for: the limit the kube-apiserver in front of us has too."""

_LARGEST = 2**63 - 1
_MATCHES = ("Exact", "NotOlderThan")


@dataclass(frozen=True, slots=True)
class ListOptions:
    """How a list is wanted.

    ``limit``: rows per page, 0 for all. ``continue_token``: empty for the first page. ``version``: None for the most recent;
    0 for any. ``match``: ``Exact``, ``NotOlderThan`` or empty.
    """

    limit: int = 0
    continue_token: str = ""
    version: int | None = None
    match: str = ""

    def check(self, instant: int) -> None:
        """Hold an answer observed at ``instant`` (Unix seconds, which versions are) against the version asked for.

        Raises a 504 when the answer is older than it may be, and :class:`Expired` when exactly another one was asked for: only
        the latest state is kept. A version of 0, or none, accepts anything.
        """
        if not self.version:
            return
        if self.version > instant:
            raise too_large_version(self.version, instant)
        if self.match == "Exact" and self.version != instant:
            raise Expired(f"version {self.version} is no longer kept, only the latest state is: list without resourceVersion")

    def check_past(self, instant: int) -> None:
        """Hold the version asked for against a past ``instant`` that is asked about. Raises a 400 when no answer can be both."""
        if not self.version or (self.version <= instant and self.match != "Exact") or self.version == instant:
            return
        exactly = "exactly" if self.match == "Exact" else "at least"
        raise BadQuery(
            f"time asks about {timestamp(instant)}, which is version {instant}, and resourceVersion for {exactly} {self.version}: "
            "leave one of them out"
        )


def parse_list_options(query: Mapping[str, str]) -> ListOptions:
    """Read and validate the options of a list. Raises :class:`BadQuery` (400) or :class:`Invalid` (422, every cause named)."""
    version = query.get("resourceVersion", "")
    match = query.get("resourceVersionMatch", "")
    token = query.get("continue", "")
    parse_integer(query, "timeoutSeconds")
    causes = []
    if match:
        if not version:
            causes.append(_forbidden_match("resourceVersionMatch is forbidden unless resourceVersion is provided"))
        if token:
            causes.append(_forbidden_match("resourceVersionMatch is forbidden when continue is provided"))
        if match not in _MATCHES:
            supported = 'supported values: "Exact", "NotOlderThan", ""'
            causes.append(("FieldValueNotSupported", f'Unsupported value: "{match}": {supported}', "resourceVersionMatch"))
        if match == "Exact" and version == "0":
            causes.append(_forbidden_match('resourceVersionMatch "exact" is forbidden for resourceVersion "0"'))
    if "sendInitialEvents" in query:
        causes.append(("FieldValueForbidden", "Forbidden: sendInitialEvents is forbidden for list", "sendInitialEvents"))
    if causes:
        raise invalid_options(causes)
    parsed = parse_version(version)
    if token and parsed:
        raise BadQuery("specifying resource version is not allowed when using continue")
    return ListOptions(max(parse_integer(query, "limit"), 0), token, parsed, match)


def parse_timeout(query: Mapping[str, str]) -> float:
    """Seconds the request may take: what ``?timeout`` says, at most :data:`LONGEST_TIMEOUT`.

    Raises a 400 when it is no Go duration; 0 and less mean the longest, as in Kubernetes.
    """
    text = query.get("timeout", "")
    if not text:
        return LONGEST_TIMEOUT
    try:
        seconds = parse_duration(text)
    except BadQuery as error:
        raise StatusError(400, "invalid timeout specified in the request URL") from error
    return min(float(seconds), LONGEST_TIMEOUT) if seconds > 0 else LONGEST_TIMEOUT


def _forbidden_match(message: str) -> tuple[str, str, str]:
    return "FieldValueForbidden", f"Forbidden: {message}", "resourceVersionMatch"


def invalid_options(causes: Sequence[tuple[str, str, str]]) -> Invalid:
    """The 422 for options that contradict each other; ``causes`` are ``(reason, message, field)``."""
    found = [f"{field}: {message}" for _, message, field in causes]
    said = found[0] if len(found) == 1 else f"[{', '.join(found)}]"
    return Invalid(f'ListOptions.meta.k8s.io "" is invalid: {said}', causes)


def parse_integer(query: Mapping[str, str], key: str) -> int:
    """A whole number of 64 bits, 0 when it is not given; :class:`BadQuery` for anything else."""
    text = query.get(key, "")
    if not text:
        return 0
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdecimal()) or len(digits) > len(str(_LARGEST)) or int(digits) > _LARGEST:
        raise BadQuery(f'{key} "{text}" is not a whole number')
    return int(text)


def parse_version(text: str) -> int | None:
    """A resource version: Unix seconds. None when it is not given; :class:`BadQuery` when it is none."""
    if not text:
        return None
    if not (text.isascii() and text.isdecimal()) or len(text) > len(str(_LARGEST)):
        raise BadQuery(f'invalid resource version: "{text}" is not a whole number')
    return int(text)
