"""What a request means to Kubernetes: verb, group, namespace, resource, name.

kube-apiserver has authorised the request by its own reading of the path before it proxies it here, so this reading must be the same
to the letter (``k8s.io/apiserver/pkg/endpoints/request/requestinfo.go``, 1.36). The server both authorises and dispatches from the
object made here and never looks at the path again: two readings of ``pods/x%2Fedges`` would be a hole.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from apiservice.identity.user import readable
from metrics_api.errors import BadQuery
from metrics_api.fields import FieldSelector
from metrics_api.selector import LabelSelector

__all__ = ["RequestInfo", "decode_path", "parse_field_selector", "parse_request", "parse_truth"]

_VERBS = {"POST": "create", "GET": "get", "HEAD": "get", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_VERBS_IN_PATH = frozenset({"proxy", "watch"})
_NAMESPACE_SUBRESOURCES = frozenset({"status", "finalize"})
_INTEGER = re.compile(r"[+-]?[0-9]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class RequestInfo:
    """One request as Kubernetes understands it.

    For a request that ``is_resource``, ``verb`` is a Kubernetes verb (``get``, ``list``, ``watch``, ...; "" for a method that has none);
    otherwise it is the lower-case HTTP method, and only ``path`` (percent-decoded, as received) counts. ``parts`` are the path segments
    from the resource on. A ``list`` or ``watch`` has a ``name`` when its field selector asks for exactly one object.
    ``verb_in_path`` marks the deprecated ``watch/...`` and ``proxy/...`` paths.
    """

    is_resource: bool
    verb: str
    path: str
    group: str = ""
    version: str = ""
    namespace: str = ""
    resource: str = ""
    subresource: str = ""
    name: str = ""
    parts: tuple[str, ...] = ()
    verb_in_path: bool = False


def decode_path(raw_path: str) -> str:
    """The path of a request line, percent-decoded once.

    Bytes that are not UTF-8 become replacement characters, as they do in the reviews kube-apiserver asks for. aiohttp's own
    ``request.path`` leaves them encoded, and then ``%C0`` and ``%25C0`` are the same.
    """
    decoded = unquote(raw_path, errors="surrogateescape").encode("utf-8", "surrogateescape")
    return readable(decoded.decode("utf-8", "surrogateescape"))


def parse_request(method: str, decoded_path: str, query: Mapping[str, str]) -> RequestInfo:
    """Read a request; never raises. Of a parameter given twice ``query`` must tell the first value.

    A path that ends in a verb (``/apis/GROUP/VERSION/watch``), which kube-apiserver refuses with an error, becomes a resource request
    for no resource.
    """
    segments = decoded_path.strip("/").split("/")
    if len(segments) < 3 or segments[0] not in ("api", "apis"):
        return RequestInfo(is_resource=False, verb=method.lower(), path=decoded_path)
    group = ""
    rest = segments[1:]
    if segments[0] == "apis":
        if len(rest) < 3:
            return RequestInfo(is_resource=False, verb=method.lower(), path=decoded_path)
        group, *rest = rest
    version, *rest = rest

    verb_in_path = rest[0] in _VERBS_IN_PATH
    if verb_in_path:
        if len(rest) < 2:
            return RequestInfo(is_resource=True, verb=method.lower(), path=decoded_path, group=group, version=version)
        verb, *rest = rest
    else:
        verb = _VERBS.get(method, "")

    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 1:
        namespace = rest[1]
        if len(rest) > 2 and rest[2] not in _NAMESPACE_SUBRESOURCES:
            rest = rest[2:]

    name = rest[1] if len(rest) > 1 else ""
    if not name and verb == "get":
        verb = "watch" if parse_truth(query, "watch") else "list"
        name = _name_selected(query)
    if not name and verb == "delete":
        verb = "deletecollection"
    return RequestInfo(
        is_resource=True,
        verb=verb,
        path=decoded_path,
        group=group,
        version=version,
        namespace=namespace,
        resource=rest[0],
        subresource=rest[2] if len(rest) > 2 and verb != "proxy" else "",
        name=name,
        parts=tuple(rest),
        verb_in_path=verb_in_path,
    )


def parse_field_selector(text: str) -> FieldSelector:
    """A field selector over any field: permission is asked for what the client wrote, also where this API has no such field."""
    return FieldSelector.parse(text, _EveryField())


def parse_truth(query: Mapping[str, str], key: str) -> bool | None:
    """A boolean as Kubernetes reads one: every value but ``0`` and ``false`` is true, the empty one too. None when it is not given."""
    text = query.get(key)
    return None if text is None else text != "0" and text.casefold() != "false"


def _name_selected(query: Mapping[str, str]) -> str:
    """The name a field selector pins a list to; "" as soon as any list option cannot be parsed."""
    if not all(_is_int64(query[option]) for option in ("limit", "timeoutSeconds") if option in query):
        return ""
    try:
        LabelSelector.parse(query.get("labelSelector", ""))
        name = parse_field_selector(query.get("fieldSelector", "")).required("metadata.name") or ""
    except BadQuery:
        return ""
    return "" if name in (".", "..") or "/" in name or "%" in name else name


def _is_int64(text: str) -> bool:
    # Bounded first: Python refuses to convert more than 4300 digits.
    return len(text) < 4300 and _INTEGER.fullmatch(text) is not None and -(2**63) <= int(text) < 2**63


class _EveryField(Collection[str]):
    def __contains__(self, field: object) -> bool:
        return True

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0
