"""The doctor: what was found when the cluster and the sources were examined, told on one screen, or as JSON."""

from __future__ import annotations

import json
import shutil
import textwrap
from collections.abc import Iterator, Sequence

from apiservice.sources.examination import Examined
from metrics_api import Merge, Source, Window, format_duration
from metrics_api.diagnosis import Ability, Diagnosis, Finding, Level

__all__ = ["FORMS", "render"]

FORMS = ("text", "json")
"""What can be printed."""

_NARROWEST, _WIDEST = 80, 132
_ORDER = (Level.PROBLEM, Level.WARNING, Level.OK)
_NOTHING = "-"


def render(
    examined: Sequence[Examined],
    window: Window,
    form: str,
    width: int = 0,
    *,
    cluster: Diagnosis | None = None,
    remark: str = "",
) -> str:
    """What was found, in one of :data:`FORMS`; text for ``width`` columns, those of the terminal by default.

    ``cluster`` is what was found in the cluster, None where none was looked at; ``remark`` is a sentence about that.
    """
    if form == "json":
        return json.dumps(_document(examined, cluster, window), indent=2)
    columns = width or shutil.get_terminal_size((_WIDEST, 0)).columns
    return "\n".join(_lines(examined, cluster, remark, window, min(max(columns, _NARROWEST), _WIDEST)))


def _document(examined: Sequence[Examined], cluster: Diagnosis | None, window: Window) -> dict[str, object]:
    diagnoses = _all(examined, cluster)
    return {
        "ok": not _number(diagnoses, Level.PROBLEM),
        "window": str(window),
        "problems": _number(diagnoses, Level.PROBLEM),
        "warnings": _number(diagnoses, Level.WARNING),
        "cluster": None if cluster is None else _cluster(cluster),
        "sources": [_entry(each) for each in examined],
    }


def _cluster(diagnosis: Diagnosis) -> dict[str, object]:
    return {
        "level": diagnosis.level.value,
        "summary": diagnosis.summary,
        "facts": dict(diagnosis.facts),
        "findings": _findings(diagnosis),
    }


def _findings(diagnosis: Diagnosis) -> list[dict[str, str]]:
    return [
        {"level": finding.level.value, "check": finding.check, "what": finding.what, "advice": finding.advice}
        for finding in _sorted(diagnosis.findings)
    ]


def _entry(examined: Examined) -> dict[str, object]:
    source, diagnosis = examined.source, examined.diagnosis
    percentiles = source.offer.percentiles
    return {
        "name": source.name,
        "type": source.type,
        "level": diagnosis.level.value,
        "summary": diagnosis.summary,
        "covers": {"cluster": source.terms.cluster, "namespaces": list(source.terms.namespaces)},
        "merge": source.terms.merge.value,
        "hedgeAfterSeconds": source.terms.hedge_after,
        "percentiles": None if percentiles is None else [round(100 * quantile, 3) for quantile in percentiles],
        "delaySeconds": source.offer.delay,
        "facts": dict(diagnosis.facts),
        "meshes": [
            {"name": mesh.name, "dialect": mesh.dialect, "versions": list(mesh.versions), "versionOf": mesh.of}
            for mesh in diagnosis.meshes
        ],
        "answers": [
            {"dialect": able.dialect, "resources": able.resources, "told": list(able.told), "lost": list(able.lost)}
            for able in diagnosis.abilities
        ],
        "findings": _findings(diagnosis),
    }


def _lines(examined: Sequence[Examined], cluster: Diagnosis | None, remark: str, window: Window, width: int) -> Iterator[str]:
    if cluster is not None:
        yield from _wrapped("cluster: ", cluster.summary, width)
        yield from _told(cluster, width)
    for each in examined:
        yield from _wrapped(f"{each.source.name}: ", each.diagnosis.summary, width)
        for text in _about(each):
            yield from _wrapped("  ", text, width)
        for line in _table(each.diagnosis.abilities):
            yield f"  {line}"
        yield from _told(each.diagnosis, width)
    if remark:
        yield from _wrapped("", remark, width)
    verdict = _verdict(_all(examined, cluster))
    yield f"{verdict}, for a window of {window}" if examined else verdict


def _told(diagnosis: Diagnosis, width: int) -> Iterator[str]:
    """The findings, the worst first, and an empty line."""
    for finding in _sorted(diagnosis.findings):
        yield from _wrapped(f"  {finding.level.value:<8} ", finding.what, width)
        if finding.advice:
            yield from _wrapped(f"  {'':<8} -> ", finding.advice, width)
    yield ""


def _about(examined: Examined) -> Iterator[str]:
    """What is not the same for all sources: the versions of its meshes, what it covers, and what its numbers are like."""
    versions = [str(mesh) for mesh in examined.diagnosis.meshes if mesh.versions]
    if versions:
        yield ", ".join(dict.fromkeys(versions))
    if told := "; ".join((*_terms(examined.source), *_offer(examined.source))):
        yield told


def _terms(source: Source) -> Iterator[str]:
    terms = source.terms
    covered = [f"cluster {terms.cluster}"] if terms.cluster else []
    covered += [f"namespaces {', '.join(terms.namespaces)}"] if terms.namespaces else []
    if covered:
        yield f"covers {', '.join(covered)}"
    if terms.merge is not Merge.FIRST:
        yield f"merge: {terms.merge.value}"
    if terms.hedge_after:
        yield f"asked a second time after {terms.hedge_after:g}s"


def _offer(source: Source) -> Iterator[str]:
    offer = source.offer
    if offer.percentiles is not None:
        yield f"percentiles {', '.join(f'{100 * quantile:g}' for quantile in offer.percentiles) or 'none'}"
    if offer.delay:
        yield f"numbers are {format_duration(offer.delay)} old"


def _verdict(diagnoses: Sequence[Diagnosis]) -> str:
    counts = [(level.value, _number(diagnoses, level)) for level in (Level.PROBLEM, Level.WARNING)]
    told = [f"{count} {word}{'' if count == 1 else 's'}" for word, count in counts if count]
    return " and ".join(told) or "all is well"


def _table(abilities: Sequence[Ability]) -> Iterator[str]:
    """Who is told what: a column for each dialect, and a line for resources of which all dialects tell the same."""
    dialects = list(dict.fromkeys(able.dialect for able in abilities))
    cells = {(able.resources, able.dialect): _cell(able) for able in abilities}
    alike: dict[tuple[str, ...], list[str]] = {}
    for resources in dict.fromkeys(able.resources for able in abilities):
        alike.setdefault(tuple(cells.get((resources, dialect), _NOTHING) for dialect in dialects), []).append(resources)
    head = [("", *dialects)] if len(dialects) > 1 else []
    rows = [*head, *((", ".join(resources), *row) for row, resources in alike.items())]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(f"{text:<{size}}" for text, size in zip(row, widths, strict=True)).rstrip()


def _cell(able: Ability) -> str:
    told = ", ".join(able.told) or _NOTHING
    return f"{told} (not {', '.join(able.lost)})" if able.lost else told


def _wrapped(head: str, text: str, width: int) -> list[str]:
    shown = "".join(character if character.isprintable() else "?" for character in text)
    return textwrap.wrap(
        shown, width, initial_indent=head, subsequent_indent=" " * len(head), break_long_words=False, break_on_hyphens=False
    ) or [head.rstrip()]


def _sorted(findings: Sequence[Finding]) -> list[Finding]:
    return sorted(findings, key=lambda finding: _ORDER.index(finding.level))


def _all(examined: Sequence[Examined], cluster: Diagnosis | None) -> list[Diagnosis]:
    return [*([cluster] if cluster is not None else []), *(each.diagnosis for each in examined)]


def _number(diagnoses: Sequence[Diagnosis], level: Level) -> int:
    return sum(finding.level is level for each in diagnoses for finding in each.findings)
