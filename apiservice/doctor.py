"""The doctor: every source is examined at the same time, and what was found is told on one screen, or as JSON."""

from __future__ import annotations

import asyncio
import json
import logging
import shutil
import textwrap
from collections.abc import Iterator, Sequence

from metrics_api import Backend, Window
from metrics_api.diagnosis import Ability, Diagnosable, Diagnosis, Finding, Level

__all__ = ["FORMS", "examine", "render"]

logger = logging.getLogger(__name__)

FORMS = ("text", "json")
"""What can be printed."""

_DEADLINE = 15.0
"""Seconds for all sources together. Each has a deadline of its own, which it is expected to keep."""

_NARROWEST, _WIDEST = 80, 132
_ORDER = (Level.PROBLEM, Level.WARNING, Level.OK)
_NOTHING = "-"


async def examine(backends: Sequence[Backend], window: Window) -> list[Diagnosis]:
    """The diagnoses of all sources, in their order, for questions about ``window``."""
    return list(await asyncio.gather(*(_examined(backend, window) for backend in backends)))


async def _examined(backend: Backend, window: Window) -> Diagnosis:
    if not isinstance(backend, Diagnosable):
        return Diagnosis(backend.name, "a source that cannot be examined")
    try:
        async with asyncio.timeout(_DEADLINE):
            return await backend.diagnose(window)
    except TimeoutError:
        what = f"it could not be examined within {_DEADLINE:g}s"
    except Exception as error:
        # Somebody who looks for what is wrong is not helped by a traceback; the log has it, at -v 1.
        logger.warning("source %s cannot be examined", backend.name, exc_info=error)
        what = f"its examination failed ({type(error).__name__})"
    return Diagnosis(backend.name, findings=(Finding(Level.PROBLEM, backend.name, "reach", what, "-v 1 tells more"),))


def render(diagnoses: Sequence[Diagnosis], window: Window, form: str, width: int = 0) -> str:
    """The diagnoses in one of :data:`FORMS`; text for ``width`` columns, those of the terminal by default."""
    if form == "json":
        return json.dumps(_document(diagnoses, window), indent=2)
    columns = width or shutil.get_terminal_size((_WIDEST, 0)).columns
    return "\n".join(_lines(diagnoses, window, min(max(columns, _NARROWEST), _WIDEST)))


def _document(diagnoses: Sequence[Diagnosis], window: Window) -> dict[str, object]:
    return {
        "ok": not _number(diagnoses, Level.PROBLEM),
        "window": str(window),
        "problems": _number(diagnoses, Level.PROBLEM),
        "warnings": _number(diagnoses, Level.WARNING),
        "sources": [
            {
                "name": diagnosis.source,
                "level": diagnosis.level.value,
                "summary": diagnosis.summary,
                "facts": dict(diagnosis.facts),
                "answers": [
                    {"dialect": able.dialect, "resources": able.resources, "told": list(able.told), "lost": list(able.lost)}
                    for able in diagnosis.abilities
                ],
                "findings": [
                    {"level": finding.level.value, "check": finding.check, "what": finding.what, "advice": finding.advice}
                    for finding in _sorted(diagnosis.findings)
                ],
            }
            for diagnosis in diagnoses
        ],
    }


def _lines(diagnoses: Sequence[Diagnosis], window: Window, width: int) -> Iterator[str]:
    for diagnosis in diagnoses:
        yield from _wrapped(f"{diagnosis.source}: ", diagnosis.summary, width)
        for line in _table(diagnosis.abilities):
            yield f"  {line}"
        for finding in _sorted(diagnosis.findings):
            yield from _wrapped(f"  {finding.level.value:<8} ", finding.what, width)
            if finding.advice:
                yield from _wrapped(f"  {'':<8} -> ", finding.advice, width)
        yield ""
    yield _verdict(diagnoses, window)


def _verdict(diagnoses: Sequence[Diagnosis], window: Window) -> str:
    counts = [(level.value, _number(diagnoses, level)) for level in (Level.PROBLEM, Level.WARNING)]
    told = [f"{count} {word}{'' if count == 1 else 's'}" for word, count in counts if count]
    return f"{' and '.join(told) or 'all is well'}, for a window of {window}"


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


def _number(diagnoses: Sequence[Diagnosis], level: Level) -> int:
    return sum(finding.level is level for diagnosis in diagnoses for finding in diagnosis.findings)
