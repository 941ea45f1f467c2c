"""Dialect files: read with every mistake named, each with its line."""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path

from backends.dialects.dialect import Correction, Dialect, Observer, Outcome, OutcomeRule, View
from backends.dialects.expression import expression
from backends.dialects.identity import HOST, Identity
from backends.dialects.matcher import parse_matchers
from metrics_api import ANY_WORKLOAD, RESOURCE_TYPES, BadConfiguration, Side, type_of_kind
from metrics_api.document import Node, Problems, parse_document

__all__ = ["builtin_dialects", "load_dialect", "parse_dialect", "read_dialect"]


_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_METRIC = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_TEMPLATE = re.compile(r"(?:[^{}]|\{[a-zA-Z_][a-zA-Z0-9_]*\})*")
_UNITS = {"seconds": 1.0, "milliseconds": 0.001, "microseconds": 0.000001}
_KINDS = {row.kind: row.kind for row in RESOURCE_TYPES} | {"Workload": ANY_WORKLOAD, "Host": HOST}
_CLUSTER_SCOPED = frozenset({"Namespace", "Node", HOST})


def builtin_dialects() -> list[str]:
    """The names of the dialects that come with the project."""
    folder = resources.files("backends.dialects") / "files"
    return sorted(entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml"))


def load_dialect(name: str) -> Dialect:
    """A built-in dialect by name, or one of the user's own by the path of its file.

    :class:`BadConfiguration` lists every mistake in the file, each with its line.
    """
    if name in builtin_dialects():
        text = (resources.files("backends.dialects") / "files" / f"{name}.yaml").read_text(encoding="utf-8")
        return parse_dialect(text, f"{name}.yaml")
    if "/" not in name and not name.endswith((".yaml", ".yml")):
        known = ", ".join(builtin_dialects())
        raise BadConfiguration([f'there is no dialect "{name}": it is one of {known}, or the path of a dialect file'])
    try:
        text = Path(name).read_text(encoding="utf-8")
    except OSError as error:
        raise BadConfiguration([f'dialect file "{name}" cannot be read: {error.strerror}']) from error
    except UnicodeDecodeError as error:
        raise BadConfiguration([f'dialect file "{name}" is not UTF-8 text']) from error
    return parse_dialect(text, name)


def read_dialect(node: Node) -> Dialect | None:
    """The dialect a configuration names; None when there were mistakes, which go to the node's problems."""
    try:
        return load_dialect(node.text())
    except BadConfiguration as error:
        for problem in error.problems:
            node.problem(problem)
        return None


def parse_dialect(text: str, file: str) -> Dialect:
    """A dialect from the text of its file."""
    problems = Problems()
    root = parse_document(text, file, problems)
    dialect = _dialect(root)
    problems.raise_if_any()
    return dialect


def _dialect(root: Node) -> Dialect:
    # "shapes" is a place for anchors: parts that several views share.
    known = ("name", "description", "absent", "views", "cannot", "shapes")
    entries = root.mapping(known, required=("name", "views"))
    absent = frozenset({"", *(entries["absent"].texts() if "absent" in entries else ())})
    views = [_view(node, absent) for node in entries["views"].items()] if "views" in entries else []
    if "views" in entries and not views:
        entries["views"].problem("a dialect needs at least one view")
    return Dialect(
        name=entries["name"].text() if "name" in entries else "",
        description=" ".join(entries["description"].text().split()) if "description" in entries else "",
        views=tuple(views),
        reasons=_reasons(entries["cannot"]) if "cannot" in entries else {},
    )


def _reasons(node: Node) -> dict[str, str]:
    reasons: dict[str, str] = {}
    for key, reason in node.mapping().items():
        if key != "edges" and key not in _KINDS:
            reason.problem(f'"{key}" is neither "edges" nor a kind; kinds are {", ".join(_KINDS)}')
        reasons[key] = " ".join(reason.text().split())
    return reasons


def _view(node: Node, absent: frozenset[str]) -> View:
    known = ("name", "side", "match", "requests", "outcome", "latency", "source", "destination", "corrections")
    entries = node.mapping(known, required=("name", "side", "requests", "outcome", "latency"))
    if node.value and "source" not in entries and "destination" not in entries:
        node.problem('a view needs "source", "destination" or both: without them its series are nobody\'s')
    latency, unit = _latency(entries["latency"]) if "latency" in entries else ("", 1.0)
    return View(
        name=entries["name"].text() if "name" in entries else "",
        observer=_observer(entries["side"]) if "side" in entries else Observer((("", Side.SERVER),)),
        match=entries["match"].read(parse_matchers, ()) if "match" in entries else (),
        requests=_metric(entries["requests"]) if "requests" in entries else "",
        outcomes=tuple(_outcome(rule) for rule in entries["outcome"].items()) if "outcome" in entries else (),
        latency=latency,
        unit=unit,
        source=_identities(entries["source"], absent) if "source" in entries else (),
        destination=_identities(entries["destination"], absent) if "destination" in entries else (),
        corrections=tuple(_correction(item) for item in entries["corrections"].items()) if "corrections" in entries else (),
    )


def _correction(node: Node) -> Correction:
    """``[metric, metric]``, or ``{metrics: [metric], overlap: true}``."""
    if not isinstance(node.value, dict):
        return Correction(tuple(_metric(metric) for metric in node.items()))
    entries = node.mapping(("metrics", "overlap"), required=("metrics",))
    return Correction(
        tuple(_metric(metric) for metric in entries["metrics"].items()) if "metrics" in entries else (),
        entries["overlap"].boolean(default=False) if "overlap" in entries else False,
    )


def _observer(node: Node) -> Observer:
    """``side: server``, or ``side: {label: reporter, values: {destination: server, source: client}}``."""
    if not isinstance(node.value, dict):
        return Observer((("", Side(node.choice([side.value for side in Side], "server"))),))
    entries = node.mapping(("label", "values"), required=("label", "values"))
    sides = entries["values"].mapping() if "values" in entries else {}
    if "values" in entries and not sides:
        entries["values"].problem("name at least one value of the label, and the side it stands for")
    return Observer(
        tuple((value, Side(side.choice([side.value for side in Side], "server"))) for value, side in sides.items()),
        _matched(entries["label"], _LABEL, "label") if "label" in entries else "",
    )


def _outcome(node: Node) -> OutcomeRule:
    """``{failure: {response_code: "5.."}}``; ``{success: {}}`` holds for whatever is left."""
    entries = node.mapping([outcome.value for outcome in Outcome])
    if len(entries) != 1:
        node.problem("a rule has one outcome: success, failure or ignore")
        return OutcomeRule(Outcome.IGNORE)
    word, conditions = next(iter(entries.items()))
    when = [(label, value.read(expression, re.compile(""))) for label, value in conditions.mapping().items()]
    for label, _ in when:
        if not _LABEL.fullmatch(label):
            conditions.problem(f'"{label}" is not a label name')
    return OutcomeRule(Outcome(word), tuple(when))


def _latency(node: Node) -> tuple[str, float]:
    entries = node.mapping(("metric", "unit"), required=("metric", "unit"))
    metric = _metric(entries["metric"]) if "metric" in entries else ""
    if metric.endswith("_bucket"):
        entries["metric"].problem('name the histogram without "_bucket"')
    return metric, _UNITS[entries["unit"].choice(_UNITS, "seconds")] if "unit" in entries else 1.0


def _identities(node: Node, absent: frozenset[str]) -> tuple[Identity, ...]:
    """A list of ``{Kind: form}``, the best first."""
    identities: list[Identity] = []
    for item in node.items():
        entries = item.mapping()
        if len(entries) != 1:
            item.problem("one entry names one kind, as in {Deployment: {namespace: namespace, name: deployment}}")
        for kind, form in entries.items():
            row = type_of_kind(kind)
            spelt = row.kind if row is not None else kind
            if spelt not in _KINDS:
                form.problem(f'"{kind}" is not a kind; kinds are {", ".join(_KINDS)}')
                continue
            identities.append(_identity(form, _KINDS[spelt], absent))
    return tuple(identities)


def _identity(node: Node, kind: str, absent: frozenset[str]) -> Identity:
    entries = node.mapping(("namespace", "name", "from", "pattern", "is"))
    if "is" in entries:
        if kind != HOST or len(entries) > 1:
            node.problem('"is" gives a Host a fixed name, and stands alone')
        return Identity(HOST, entries["is"].text())
    namespace = _template(entries["namespace"]) if "namespace" in entries else ""
    if "pattern" in entries or "from" in entries:
        for key in ("from", "pattern"):
            if key not in entries:
                node.problem(f'"from" and "pattern" go together; "{key}" is missing')
        if "name" in entries:
            entries["name"].problem('the pattern\'s group "name" gives the name')
        pattern = entries["pattern"].read(_naming_expression, None) if "pattern" in entries else None
        if kind not in _CLUSTER_SCOPED and not namespace and pattern and "namespace" not in pattern.groupindex:
            node.problem(f'a {kind} is in a namespace: give the pattern a group "namespace", or a "namespace" beside it')
        origin = _matched(entries["from"], _LABEL, "label") if "from" in entries else ""
        return Identity(kind, "", namespace, origin, pattern, absent)
    if "name" not in entries:
        node.problem('"name" is missing: which label holds the name')
        return Identity(kind, "", namespace, absent=absent)
    if kind not in _CLUSTER_SCOPED and not namespace:
        node.problem(f'"namespace" is missing: a {kind} is in a namespace')
    return Identity(kind, _template(entries["name"]), namespace, absent=absent)


def _template(node: Node) -> str:
    """A bare label name, or text with labels in braces."""
    text = node.text()
    if _LABEL.fullmatch(text):
        return f"{{{text}}}"
    if not _TEMPLATE.fullmatch(text) or "{" not in text:
        node.problem(f'"{text}" is neither a label name nor a template such as "{{deployment}}-{{pod_template_hash}}"')
    return text


def _naming_expression(text: str) -> re.Pattern[str] | None:
    pattern = expression(text)
    if "name" not in pattern.groupindex or set(pattern.groupindex) - {"name", "namespace"}:
        raise ValueError(f'"{text}" needs a group (?P<name>…), may have (?P<namespace>…), and no other named group')
    return pattern


def _metric(node: Node) -> str:
    return _matched(node, _METRIC, "metric")


def _matched(node: Node, pattern: re.Pattern[str], what: str) -> str:
    text = node.text()
    if not pattern.fullmatch(text):
        node.problem(f'"{text}" is not a {what} name')
    return text
