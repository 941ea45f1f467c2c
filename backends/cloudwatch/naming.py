"""Names that mean nothing in Kubernetes by themselves: the objects that configuration says they are, and what is told of the others."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from backends.cloudwatch.selection import refused_kinds
from backends.cloudwatch.settings import CloudWatchSettings
from metrics_api import ANY_WORKLOAD, Naming, ResourceRef, TrafficQuery, first_few
from metrics_api.resources import host

__all__ = ["asked_for", "configured", "refused_objects", "unnamed"]


def configured(settings: CloudWatchSettings, name: str, place: str = "") -> ResourceRef | None:
    """The object that ``services`` says something called ``name`` is, in its ``place`` or anywhere; None when it does not say."""
    return settings.services.get((name, place)) or settings.services.get((name, ""))


def refused_objects(query: TrafficQuery, settings: CloudWatchSettings) -> str | None:
    """Why nothing is known of the kinds asked for; None when there is. What ``services`` names by its kind is answered as such."""
    named = {ref.kind for ref in settings.services.values()}
    if named.isdisjoint(query.kinds) and (why := refused_kinds(replace(query, edges=False))) is not None:
        return why
    if query.edges and query.peer_level not in named:
        return refused_kinds(replace(query, kinds=(ANY_WORKLOAD,), peer_kind=query.peer_level))
    return None


def asked_for(resource: ResourceRef, query: TrafficQuery) -> bool:
    """Whether objects of this kind are asked for, or are parts of such: what is not need not be paid for."""
    if "Namespace" in query.kinds or resource.kind in query.kinds:
        return True
    if query.kinds == ("Service",):
        return ANY_WORKLOAD in query.members
    return resource.kind != "Service"


def unnamed(source: str, what: str, names: Collection[str]) -> Naming:
    """The sentence about traffic of ``names``, which are ``what`` AWS calls them, and of which nobody says which objects they are."""
    why = f'source "{source}" leaves out {what} of which its configuration does not say which objects they are, in services'
    return Naming(f"{why}: {first_few(sorted(names))}", map(host, names), why)
