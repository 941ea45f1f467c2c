"""The resource ``sources``: which sources and meshes there are, how they are, and what they cover.

It is no resource of discovery, whose list tells of traffic: kubectl reads it with ``get --raw``. To Kubernetes it is one of the whole
cluster, and whoever reads it needs ``list`` or ``get`` on it there. It answers of what was found of late; an examination that takes long
is not waited for, and never keeps another one from being told.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aiohttp import web

from apiservice.catalog import SOURCES
from apiservice.encoding import encode
from apiservice.listoptions import parse_list_options
from apiservice.negotiate import accept_of, negotiate, wants_pretty
from apiservice.requestinfo import RequestInfo
from apiservice.sources.document import list_document, source_document
from apiservice.sources.examination import Examined, seen_together
from apiservice.sources.examinations import Examination, Examinations
from apiservice.sources.health import Outcomes
from apiservice.status import method_not_allowed, unknown_path, watch_not_supported
from metrics_api import NotFound, Source
from metrics_api.fields import FieldSelector
from metrics_api.resources import GROUP, VERSION
from metrics_api.selector import LabelSelector

__all__ = ["Sources", "is_about_sources"]

_FIELDS = ("metadata.name",)


def is_about_sources(info: RequestInfo) -> bool:
    """Whether a request is one for this resource, well-formed or not."""
    return info.is_resource and (info.group, info.version, info.resource) == (GROUP, VERSION, SOURCES)


class Sources:
    """Answers for the sources of ``examinations``; ``outcomes`` tell how these have been when they were asked."""

    def __init__(self, examinations: Examinations, outcomes: Outcomes) -> None:
        self._examinations = examinations
        self._outcomes = outcomes

    async def close(self) -> None:
        """End what is under way."""
        await self._examinations.close()

    async def respond(self, info: RequestInfo, request: web.Request) -> web.Response:
        """The response to a get or a list; raises what :mod:`apiservice.status` knows."""
        _require(info, request)
        chosen = negotiate(accept_of(request.headers))
        pretty = chosen.pretty or wants_pretty(request.query, request.headers.get("User-Agent", ""))
        document = await (self._one(info.name) if info.verb == "get" else self._list(request.query))
        body = encode(document, chosen.encoding, pretty=pretty)
        return web.Response(body=body, headers={"Content-Type": chosen.encoding.value})

    async def _one(self, name: str) -> Mapping[str, Any]:
        wanted = [source for source in self._examinations.sources if source.name == name]
        if not wanted:
            raise NotFound(SOURCES, name)
        documents = await self._documents(wanted)
        if not documents:
            raise NotFound(SOURCES, name)
        return documents[0]

    async def _list(self, query: Mapping[str, str]) -> Mapping[str, Any]:
        parse_list_options(query)
        # Who may read one alone asks for a list of that one: Kubernetes has allowed no more.
        fields = FieldSelector.parse(query.get("fieldSelector", ""), _FIELDS)
        labels = LabelSelector.parse(query.get("labelSelector", ""))
        wanted = [
            source for source in self._examinations.sources if labels.matches({}) and fields.matches({"metadata.name": source.name})
        ]
        return list_document(await self._documents(wanted))

    async def _documents(self, wanted: Sequence[Source]) -> list[Mapping[str, Any]]:
        found = await self._examinations.look(wanted)
        told = self._together(found)
        # Meanwhile the configuration may have changed: of a source that is gone nothing is known any more.
        staying = {source.name for source in self._examinations.sources}
        return [
            source_document(source, self._outcomes.health(source.name), told[source.name], self._outcomes.home)
            for source in wanted
            if source.name in staying
        ]

    def _together(self, found: Mapping[str, Examination]) -> dict[str, Examination]:
        """The examinations with what shows when all are seen together, as far as they are there."""
        # What another source is like matters to the one that is told of; it is not waited for.
        known = {source.name: self._examinations.known(source.name) for source in self._examinations.sources} | dict(found)
        examined = [
            Examined(source, diagnosis)
            for source in self._examinations.sources
            if (diagnosis := known[source.name].diagnosis) is not None
        ]
        seen = {each.source.name: each.diagnosis for each in seen_together(examined, self._outcomes.home)}
        return {name: Examination(seen.get(name), examination.ended, examination.running) for name, examination in known.items()}


def _require(info: RequestInfo, request: web.Request) -> None:
    """404 for a path that leads nowhere, 405 for what cannot be done there."""
    if info.namespace or len(info.parts) > 2:
        raise unknown_path()
    if info.verb == "watch" and not info.verb_in_path:
        raise watch_not_supported(info)
    if info.verb not in ("get", "list") or info.verb_in_path or request.method not in ("GET", "HEAD"):
        raise method_not_allowed(info)
