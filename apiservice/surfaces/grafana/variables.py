"""What there is to choose from: for variables of a dashboard, for ad hoc filters, and for the fields of the query builder."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from apiservice.identity import User
from apiservice.surfaces.grafana.asking import Past, Reading
from apiservice.surfaces.grafana.bodies import filters_of, parse_payload
from apiservice.surfaces.grafana.filters import NUMBERS, WORDS, Filter, words_of
from apiservice.surfaces.grafana.metrics import METRICS, TARGETS, Form, Target
from apiservice.surfaces.grafana.panels import sentences
from apiservice.surfaces.grafana.reads import WORKLOADS, reads_of
from apiservice.surfaces.grafana.times import TimeRange, parse_range
from apiservice.surfaces.grafana.wanted import FIELDS, Wanted, parse_text, parse_wanted
from apiservice.surfaces.reading import Reader
from metrics_api.errors import BadQuery
from metrics_api.query import Direction
from metrics_api.resources import RESOURCE_TYPES, type_of_kind, type_of_plural
from metrics_api.together import aside
from metrics_api.window import Window

__all__ = ["Variables", "metric_list", "search_list", "tag_keys"]

_WORDS = ("namespaces", WORKLOADS, "kinds", "peers", "clusters", "metrics")
_CHOICES: dict[str, Sequence[str]] = {
    "direction": ("both", *Direction),
    "window": ("auto", "30s", "1m", "5m", "15m", "1h"),
    "format": tuple(Form),
    "peerKind": (WORKLOADS, "pods", "services", "namespaces"),
}
_LOOKED_UP = ("namespace", "name", "peer", "cluster", "kind")
"""Fields of the builder whose choices depend on what there is, or on the URL."""

_TOTALS = Target("rows", "Rows", METRICS, Form.TABLE)
_EDGES = Target("edges", "Edges", METRICS, Form.TABLE, edges=True)


class Variables:
    """Answers through ``reader``. ``window`` is the default one, ``refresh`` in seconds, ``clock`` is Unix time."""

    def __init__(self, reader: Reader, window: Window, refresh: int, clock: Callable[[], float]) -> None:
        self._reader = reader
        self._window = window
        self._refresh = refresh
        self._clock = clock

    async def variable(self, user: User, document: Mapping[str, Any], scope: str) -> tuple[list[dict[str, str]], list[str]]:
        """What ``POST grafana/variable`` answers, ``[{"__text", "__value"}]``, and what its reader should know."""
        payload = dict(parse_payload(document.get("payload")))
        word, fields = parse_text(str(payload.pop("target", "") or ""))
        time = parse_range(document.get("range"), None, self._clock())
        found, told = await self.named(user, word, {**payload, **fields}, scope, time)
        return [{"__text": value, "__value": value} for value in found], told

    async def named(
        self, user: User, word: str, fields: Mapping[str, Any], scope: str, time: TimeRange | None = None
    ) -> tuple[list[str], list[str]]:
        """The names that a word stands for, sorted, and what their reader should know. Raises BadQuery that tells the words."""
        match word:
            case "metrics":
                return [metric.name for metric in METRICS], []
            case "kinds":
                return _kinds(scope), []
            case "namespaces":
                return await self._words(user, "namespace", {**fields, "kind": "namespaces"}, scope, (), time)
            case "peers":
                return await self._words(user, "peer", fields, scope, (), time)
            case "clusters":
                return await self._words(user, "cluster", fields, scope, (), time)
            case _ if word == WORKLOADS or type_of_plural(word.lower()) or type_of_kind(word):
                return await self._words(user, "name", {"kind": word, **fields}, scope, (), time)
            case _:
                kinds = ", ".join(row.plural for row in RESOURCE_TYPES)
                raise BadQuery(
                    f'"{word[:40]}" is no variable: write {", ".join(_WORDS)}, or a kind ({kinds}), with what narrows it behind a question '
                    "mark, such as workloads?namespace=shop"
                )

    async def tag_values(self, user: User, document: Mapping[str, Any], scope: str) -> tuple[list[dict[str, str]], list[str]]:
        """What ``POST grafana/tag-values`` answers: the words that rows have under a key, as far as the other filters leave them."""
        key = str(document.get("key") or "")
        filters = tuple(each for each in filters_of(document) if each.key != key)
        if key in NUMBERS:
            return [], []
        if key == "direction":
            return [{"text": value} for value in Direction], []
        if key not in WORDS:
            raise BadQuery(f'there is nothing called "{key[:40]}" to filter by: known are {", ".join((*WORDS, *NUMBERS))}')
        fields = {"kind": "namespaces"} if key == "namespace" else {}
        found, told = await self._words(user, key, fields, scope, filters, None)
        return [{"text": value} for value in found], told

    async def payload_options(self, user: User, document: Mapping[str, Any], scope: str) -> tuple[list[dict[str, str]], list[str]]:
        """What ``POST grafana/metric-payload-options`` answers: ``[{"label", "value"}]`` for one field of the builder."""
        name = str(document.get("name") or "")
        fields = {key: value for key, value in parse_payload(document.get("payload")).items() if key != name}
        told: list[str] = []
        if name in _CHOICES:
            found: Sequence[str] = _CHOICES[name]
        elif name == "kind":
            found = _kinds(scope)
        elif name in _LOOKED_UP:
            fields |= {"kind": "namespaces"} if name == "namespace" else {}
            found, told = await self._words(user, name, fields, scope, (), None)
        else:
            raise BadQuery(f'there is nothing to choose from for "{name[:40]}": the fields of a payload are {", ".join(FIELDS)}')
        return [{"label": value, "value": value} for value in found], told

    async def _words(
        self, user: User, key: str, fields: Mapping[str, Any], scope: str, filters: Iterable[Filter], time: TimeRange | None
    ) -> tuple[list[str], list[str]]:
        """The words under ``key`` of the rows that ``fields`` choose."""
        if key == "namespace" and scope:
            return [scope], []
        edges = key.startswith("peer")
        asked = {
            name: value
            for name, value in fields.items()
            if edges or name not in ("direction", "edges", "peer", "peerKind", "edgeKind")
        }
        wanted = parse_wanted({**asked, "format": "table"}, _EDGES if edges else _TOTALS, filters=filters)
        if not edges:
            wanted = wanted.totals()
        reads = reads_of(_idle(wanted), scope, self._window)
        then = Past(time.past(self._clock(), self._refresh) if time is not None else None)
        found = await Reading(self._reader, user).read((read, then) for read in reads)
        results = [results[0] for results in found.values()]
        rows = [row for result in results for row in result.rows]
        words = await aside(len(rows), lambda: {words_of(row)[key] for row in rows if wanted.has(row)})
        return sorted(words - {""}), [*wanted.remarks, *sentences(results)]


def metric_list() -> list[dict[str, Any]]:
    """What ``POST grafana/metrics`` answers: all metrics, with the fields that the query builder shows for each."""
    return [{"label": target.label, "value": target.name, "payloads": _payloads(target)} for target in TARGETS]


def search_list(text: str) -> list[dict[str, str]]:
    """What older data sources get for ``POST grafana/search`` while somebody types: the metrics with that text, or else all of them."""
    found = [target for target in TARGETS if text in target.name] or TARGETS
    return [{"text": target.name, "value": target.name} for target in found]


def tag_keys() -> list[dict[str, str]]:
    """What ``POST grafana/tag-keys`` answers: all there is to filter by."""
    return [{"type": "string", "text": word} for word in WORDS] + [{"type": "number", "text": number} for number in NUMBERS]


def _idle(wanted: Wanted) -> Wanted:
    """What exists can be chosen also while it has no traffic; of what is filtered by numbers there must be some."""
    return replace(wanted, idle=not any(each.key in NUMBERS for each in wanted.filters))


def _kinds(scope: str) -> list[str]:
    """The kinds that can be asked about, as resources of the API; those in no namespace only where the URL is about all of them."""
    return [WORKLOADS, *(row.plural for row in RESOURCE_TYPES if row.namespaced or not scope or row.kind == "Namespace")]


def _payloads(target: Target) -> list[dict[str, Any]]:
    """The fields of the builder for one metric. Those without options are asked for when they are opened."""
    names = ["namespace", "kind", "name", "direction", "peer", "window"]
    if target.form is Form.SERIES:
        names += ["format", "legend"]
    return [_payload(name, target) for name in names]


def _payload(name: str, target: Target) -> dict[str, Any]:
    made: dict[str, Any] = {"name": name, "label": _LABELS[name], "placeholder": _PLACEHOLDERS[name], "width": 24}
    if name == "legend":
        return {**made, "type": "input"}
    # What can be chosen of names depends on where, and of what kind they are.
    made |= {
        "type": "multi-select" if name in ("namespace", "name", "peer") else "select",
        "reloadMetric": name in ("namespace", "kind"),
    }
    if name in _CHOICES:
        values = [value for value in _CHOICES[name] if name != "format" or value != Form.GRAPH]
        made["options"] = [{"label": value, "value": value} for value in values]
    if name == "direction" and target.edges:
        made["placeholder"] = "both"
    return made


_LABELS = {
    "namespace": "Namespace",
    "kind": "Kind",
    "name": "Name",
    "direction": "Direction of edges",
    "peer": "Peer",
    "window": "Window",
    "format": "Format",
    "legend": "Legend",
}
_PLACEHOLDERS = {
    "namespace": "all that may be read",
    "kind": WORKLOADS,
    "name": "all",
    "direction": "none: what was received in total",
    "peer": "all",
    "window": "auto",
    "format": "timeseries",
    "legend": "{{namespace}}/{{name}}",
}
