"""OpenAPI v2 and v3: what ``kubectl explain`` and the aggregator of the kube-apiserver read.

These paths must never be missing. One 404 at ``/openapi/v3`` makes a kube-apiserver convert our v2 document, with losses, until it
restarts; a failure at ``/openapi/v2`` makes it stay away for up to an hour. The hash in a v3 address only serves caches: during a
rolling update a client may hold the hash of another replica, and a redirect to the right one would be refused on the way, so it
gets the current document.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any, NamedTuple

from aiohttp import web
from multidict import MultiMapping

from apiservice.catalog import EDGES, KIND, SERVED, Served
from apiservice.groups import ApiGroup, GroupVersion
from apiservice.negotiate import Encoding, accept_of, negotiate
from apiservice.parameters import LIST_PARAMETERS, OBJECT_PARAMETERS, WATCH_PARAMETERS, path_parameter
from apiservice.schemas import LIST_SCHEMA, OBJECT_SCHEMA, as_v2, reference, schemas
from apiservice.static import Form, make_form, send
from metrics_api.resources import API_VERSION, GROUP, VERSION

__all__ = ["OpenAPI", "document_v2", "document_v3"]

_BASE = f"/apis/{API_VERSION}"
_V2 = "/openapi/v2"
_V3 = "/openapi/v3"
_V3_DOCUMENT = f"{_V3}{_BASE}"
_IMMUTABLE_FOR = timedelta(days=365)
_MEDIA_TYPES = [encoding.value for encoding in Encoding]


class OpenAPI:
    """The OpenAPI documents. ``version`` is that of the software, ``literal`` as in discovery, ``groups`` are served beside our own."""

    def __init__(self, version: str, *, literal: bool = False, groups: Sequence[ApiGroup] = ()) -> None:
        kinds = [KIND] if literal else [row.kind for row in SERVED]
        self._v2 = make_form(document_v2(version, kinds, groups))
        self._v3: dict[str, Form] = {_V3_DOCUMENT: make_form(document_v3(version, kinds))}
        for described in _versions(groups):
            self._v3[f"{_V3}/apis/{described.api_version}"] = make_form(_document_of(version, described))
        addresses = {
            path.removeprefix(f"{_V3}/"): {"serverRelativeURL": f"{path}?hash={_hash(form)}"} for path, form in self._v3.items()
        }
        self._root = make_form({"paths": addresses})

    @property
    def paths(self) -> Collection[str]:
        """The paths answered."""
        return (_V2, _V3, *self._v3)

    def respond(self, path: str, query: Mapping[str, str], headers: MultiMapping[str]) -> web.Response | None:
        """The document at a path; JSON only, 406 for clients that take nothing else."""
        if path not in self.paths:
            return None
        negotiate(accept_of(headers), encodings=(Encoding.JSON,))
        form = self._v3.get(path)
        if form is None:
            return send(self._v2 if path == _V2 else self._root, headers)
        if query.get("hash") != _hash(form):
            return send(form, headers)
        expires = format_datetime(datetime.now(UTC) + _IMMUTABLE_FOR, usegmt=True)
        return send(form, headers, {"Cache-Control": "public, immutable", "Expires": expires})


class _Endpoint(NamedTuple):
    """One path. ``action`` is the verb it is authorised as; ``many`` says that it answers a list."""

    path: str
    variables: tuple[str, ...]
    served: Served
    action: str
    many: bool

    @property
    def parameters(self) -> list[dict[str, Any]]:
        watch = WATCH_PARAMETERS if self.action == "list" and "watch" in self.served.verbs else []
        return [*map(path_parameter, self.variables), *(LIST_PARAMETERS if self.many else OBJECT_PARAMETERS), *watch]

    @property
    def schema(self) -> dict[str, str]:
        return reference(LIST_SCHEMA if self.many else OBJECT_SCHEMA)

    @property
    def operation(self) -> dict[str, Any]:
        """What both versions of OpenAPI say about the GET."""
        scope = "Namespaced" if "namespace" in self.variables else ""
        of_edges = self.action == "get" and self.path.endswith(f"}}/{EDGES}")
        of_backends = self.action == "get" and self.many and not of_edges
        if of_edges:
            description = f"traffic of one of {self.served.plural} with each of its peers"
        elif self.served.plural == EDGES:
            description = "traffic of namespaces with each of their peers"
        elif of_backends:
            description = f"traffic of one of {self.served.plural}, for each of its backends"
        else:
            description = f"traffic of {'' if self.many else 'one of '}{self.served.plural}"
        return {
            "operationId": f"{self.action}{scope}{self.served.kind}{'Edges' if of_edges else ''}",
            "description": description,
            "tags": [f"{GROUP}_{VERSION}"],
            "x-kubernetes-action": self.action,
            "x-kubernetes-group-version-kind": {"group": GROUP, "version": VERSION, "kind": KIND},
        }


def document_v3(version: str, kinds: Collection[str]) -> dict[str, Any]:
    """The OpenAPI 3.0 document of the group's version; ``kinds`` are those discovery gives."""
    paths = {}
    for endpoint in _endpoints():
        content = {media_type: {"schema": endpoint.schema} for media_type in _MEDIA_TYPES}
        get = {**endpoint.operation, "responses": _responses({"content": content})}
        paths[endpoint.path] = {"get": get, "parameters": endpoint.parameters}
    return {"openapi": "3.0.0", "info": _info(version), "paths": paths, "components": {"schemas": schemas(kinds)}}


def document_v2(version: str, kinds: Collection[str], groups: Sequence[ApiGroup] = ()) -> dict[str, Any]:
    """The Swagger 2.0 document: the same paths and schemas, for kube-apiservers and clients that read this one.

    It is one document for all groups; a kube-apiserver takes the paths of each from it.
    """
    paths: dict[str, Any] = {}
    for endpoint in _endpoints():
        responses = _responses({"schema": as_v2(endpoint.schema)})
        get = {**endpoint.operation, "produces": _MEDIA_TYPES, "responses": responses}
        paths[endpoint.path] = {"get": get, "parameters": [_flat(parameter) for parameter in endpoint.parameters]}
    definitions = schemas(kinds)
    for described in _versions(groups):
        paths |= {path: _item_v2(item) for path, item in described.paths.items()}
        definitions |= described.schemas
    return {"swagger": "2.0", "info": _info(version), "paths": paths, "definitions": as_v2(definitions)}


def _versions(groups: Sequence[ApiGroup]) -> Iterator[GroupVersion]:
    return (described for group in groups for described in group.versions)


def _document_of(version: str, described: GroupVersion) -> dict[str, Any]:
    """The OpenAPI 3.0 document of a version of another group."""
    return {
        "openapi": "3.0.0",
        "info": _info(version),
        "paths": dict(described.paths),
        "components": {"schemas": dict(described.schemas)},
    }


def _item_v2(item: Mapping[str, Any]) -> dict[str, Any]:
    """A path item in the words of Swagger 2.0."""
    get = dict(item["get"])
    (media_type,) = get["responses"]["200"]["content"]
    answered = get["responses"]["200"]["content"][media_type]
    success = {"description": get["responses"]["200"]["description"], "schema": as_v2(answered["schema"])}
    get |= {"produces": [media_type], "responses": {**get["responses"], "200": success}}
    return {"get": get, "parameters": [_flat(parameter) for parameter in item["parameters"]]}


def _endpoints() -> Iterator[_Endpoint]:
    for row in SERVED:
        base = f"{_BASE}/{row.plural}"
        variables: tuple[str, ...] = ("name",)
        yield _Endpoint(base, (), row, "list", many=True)
        if row.namespaced:
            base, variables = f"{_BASE}/namespaces/{{namespace}}/{row.plural}", ("namespace", "name")
            yield _Endpoint(base, ("namespace",), row, "list", many=True)
        if "get" in row.verbs:
            yield _Endpoint(f"{base}/{{name}}", variables, row, "get", many=row.split)
        # The edges of a namespace have the path of the resource "edges" in it, and are described as that.
        if row.edges and row.plural != "namespaces":
            yield _Endpoint(f"{base}/{{name}}/{EDGES}", variables, row, "get", many=True)


def _responses(success: dict[str, Any]) -> dict[str, Any]:
    return {"200": {"description": "OK", **success}, "401": {"description": "Unauthorized"}}


def _hash(form: Form) -> str:
    return form.etag.strip('"')


def _flat(parameter: Mapping[str, Any]) -> dict[str, Any]:
    return {**{key: value for key, value in parameter.items() if key != "schema"}, **parameter["schema"]}


def _info(version: str) -> dict[str, str]:
    return {"title": "TrafficMetrics", "version": version}
