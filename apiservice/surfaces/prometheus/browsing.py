"""What there is to select: metrics, labels and their values, series. Editors ask for it, and dashboards for their variables.

Names of metrics and labels are the same for everybody and answered without asking anybody, with those of edges, which nobody would find
otherwise. Values are read, as far as they tell of traffic.
"""

from __future__ import annotations

from functools import partial

from apiservice.surfaces.prometheus.answer import Answer, limited
from apiservice.surfaces.prometheus.evaluation import Snapshot, snapshots
from apiservice.surfaces.prometheus.failures import parameter
from apiservice.surfaces.prometheus.requests import OutOfTime, Query
from apiservice.surfaces.prometheus.selection import select
from apiservice.surfaces.prometheus.selector import NAME, Comparison, Matcher, Selector
from apiservice.surfaces.prometheus.vocabulary import FAMILIES, INCOMPLETE, MEASURE_LABELS, ROW_LABELS, WINDOW, Family, Labels
from apiservice.surfaces.reading import Reader
from metrics_api import aside
from metrics_api.query import Direction
from metrics_api.resources import RESOURCE_TYPES, SPLIT_KINDS

__all__ = ["alerts", "buildinfo", "label_values", "labels", "metadata", "rules", "series"]

_WINDOWS = ("30s", "1m", "5m", "15m", "30m", "1h")
"""Windows that are offered; any other can be written."""

_FIXED = {
    "direction": tuple(sorted(direction.value for direction in Direction)),
    "kind": tuple(sorted(row.kind for row in RESOURCE_TYPES if row.kind not in SPLIT_KINDS)),
    WINDOW: _WINDOWS,
}
"""Values that are offered where nothing is said about the series that should have them."""

_SPEAKS = "2.42.0"
"""The Prometheus whose HTTP API this follows. Clients decide by it what they may ask for."""


async def labels(_reader: Reader, asked: Query) -> Answer:
    """The names of labels that series have, or may have."""
    families = _families(asked.selectors())
    names = {name for family in families for measure in family.measures for name in family.labels(measure)}
    if any(family is not INCOMPLETE for family in families):
        names |= {*ROW_LABELS, WINDOW}
    return Answer(*limited(sorted(names), asked.limit()))


async def label_values(reader: Reader, asked: Query, label: str) -> Answer:
    """The values of one label, of the series that ``match[]`` selects if it is given. That of an edge is one of edges."""
    selectors, limit = asked.selectors(), asked.limit()
    if label == NAME:
        return Answer(*limited([family.name for family in _families(selectors)], limit))
    if label in MEASURE_LABELS:
        own = {family.labels(measure).get(label, "") for family in _families(selectors) for measure in family.measures}
        return Answer(*limited(sorted(filter(None, own)), limit))
    if label not in (*ROW_LABELS, WINDOW):
        return Answer([])
    if label in _FIXED and (not selectors or label == WINDOW):
        return Answer(*limited(list(_FIXED[label]), limit))
    if label == "namespace" and not selectors and asked.scope.namespace:
        return Answer([asked.scope.namespace])
    there = Matcher(label, Comparison.NOT_EQUAL, "")
    known = selectors or [Selector((Matcher(NAME, Comparison.MATCHES, "trafficmetrics_.+"),))]
    found = await _seen(reader, asked, [Selector((*selector.matchers, there)) for selector in known])
    values = {row.labels[label] for each in found for row in each.rows if label in row.labels and each.selection.measures}
    return Answer(*limited(sorted(values), limit, [warning for each in found for warning in each.warnings]))


async def series(reader: Reader, asked: Query) -> Answer:
    """The series that ``match[]`` selects, with their labels."""
    selectors, limit = asked.selectors(), asked.limit()
    if not selectors:
        raise parameter("match[]", "no match[] parameter provided")
    found = await _seen(reader, asked, selectors)
    warnings = [warning for each in found for warning in each.warnings]
    listed = await aside(sum(len(each.rows) for each in found), partial(_listed, found))
    elements, warnings = limited(listed, limit, warnings)
    return Answer(elements, warnings)


async def metadata(_reader: Reader, asked: Query) -> Answer:
    """Types, help and units of the metrics."""
    wanted, limit = asked.text("metric"), asked.limit()
    found = {
        family.name: [{"type": "gauge", "help": family.help, "unit": family.unit}]
        for family in FAMILIES
        if wanted in ("", family.name)
    }
    return Answer(dict(list(found.items())[: limit or None]))


async def rules(_reader: Reader, _asked: Query) -> Answer:
    """There are none here."""
    return Answer({"groups": []})


async def alerts(_reader: Reader, _asked: Query) -> Answer:
    """There are none here."""
    return Answer({"alerts": []})


async def buildinfo(_reader: Reader, _asked: Query) -> Answer:
    """What clients take us for."""
    unknown = dict.fromkeys(("revision", "branch", "buildUser", "buildDate", "goVersion"), "trafficmetrics")
    return Answer({"version": _SPEAKS, **unknown})


def _families(selectors: list[Selector]) -> list[Family]:
    """The metrics that selectors select, by name alone; all of them without selectors."""
    return [
        family
        for family in FAMILIES
        if not selectors
        or any(
            selector.accepts(family.labels(measure), (NAME, *MEASURE_LABELS))
            for selector in selectors
            for measure in family.measures
        )
    ]


async def _seen(reader: Reader, asked: Query, selectors: list[Selector]) -> list[Snapshot]:
    """What selectors find at the end of the time that is asked about, or now if that is still to come."""
    end = asked.moment("end")
    try:
        instant = asked.instant(None if end is None or end > asked.now * 1000 else end)
    except OutOfTime:
        return []
    selections = [select(selector, asked.scope) for selector in selectors]
    return await snapshots(reader, asked.user, selections, instant)


def _listed(found: list[Snapshot]) -> list[Labels]:
    """The series of all, each once."""
    known = {tuple(labels.items()): labels for each in found for labels, _ in each.samples()}
    return list(known.values())
