"""What clients learn about the API before they use it: groups, versions, resources and verbs.

Three generations of clients ask in three ways: the legacy documents (APIGroupList, APIGroup, APIResourceList), and aggregated
discovery in ``apidiscovery.k8s.io/v2beta1`` (Kubernetes 1.26 to 1.29) and ``v2`` (from 1.30), which the aggregator polls on
``/apis`` with an ETag. ``/api`` and ``/apis`` as a whole are here for a plain ``kubectl --server`` without a cluster in front.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from aiohttp import web
from multidict import MultiMapping

from apiservice.catalog import EDGES, KIND, LIST_KIND, SERVED, Served
from apiservice.groups import ApiGroup, GroupVersion, Listed
from apiservice.negotiate import Encoding, Transform, accept_of, negotiate, wants_pretty
from apiservice.static import Form, make_form, send
from metrics_api.resources import API_VERSION, GROUP, VERSION

__all__ = ["AGGREGATED", "Discovery", "api_group", "api_resource_list", "group_discovery_list"]

AGGREGATED: tuple[Transform, ...] = tuple(
    Transform("APIGroupDiscoveryList", "apidiscovery.k8s.io", version) for version in ("v2", "v2beta1")
)
"""The aggregated documents served, the newest first."""

_VERSION = {"groupVersion": API_VERSION, "version": VERSION}


class Discovery:
    """The discovery documents. ``literal`` gives every resource the kind ``TrafficMetrics``, as the specification has it.

    ``groups`` are served beside our own.
    """

    def __init__(self, *, literal: bool = False, groups: Sequence[ApiGroup] = ()) -> None:
        group = api_group()
        others = [_group_entry(other) for other in groups]
        legacy: dict[str, dict[str, Any]] = {
            "/api": {"kind": "APIVersions", "versions": [], "serverAddressByClientCIDRs": []},
            "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": [group, *others]},
            f"/apis/{GROUP}": {"kind": "APIGroup", "apiVersion": "v1", **group},
            f"/apis/{API_VERSION}": api_resource_list(SERVED, literal=literal),
            **{f"/apis/{other['name']}": {"kind": "APIGroup", "apiVersion": "v1", **other} for other in others},
            **{f"/apis/{version.api_version}": _listed(version) for other in groups for version in other.versions},
        }
        self._legacy = {path: _forms(document) for path, document in legacy.items()}
        self._aggregated: dict[str, dict[Transform, Form]] = {
            "/api": {wanted: _aggregated_form(wanted, []) for wanted in AGGREGATED},
            "/apis": {wanted: _aggregated_form(wanted, SERVED, literal=literal, groups=groups) for wanted in AGGREGATED},
        }

    @property
    def paths(self) -> Collection[str]:
        """The paths answered."""
        return self._legacy.keys()

    def respond(self, path: str, query: Mapping[str, str], headers: MultiMapping[str]) -> web.Response | None:
        """The document at a path in the form the client asks for; None when there is none."""
        legacy = self._legacy.get(path)
        if legacy is None:
            return None
        aggregated = self._aggregated.get(path, {})
        chosen = negotiate(accept_of(headers), aggregated)
        if chosen.transform is not None:
            return send(aggregated[chosen.transform], headers, {"Cache-Control": "public"})
        pretty = chosen.pretty or wants_pretty(query, headers.get("User-Agent", ""))
        return send(legacy[chosen.encoding, pretty and chosen.encoding is Encoding.JSON], headers)


def api_group() -> dict[str, Any]:
    """The APIGroup, as it stands inside an APIGroupList."""
    return {"name": GROUP, "versions": [_VERSION], "preferredVersion": _VERSION}


def api_resource_list(served: Sequence[Served], *, literal: bool = False) -> dict[str, Any]:
    """The APIResourceList: each resource, followed by its subresource."""
    resources: list[dict[str, Any]] = []
    for row in served:
        entry: dict[str, Any] = {
            "name": row.plural,
            "singularName": row.singular,
            "namespaced": row.namespaced,
            "kind": KIND if literal else row.kind,
            "verbs": list(row.verbs),
        }
        if row.short_names:
            entry["shortNames"] = list(row.short_names)
        if row.categories:
            entry["categories"] = list(row.categories)
        resources.append(entry)
        if row.edges:
            resources.append(
                {
                    "name": f"{row.plural}/{EDGES}",
                    "singularName": "",
                    "namespaced": row.namespaced,
                    "kind": LIST_KIND,
                    "verbs": ["get"],
                }
            )
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": API_VERSION, "resources": resources}


def group_discovery_list(
    wanted: Transform, served: Sequence[Served], *, literal: bool = False, groups: Sequence[ApiGroup] = ()
) -> dict[str, Any]:
    """The aggregated document; its two versions differ in ``apiVersion`` alone. Without resources it lists no group."""
    resources = [_discovered(row, literal=literal) for row in served]
    items = [_discovered_group(GROUP, [(VERSION, resources)])] if resources else []
    items += [
        _discovered_group(group.name, [(version.version, _discovered_of(version)) for version in group.versions])
        for group in groups
    ]
    return {"kind": wanted.kind, "apiVersion": wanted.api_version, "metadata": {}, "items": items}


def _discovered_group(name: str, versions: Sequence[tuple[str, list[dict[str, Any]]]]) -> dict[str, Any]:
    described = [{"version": version, "resources": resources, "freshness": "Current"} for version, resources in versions]
    return {"metadata": {"name": name, "creationTimestamp": None}, "versions": described}


def _discovered(row: Served, *, literal: bool) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "resource": row.plural,
        "responseKind": _response_kind(KIND if literal else row.kind),
        "scope": "Namespaced" if row.namespaced else "Cluster",
        "singularResource": row.singular,
        "verbs": list(row.verbs),
    }
    if row.short_names:
        entry["shortNames"] = list(row.short_names)
    if row.categories:
        entry["categories"] = list(row.categories)
    if row.edges:
        entry["subresources"] = [{"subresource": EDGES, "responseKind": _response_kind(LIST_KIND), "verbs": ["get"]}]
    return entry


def _response_kind(kind: str, group: str = GROUP, version: str = VERSION) -> dict[str, str]:
    return {"group": group, "version": version, "kind": kind}


def _group_entry(group: ApiGroup) -> dict[str, Any]:
    """The APIGroup of another group, as it stands inside an APIGroupList."""
    versions = [{"groupVersion": version.api_version, "version": version.version} for version in group.versions]
    return {"name": group.name, "versions": versions, "preferredVersion": versions[0]}


def _listed(version: GroupVersion) -> dict[str, Any]:
    """The APIResourceList of a version of another group."""
    resources = [{**listed._asdict(), "singularName": "", "verbs": list(listed.verbs)} for listed in version.resources]
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version.api_version, "resources": resources}


def _discovered_of(version: GroupVersion) -> list[dict[str, Any]]:
    """The same resources in aggregated form.

    A subresource stands below its resource, which is there for that alone where nothing can be done with it itself
    (``k8s.io/apiserver``: pkg/endpoints/installer.go, ConvertGroupVersionIntoToDiscovery).
    """
    found: dict[str, dict[str, Any]] = {}
    for listed in version.resources:
        plural, _, subresource = listed.name.partition("/")
        kind = _response_kind(listed.kind, version.group, version.version)
        entry = found.setdefault(plural, _nothing_of(plural, listed))
        if subresource:
            told = {"subresource": subresource, "responseKind": kind, "verbs": list(listed.verbs)}
            entry.setdefault("subresources", []).append(told)
        else:
            entry.update(responseKind=kind, verbs=list(listed.verbs))
    return list(found.values())


def _nothing_of(plural: str, listed: Listed) -> dict[str, Any]:
    return {
        "resource": plural,
        "responseKind": _response_kind("", "", ""),
        "scope": "Namespaced" if listed.namespaced else "Cluster",
        "singularResource": "",
        "verbs": [],
    }


def _aggregated_form(
    wanted: Transform, served: Sequence[Served], *, literal: bool = False, groups: Sequence[ApiGroup] = ()
) -> Form:
    content_type = f"application/json;g={wanted.group};v={wanted.version};as={wanted.kind}"
    return make_form(group_discovery_list(wanted, served, literal=literal, groups=groups), content_type=content_type)


def _forms(document: dict[str, Any]) -> dict[tuple[Encoding, bool], Form]:
    return {
        (Encoding.JSON, False): make_form(document),
        (Encoding.JSON, True): make_form(document, pretty=True),
        (Encoding.YAML, False): make_form(document, Encoding.YAML),
    }
