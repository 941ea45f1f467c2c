"""The bodies that data sources of Grafana send, read: whatever else is in them is theirs, and passed over.

What they are is in simPod/GrafanaJsonDatasource (openapi.yaml, src/DataSource.ts) and, for the older ones, grafana/simple-json-datasource
(README.md).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from apiservice.surfaces.grafana.filters import Filter, parse_filters
from apiservice.surfaces.grafana.metrics import find_target
from apiservice.surfaces.grafana.times import TimeRange, parse_range, parse_seconds
from apiservice.surfaces.grafana.wanted import FORMS, Wanted, parse_wanted
from metrics_api.errors import BadQuery

__all__ = ["MOST_TARGETS", "Query", "QueryBody", "filters_of", "parse_body", "parse_payload", "parse_query_body"]

MOST_TARGETS = 50
"""Queries of one panel: it has 26 letters to name them with."""

_LONGEST_REF_ID = 100
_POINTS = 1_000


@dataclass(frozen=True, slots=True)
class Query:
    """One query of a panel. ``old`` wants the forms of before data frames: its data source still says ``type``."""

    ref_id: str
    wanted: Wanted
    old: bool = False


@dataclass(frozen=True, slots=True)
class QueryBody:
    """What a panel asks. ``interval`` is in seconds, ``points`` are as many as the panel is wide."""

    queries: tuple[Query, ...]
    range: TimeRange | None
    interval: float
    points: int


def parse_body(body: bytes) -> dict[str, Any]:
    """The object that a body is; one without anything is an empty object. Raises :class:`metrics_api.errors.BadQuery`."""
    if not body.strip():
        return {}
    try:
        document = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError) as error:
        raise BadQuery(f"the body is not JSON: {error}") from error
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise BadQuery("the body must be a JSON object, as the JSON data source of Grafana sends it")
    return document


def filters_of(document: Mapping[str, Any]) -> tuple[Filter, ...]:
    """The ad hoc filters of a body, by either of the names they have had."""
    return parse_filters(document.get("filters") or document.get("adhocFilters"))


def parse_payload(given: Any) -> Mapping[str, Any]:
    """A payload: an object, or the JSON of one. Raises :class:`metrics_api.errors.BadQuery`."""
    if given is None or given == "":
        return {}
    if isinstance(given, str):
        try:
            given = msgspec.json.decode(given)
        except (msgspec.DecodeError, RecursionError) as error:
            raise BadQuery(f"the payload is not JSON: {error}") from error
    if not isinstance(given, dict):
        raise BadQuery('the payload must be a JSON object such as {"namespace": "shop", "kind": "deployments"}')
    return given


def parse_query_body(document: Mapping[str, Any], now: float) -> QueryBody:
    """What is asked by ``POST grafana/query``. Raises :class:`metrics_api.errors.BadQuery` that says what to write."""
    targets = document.get("targets")
    if not isinstance(targets, list) or not all(isinstance(target, Mapping) for target in targets):
        raise BadQuery(
            'targets are a list such as [{"refId": "A", "target": "requests_per_second", "payload": {"namespace": "shop"}}]'
        )
    if len(targets) > MOST_TARGETS:
        raise BadQuery(f"there are {len(targets)} targets: {MOST_TARGETS} is the most that are answered at once")
    filters = filters_of(document)
    wanted = [target for target in targets if target.get("target") and not target.get("hide")]
    return QueryBody(
        tuple(_query(target, at, filters) for at, target in enumerate(wanted)),
        parse_range(document.get("range"), document.get("rangeRaw"), now),
        _interval(document),
        _points(document.get("maxDataPoints")),
    )


def _query(target: Mapping[str, Any], at: int, filters: tuple[Filter, ...]) -> Query:
    ref_id = str(target.get("refId") or chr(ord("A") + at))
    if len(ref_id) > _LONGEST_REF_ID:
        raise BadQuery(f"a refId is longer than {_LONGEST_REF_ID} characters, and every frame of its query has it")
    kind = target.get("type")
    old = isinstance(kind, str) and kind in FORMS
    try:
        found = find_target(target["target"])
        payload = parse_payload(target.get("payload") or target.get("data"))
        # Such a data source says table or time series for every target, and knows of no graphs.
        form = FORMS[str(kind)] if old and not found.edges else None
        return Query(ref_id, parse_wanted(payload, found, form, filters), old)
    except BadQuery as error:
        raise BadQuery(f"query {ref_id}: {error.message}") from error


def _interval(document: Mapping[str, Any]) -> float:
    """Seconds between points: ``intervalMs``, or ``interval`` where there is none."""
    given = document.get("intervalMs")
    if given is None:
        text = document.get("interval")
        return parse_seconds(str(text).removeprefix(">")) if text else 1.0
    milliseconds = _number(given, "intervalMs")
    return milliseconds / 1_000


def _points(given: Any) -> int:
    return _POINTS if given is None else max(int(min(_number(given, "maxDataPoints"), _POINTS)), 1)


def _number(given: Any, what: str) -> float:
    try:
        number = float(given)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if isinstance(given, bool) or not math.isfinite(number) or number < 0:
        raise BadQuery(f"{what} must be a number that is not negative")
    return number
