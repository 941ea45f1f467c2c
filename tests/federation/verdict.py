"""Whether an answer is right: every row by the numbers of who is to be believed, and what is missing said to be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from tests.federation.facts import SOURCES, Numbers, Row, Source, Workload, edges_of, known
from tests.federation.rig import SCRAPE_INTERVAL, Reply

__all__ = ["Question", "Verdict", "edges", "everywhere", "judge", "one", "within"]

_INCOMPLETE = "metrics.smi-spec.io/incomplete"
_SOURCE = "metrics.smi-spec.io/source"
_SUFFIXES = {"u": Decimal("1e-6"), "m": Decimal("1e-3"), "k": Decimal(1000)}


@dataclass(frozen=True)
class Question:
    """A path, and for each row that belongs into its answer who knows it, the first to be believed first."""

    path: str
    rows: Mapping[Row, Mapping[str, Numbers]]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is wrong with an answer, in words, and whether it has everything and claims to."""

    complaints: tuple[str, ...]
    whole: bool


def everywhere(path: str = "/deployments") -> Question:
    """What Deployments of all namespaces received."""
    return _question(path, {source: known(source) for source in SOURCES})


def within(namespace: str) -> Question:
    """What Deployments of one namespace received."""
    return _question(f"/namespaces/{namespace}/deployments", {source: known(source, namespace) for source in SOURCES})


def one(workload: Workload) -> Question:
    """What one Deployment received."""
    row: Row = workload, "from", None
    told = {source: {row: rows[row]} for source in SOURCES if row in (rows := known(source))}
    return _question(f"/namespaces/{workload[0]}/deployments/{workload[1]}", told)


def edges(workload: Workload) -> Question:
    """Whom one Deployment calls, and who calls it."""
    told = {source: edges_of(source, workload) for source in SOURCES}
    return _question(f"/namespaces/{workload[0]}/deployments/{workload[1]}/edges", told)


def judge(question: Question, reply: Reply) -> Verdict:
    """Holds an answer against the facts."""
    if reply.status != 200:
        return Verdict(tuple(_no_answer(reply)), whole=False)
    items = reply.document.get("items", [reply.document])
    marked = bool(reply.warnings) and all(_INCOMPLETE in item["metadata"].get("annotations", {}) for item in items)
    complaints: list[str] = []
    if not reply.warnings and any(_INCOMPLETE in item["metadata"].get("annotations", {}) for item in items):
        complaints.append("rows are marked incomplete, and no warning says why")
    found: dict[Row, Mapping[str, Any]] = {}
    for item in items:
        row = _row(item)
        if row in found:
            complaints.append(f"{row} is there twice")
        found[row] = item
        complaints += _wrong(row, item, question.rows.get(row, {}), marked=marked)
    missing = question.rows.keys() - found.keys()
    if missing and not marked:
        complaints.append(f"{sorted(map(str, missing))} are missing without a word; warnings: {reply.warnings}")
    return Verdict(tuple(complaints), whole=not missing and not (items and marked))


def _question(path: str, told: Mapping[Source, Mapping[Row, Numbers]]) -> Question:
    rows: dict[Row, dict[str, Numbers]] = {}
    for source, its in told.items():
        for row, numbers in its.items():
            rows.setdefault(row, {})[source.name] = numbers
    return Question(path, rows)


def _no_answer(reply: Reply) -> Iterator[str]:
    """An error must be one that says to come back."""
    document = reply.document
    if reply.status not in (503, 504) or (document.get("kind"), document.get("code")) != ("Status", reply.status):
        yield f"HTTP {reply.status}: {document}"
    elif 'source "' not in document["message"]:
        yield f"no source is named: {document['message']}"


def _wrong(row: Row, item: Mapping[str, Any], told: Mapping[str, Numbers], *, marked: bool) -> Iterator[str]:
    """What is wrong with a row, of which ``told`` is what the sources know."""
    source = next((each for each in SOURCES if each.name == item["metadata"]["annotations"].get(_SOURCE)), None)
    if source is None or source.name not in told:
        yield f"{row} is of {source and source.name}, and only {list(told)} know it"
        return
    if source.name != next(iter(told)) and not marked:
        yield f"{row} is of {source.name}, and {next(iter(told))} comes before it"
    numbers, values = told[source.name], {each["name"]: each["value"] for each in item["metrics"]}
    window = Decimal(item["window"].removesuffix("s"))
    for name, rate in (("success_count", numbers.success), ("failure_count", numbers.failure)):
        truth, value = rate * window, _number(values[name])
        least, most = _bounds(source, window, marked=marked)
        if value is None or not truth * least <= value <= truth * most:
            yield f"{row}, {name} is {values[name]} and not {truth} ({source.name}, window {window}s, marked {marked})"
    for percent in (99, 90, 50):
        truth_or_none = numbers.percentile(percent) if percent in source.offers else None
        if _number(values[f"p{percent}_response_latency"]) != truth_or_none:
            yield f"{row}, p{percent} is {values[f'p{percent}_response_latency']} and not {truth_or_none} ({source.name})"


def _bounds(source: Source, window: Decimal, *, marked: bool) -> tuple[Decimal, Decimal]:
    """The parts of the truth between which a source must tell.

    Whoever scrapes does not know when within its timeout a page was written that took so long. What was not scraped is not counted, and
    noticed when two scrapes are overdue.
    """
    if not source.scrapes:
        return Decimal(1), Decimal(1)
    moment = Decimal(SCRAPE_INTERVAL) / window + source.slack
    return (Decimal(0) if marked else 1 - moment - 2 * Decimal(SCRAPE_INTERVAL) / window), 1 + moment


def _row(item: Mapping[str, Any]) -> Row:
    peer = item["edge"]["resource"]
    resource = item["resource"]
    towards = (peer["namespace"], peer["name"]) if peer else None
    return (resource["namespace"], resource["name"]), item["edge"]["direction"], towards


def _number(value: str | None) -> Decimal | None:
    """A Kubernetes quantity, as far as this API sends them."""
    if value is None:
        return None
    return Decimal(value[:-1]) * _SUFFIXES[value[-1]] if value[-1] in _SUFFIXES else Decimal(value)
