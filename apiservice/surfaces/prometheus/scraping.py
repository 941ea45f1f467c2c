"""What goes on pages that are scraped."""

from __future__ import annotations

from apiservice.rowfields import parse_kind
from apiservice.surfaces.prometheus.evaluation import snapshots
from apiservice.surfaces.prometheus.exposition import Page
from apiservice.surfaces.prometheus.failures import parameter
from apiservice.surfaces.prometheus.requests import Query
from apiservice.surfaces.prometheus.selection import select
from apiservice.surfaces.prometheus.selector import NAME, Comparison, Matcher, Selector
from apiservice.surfaces.reading import Reader

__all__ = ["federate", "metrics"]

_BOOLEANS = {"true": True, "1": True, "": True, "false": False, "0": False}


async def metrics(reader: Reader, asked: Query) -> Page:
    """All metrics of the workloads, or of the kinds that ``kind`` or ``resource`` name; with ``edges=true`` those of their edges instead.

    Totals and edges never stand on one page: their sum would count every request three times.
    """
    named = [(field, text) for field in ("kind", "resource") for text in asked.parameters.getall(field, [])]
    kinds = dict.fromkeys(parse_kind(text, field) for field, text in named)
    every = Matcher(NAME, Comparison.MATCHES, "trafficmetrics_.+")
    edges = (Matcher("peer_name", Comparison.NOT_EQUAL, ""),) if _truth(asked, "edges") else ()
    chosen = [[Matcher("kind", Comparison.EQUAL, kind)] for kind in kinds] or [[]]
    selections = [select(Selector((every, *kind, *edges)), asked.scope) for kind in chosen]
    found = await snapshots(reader, asked.user, selections, None)
    return Page(found, any(each.incomplete for each in found), _truth(asked, "timestamps"))


async def federate(reader: Reader, asked: Query) -> Page:
    """The series that ``match[]`` selects, of which there may be several; none without."""
    selections = [select(selector, asked.scope) for selector in asked.selectors()]
    found = await snapshots(reader, asked.user, selections, None)
    told = [each.tells_incomplete for each in found if each.tells_incomplete is not None]
    return Page(found, any(told) if told else None, _truth(asked, "timestamps"))


def _truth(asked: Query, name: str) -> bool:
    text = asked.text(name, "false").lower()
    if text not in _BOOLEANS:
        raise parameter(name, f'it is "true" or "false", not "{text[:40]}"')
    return _BOOLEANS[text]
