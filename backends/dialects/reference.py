"""What a dialect reads, needs, answers and cannot answer, as pages for people: worked out from its file, so that it is what happens."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from backends.dialects.codes import FAILING_GRPC, GRPC_STATUSES
from backends.dialects.dialect import (
    CodeForm,
    CodeLabel,
    Correction,
    Dialect,
    GrpcCounters,
    OutcomeRule,
    Sign,
    Temporality,
    Trap,
    View,
)
from backends.dialects.ends import KINDS
from backends.dialects.identity import Identity
from backends.dialects.matcher import Matcher
from backends.dialects.names import spelt
from backends.dialects.plan import plan, refusal
from backends.dialects.renaming import labels_of
from metrics_api import ANY_WORKLOAD, RESOURCE_TYPES, SPLIT_KINDS, WORKLOAD_KINDS, Direction, TrafficQuery, Window

__all__ = ["ROWS", "can_answer", "reference", "support_table"]

ROWS = {
    "workloads": "Deployment",
    "pods": "Pod",
    "namespaces": "Namespace",
    "services": "Service",
    "nodes": "Node",
}
"""The columns of the support table, and the kind that each is about; Deployments stand for all workloads."""

_WORKED_OUT = frozenset({"CronJob", *SPLIT_KINDS})
"""Kinds that hardly a mesh names: the server adds them up from pods, or from Services."""

_HEAD = """\
# Dialect reference

Written by `scripts/dialect-reference` out of the files in [`backends/dialects/files/`](../backends/dialects/files/): change those, and
run it again. What the words mean is told in [dialects.md](dialects.md), how to change a dialect in place in
[configuration.md](configuration.md#overrides).

`received` is the traffic a resource received in total, `to` its edges to callees, `from` its edges from callers. Each cell names the
side that observes; with two of them the second gives the rows that the first does not have. It is about what the series themselves
name: in a cluster, the server adds up from pods whatever else is asked for ([ownership.md](ownership.md)).
"""

_WAYS: tuple[tuple[str, Direction | None], ...] = (("received", None), ("to", Direction.TO), ("from", Direction.FROM))
_UNITS = {1.0: "seconds", 0.001: "milliseconds", 0.000001: "microseconds"}
_FORMS = {CodeForm.CODE: "503", CodeForm.CLASS: "5", CodeForm.XX: "5xx", CodeForm.NUMBER: "14", CodeForm.WORD: "UNAVAILABLE"}
_KIND_NAMES = {kind: word for word, kind in KINDS.items()}


def can_answer(dialect: Dialect, kind: str, direction: Direction | None = None) -> bool:
    """Whether it tells what objects of ``kind`` received (no direction), or their edges in a direction."""
    return refusal(dialect, _query(kind, direction)) is None


def support_table(dialects: Sequence[Dialect]) -> str:
    """One row for each dialect: what it tells about which kinds."""
    lines = ["| | " + " | ".join(ROWS) + " |", "| --- |" + " --- |" * len(ROWS)]
    for dialect in dialects:
        cells = (
            ", ".join(word for word, direction in _WAYS if can_answer(dialect, kind, direction)) or "-" for kind in ROWS.values()
        )
        lines.append(f"| {dialect.name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def reference(dialects: Sequence[Dialect]) -> str:
    """The page: a section for each dialect."""
    contents = " · ".join(f"[{dialect.name}](#{dialect.name})" for dialect in dialects)
    return "\n".join([_HEAD, contents, "", *(line for dialect in dialects for line in _section(dialect))])


def _section(dialect: Dialect) -> Iterator[str]:
    yield from (f"## {dialect.name}", "", dialect.description, "")
    if dialect.signs:
        last = ", after all others" if dialect.fallback else ""
        yield f"`dialect: auto` takes it{last} where a store has {' or '.join(_code(_selector(sign)) for sign in dialect.signs)}."
        yield ""
    if dialect.version is not None:
        whose = f" of {dialect.version.of}" if dialect.version.of else ""
        told = f"{_code(dialect.version.label)} of {_code(_selector(dialect.version.sign))}"
        yield from (f"The version{whose} is told by {told}, if that is kept.", "")
    yield from _answers(dialect)
    yield from ("### Series", "")
    for view in dialect.views:
        yield from _view(view)
    yield from _labels(dialect)
    yield from _changes(dialect)
    yield from _list("Limits", dialect.limits)
    yield from _list("Signs of trouble", [f"{_sign_of(trap)}: {trap.text}" for trap in dialect.traps])


def _sign_of(trap: Trap) -> str:
    without = f" without {_code(_selector(trap.absent))}" if trap.absent is not None else ""
    return _code(_selector(trap.sign)) + without


def _list(title: str, sentences: Sequence[str]) -> Iterator[str]:
    if sentences:
        yield from (f"### {title}", "", *(f"* {sentence}" for sentence in sentences), "")


def _answers(dialect: Dialect) -> Iterator[str]:
    """What is answered, by kind and way, kinds of which the same is true in one row; then what is not, with the reason."""
    rows: dict[tuple[str, ...], list[str]] = {}
    reasons: dict[str, list[str]] = {}
    for row in RESOURCE_TYPES:
        if row.kind in _WORKED_OUT and not any(can_answer(dialect, row.kind, direction) for _, direction in _WAYS):
            continue
        cells = tuple(_sides(dialect, _query(row.kind, direction)) for _, direction in _WAYS)
        rows.setdefault(cells, []).append(row.kind)
        for word, direction in _WAYS:
            if not can_answer(dialect, row.kind, direction):
                reasons.setdefault(_reason(dialect, row.kind, direction), []).append(f"{row.kind} {word}")
    yield from ("### Answers", "", "| kinds | received | to | from |", "| --- | --- | --- | --- |")
    for cells, kinds in rows.items():
        yield f"| {', '.join(kinds)} | {' | '.join(cells)} |"
    yield ""
    if reasons:
        yield from ("What it cannot answer, and why:", "")
        yield from (f"* {_refused(asked)}: {reason}" for reason, asked in reasons.items())
        yield ""


def _reason(dialect: Dialect, kind: str, direction: Direction | None) -> str:
    """The reason the file gives, for the kind first; none is given where it goes without saying."""
    edges = dialect.reasons.get("edges", "") if direction is not None else ""
    return dialect.reasons.get(kind, "") or edges or "there are no series that tell it"


def _refused(asked: Iterable[str]) -> str:
    """``["Pod to", "Pod from", "Node to", "Node from", "Job to"]`` as ``Pod, Node (to, from); Job (to)``."""
    ways: dict[str, list[str]] = {}
    for item in asked:
        kind, word = item.split()
        ways.setdefault(kind, []).append(word)
    kinds: dict[tuple[str, ...], list[str]] = {}
    for kind, words in ways.items():
        kinds.setdefault(tuple(words), []).append(kind)
    return "; ".join(
        ", ".join(named) + ("" if len(words) == len(_WAYS) else f" ({', '.join(words)})") for words, named in kinds.items()
    )


def _query(kind: str, direction: Direction | None) -> TrafficQuery:
    return TrafficQuery(kinds=(kind,), window=Window(30), instant=0, edges=direction is not None, direction=direction)


def _sides(dialect: Dialect, query: TrafficQuery) -> str:
    """The sides that observe, the most trusted first."""
    stages = plan(dialect, query)
    counted = [
        sorted((trust, side.value) for part in stage if part.view.requests for _, side, trust in part.sides) for stage in stages
    ]
    sides = list(dict.fromkeys(side for stage in counted for _, side in stage))
    if not sides and stages:
        return "connections only"
    return ", else ".join(sides) or "-"


def _view(view: View) -> Iterator[str]:
    yield from (f"**{view.name}**, observed at {_observer(view)}.", "")
    if view.match:
        yield f"* series with {_code(_matchers(view.match))}"
    if view.connections:
        yield f"* connections: {_codes(view.connections)}"
    else:
        yield f"* requests: {'the observations of ' if view.observations else ''}{_codes(view.requests)}"
        yield f"* outcome: {'; '.join(_rule(rule) for rule in view.outcomes)}"
        yield from (f"* of the successes, failures after all: {_correction(item)}" for item in view.corrections)
        told = [f"{_code(latency.metric)} ({_UNITS.get(latency.unit, str(latency.unit))})" for latency in view.latencies]
        yield f"* latency: {', '.join(told) or 'none'}"
    if view.temporality is Temporality.DELTA:
        yield "* samples are deltas, which are added up"
    yield from (f"* {word}: {_kinds(end)}" for word, end in (("caller", view.source), ("callee", view.destination)) if end)
    yield ""


def _observer(view: View) -> str:
    observer = view.observer
    if not observer.label:
        return f"the {observer.sides[0][1].value}"
    values = (
        f"{_code(value)} the {side.value}{', not by every caller' if value in observer.partial else ''}"
        for value, side in observer.sides
    )
    return f"the side that {_code(observer.label)} tells: {'; '.join(values)}"


def _rule(rule: OutcomeRule) -> str:
    if not rule.when:
        return f"{rule.outcome.value} otherwise"
    return f"{rule.outcome.value} where {_code(', '.join(f'{spelt(label)}=~{_text(pattern.pattern)}' for label, pattern in rule.when))}"


def _correction(correction: Correction) -> str:
    return _codes(correction.metrics) + (" as far as they are more than the failures known" if correction.overlap else "")


def _kinds(identities: Iterable[Identity]) -> str:
    kinds: dict[str, dict[str, None]] = {}
    for identity in identities:
        kinds.setdefault(_KIND_NAMES.get(identity.kind, identity.kind), {}).update(dict.fromkeys(identity.labels))
    return "; ".join(f"{kind} by {_codes(labels)}" if labels else f"{kind}, unnamed" for kind, labels in kinds.items())


def _labels(dialect: Dialect) -> Iterator[str]:
    """Each label, what it is for, and who adds it where the mesh does not write it itself."""
    yield from ("### Labels", "", "| label | for | added by |", "| --- | --- | --- |")
    for label in labels_of(dialect):
        yield f"| `{label}` | {', '.join(_uses(dialect, label))} | {_cell(_adder(dialect, label))} |"
    yield from ("", "Labels of which nothing is said are the mesh's own, unless something is said of several at once.", "")


def _adder(dialect: Dialect, label: str) -> str:
    """Who adds a label. Where the file speaks of the namespace of a workload alone, its name comes from there too."""
    if label in dialect.origins:
        return dialect.origins[label]
    ends = (identity for view in dialect.views for identity in (*view.source, *view.destination))
    named = [identity for identity in ends if identity.kind in WORKLOAD_KINDS and identity.name == f"{{{label}}}"]
    spaces = dict.fromkeys(other for identity in named for other in identity.labels if other in dialect.origins and other != label)
    return f"whoever adds {_code(next(iter(spaces)))}" if spaces else ""


def _uses(dialect: Dialect, label: str) -> Iterator[str]:
    views = dialect.views
    ends = (
        ("caller", [item for view in views for item in view.source]),
        ("callee", [item for view in views for item in view.destination]),
    )
    for word, identities in ends:
        kinds = dict.fromkeys(_KIND_NAMES.get(item.kind, item.kind) for item in identities if label in item.labels)
        whole = [kind for kind in kinds if kind not in WORKLOAD_KINDS or kind == ANY_WORKLOAD]
        named = ["workloads", *whole] if len(kinds) - len(whole) > 2 else list(kinds)
        if named:
            yield f"the {word} ({', '.join(named)})"
    if any(view.observer.label == label for view in views):
        yield "the side"
    codes = [code.label for view in views for code in (view.codes.http, view.codes.grpc) if isinstance(code, CodeLabel)]
    if label in codes or any(label in view.outcome_labels for view in views):
        yield "the outcome"
    if any(view.route == label for view in views):
        yield "the route"
    if any(matcher.label == label for view in views for matcher in view.match):
        yield "choosing series"
    elif any(matcher.label == label for sign in dialect.signs for matcher in sign.matchers):
        yield "recognising the dialect"


def _changes(dialect: Dialect) -> Iterator[str]:
    """What overrides can change beside the names of labels."""
    http = dict.fromkeys(_told(view.codes.http) for view in dialect.views if view.codes.http is not None)
    grpc = dict.fromkeys(_told(view.codes.grpc) for view in dialect.views if view.codes.grpc is not None)
    routes = dict.fromkeys(view.route for view in dialect.views if view.route)
    yield from ("### Overrides", "")
    yield f"* HTTP codes that fail: {'; '.join(http) or 'cannot be chosen, the series tell none'}"
    yield f"* gRPC statuses that fail: {'; '.join(grpc) or 'cannot be chosen, the series tell none'}"
    yield f"* routes left out: {_codes(routes) if routes else 'by a label given as `routeLabel`, if the series have one'}"
    yield ""


def _told(code: CodeLabel | GrpcCounters) -> str:
    if isinstance(code, CodeLabel):
        return f"label {_code(code.label)}, as {_code(_FORMS[code.form])}"
    known = ", ".join(GRPC_STATUSES[status] for status in FAILING_GRPC)
    return f"counters {_code(code.template)}, unless something else is said those of {known}"


def _selector(sign: Sign) -> str:
    return f"{sign.metric}{{{_matchers(sign.matchers)}}}" if sign.matchers else sign.metric


def _matchers(matchers: Iterable[Matcher]) -> str:
    return ", ".join(f"{spelt(matcher.label)}{matcher.comparison.value}{_text(matcher.value)}" for matcher in matchers)


def _text(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _codes(words: Iterable[str]) -> str:
    return ", ".join(_code(word) for word in words)


def _code(text: str) -> str:
    return f"`{text}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
