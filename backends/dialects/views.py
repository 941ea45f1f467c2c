"""The part of a dialect file that describes one view: which series, who observed, how an outcome is told, and how long it took."""

from __future__ import annotations

import re

from backends.dialects.dialect import (
    CodeForm,
    CodeLabel,
    Codes,
    Correction,
    GrpcCounters,
    Latency,
    Observer,
    Outcome,
    OutcomeRule,
    View,
)
from backends.dialects.ends import read_conditions, read_identities
from backends.dialects.matcher import parse_matchers
from backends.dialects.words import label_name, metric_name, metric_names
from metrics_api import Side
from metrics_api.document import Node

__all__ = ["read_view"]

_KEYS = (
    "name",
    "side",
    "match",
    "requests",
    "outcome",
    "latency",
    "source",
    "destination",
    "corrections",
    "connections",
    "codes",
    "route",
)
_OF_REQUESTS = ("requests", "outcome", "latency", "corrections", "codes", "route")
_UNITS = {"seconds": 1.0, "milliseconds": 0.001, "microseconds": 0.000001}
_SIDES = [side.value for side in Side]
_STATUS = re.compile(r"\{code\}")
_HTTP_FORMS = (CodeForm.CODE, CodeForm.CLASS, CodeForm.XX)
_GRPC_FORMS = (CodeForm.NUMBER, CodeForm.WORD)


def read_view(node: Node, absent: frozenset[str]) -> View:
    """One entry of ``views``; mistakes go to the node's problems."""
    of_connections = isinstance(node.value, dict) and "connections" in node.value
    entries = node.mapping(
        _KEYS, required=("name", "side", "connections") if of_connections else ("name", "side", "requests", "outcome")
    )
    requests, observations = _requests(entries["requests"]) if "requests" in entries and not of_connections else ((), False)
    if node.value and "source" not in entries and "destination" not in entries:
        node.problem('a view needs "source", "destination" or both: without them its series are nobody\'s')
    if of_connections:
        for key in _OF_REQUESTS:
            if key in entries:
                entries[key].problem(f'a view of connections has no requests, and no "{key}"')
                del entries[key]
    return View(
        name=entries["name"].text() if "name" in entries else "",
        observer=_observer(entries["side"]) if "side" in entries else Observer((("", Side.SERVER),)),
        match=entries["match"].read(parse_matchers, ()) if "match" in entries else (),
        requests=requests,
        outcomes=tuple(_outcome(rule) for rule in entries["outcome"].items()) if "outcome" in entries else (),
        latencies=_latencies(entries["latency"]) if "latency" in entries else (),
        source=read_identities(entries["source"], absent) if "source" in entries else (),
        destination=read_identities(entries["destination"], absent) if "destination" in entries else (),
        corrections=tuple(_correction(item) for item in entries["corrections"].items()) if "corrections" in entries else (),
        connections=metric_names(entries["connections"]) if "connections" in entries else (),
        codes=_codes(entries["codes"]) if "codes" in entries else Codes(),
        route=label_name(entries["route"]) if "route" in entries else "",
        native=observations,
        observations=observations,
    )


def _requests(node: Node) -> tuple[tuple[str, ...], bool]:
    """``requests_total``, or a list of counters; or ``{histogram: request.duration}``: native ones, whose observations are the requests."""
    if not isinstance(node.value, dict):
        return metric_names(node), False
    entries = node.mapping(("histogram",), required=("histogram",))
    return (metric_names(entries["histogram"]) if "histogram" in entries else ()), True


def _observer(node: Node) -> Observer:
    """``side: server``, or ``side: {label: reporter, values: {destination: server, source: client}}``."""
    if not isinstance(node.value, dict):
        return Observer((("", Side(node.choice(_SIDES, "server"))),))
    entries = node.mapping(("label", "values", "partial"), required=("label", "values"))
    sides = entries["values"].mapping() if "values" in entries else {}
    if "values" in entries and not sides:
        entries["values"].problem("name at least one value of the label, and the side it stands for")
    partial = frozenset(entries["partial"].texts() if "partial" in entries else ())
    for value in partial - sides.keys():
        entries["partial"].problem(f'"{value}" is none of the values: {", ".join(sides)}')
    return Observer(
        tuple((value, Side(side.choice(_SIDES, "server"))) for value, side in sides.items()),
        label_name(entries["label"]) if "label" in entries else "",
        partial,
    )


def _outcome(node: Node) -> OutcomeRule:
    """``{failure: {response_code: "5.."}}``; ``{success: {}}`` holds for whatever is left."""
    entries = node.mapping([outcome.value for outcome in Outcome])
    if len(entries) != 1:
        node.problem("a rule has one outcome: success, failure or ignore")
        return OutcomeRule(Outcome.IGNORE)
    word, conditions = next(iter(entries.items()))
    return OutcomeRule(Outcome(word), read_conditions(conditions))


def _correction(node: Node) -> Correction:
    """``[metric, metric]``, or ``{metrics: [metric], overlap: true}``."""
    if not isinstance(node.value, dict):
        return Correction(tuple(metric_name(metric) for metric in node.items()))
    entries = node.mapping(("metrics", "overlap"), required=("metrics",))
    return Correction(
        tuple(metric_name(metric) for metric in entries["metrics"].items()) if "metrics" in entries else (),
        entries["overlap"].boolean(default=False) if "overlap" in entries else False,
    )


def _latencies(node: Node) -> tuple[Latency, ...]:
    """``{metric: request_duration_seconds, unit: seconds}``, or a list of such."""
    return tuple(_latency(item) for item in (node.items() if isinstance(node.value, list) else [node]))


def _latency(node: Node) -> Latency:
    entries = node.mapping(("metric", "unit"), required=("metric", "unit"))
    metric = metric_name(entries["metric"]) if "metric" in entries else ""
    if metric.endswith("_bucket"):
        entries["metric"].problem('name the histogram without "_bucket"')
    return Latency(metric, _UNITS[entries["unit"].choice(_UNITS, "seconds")] if "unit" in entries else 1.0)


def _codes(node: Node) -> Codes:
    """``{http: response_code, grpc: {label: grpc_status, form: word}}``."""
    entries = node.mapping(("http", "grpc", "failed"))
    grpc = entries.get("grpc")
    counted = grpc is not None and isinstance(grpc.value, dict) and "metric" in grpc.value
    return Codes(
        http=_code_label(entries["http"], _HTTP_FORMS) if "http" in entries else None,
        grpc=None if grpc is None else _grpc_counters(grpc) if counted else _code_label(grpc, _GRPC_FORMS),
        failed=read_conditions(entries["failed"]) if "failed" in entries else (),
    )


def _code_label(node: Node, forms: tuple[CodeForm, ...]) -> CodeLabel:
    if not isinstance(node.value, dict):
        return CodeLabel(label_name(node), forms[0])
    entries = node.mapping(("label", "form"), required=("label",))
    form = entries["form"].choice([form.value for form in forms], forms[0].value) if "form" in entries else forms[0].value
    return CodeLabel(label_name(entries["label"]) if "label" in entries else "", CodeForm(form))


def _grpc_counters(node: Node) -> GrpcCounters:
    """``{metric: "envoy_cluster_grpc_{code}", overlap: [14]}``."""
    entries = node.mapping(("metric", "overlap"), required=("metric",))
    template = entries["metric"].text()
    if len(_STATUS.findall(template)) != 1:
        entries["metric"].problem('needs "{code}" once, in the place of the number of the status')
    return GrpcCounters(
        template, tuple(item.integer(0, 16, 0) for item in entries["overlap"].items()) if "overlap" in entries else ()
    )
