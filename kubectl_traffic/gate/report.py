"""The verdict told: a line for each check, or a document for machines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kubectl_traffic.gate.amounts import spaced
from kubectl_traffic.gate.check import Check, Observation, Outcome
from kubectl_traffic.gate.verdict import Tally, requests_seen, together
from kubectl_traffic.sheet import clean
from metrics_api.numbers import number_row

__all__ = ["CODES", "NOT_JUDGED", "Report", "progress"]

CODES = {Outcome.HELD: 0, Outcome.BROKEN: 1, Outcome.NO_DATA: 2}
"""The exit codes of verdicts."""

NOT_JUDGED = 3
"""The exit code where there is no verdict: the command line, access, no such object, no server."""

_WORST_FIRST = {Outcome.BROKEN: "\x1b[31m", Outcome.NO_DATA: "\x1b[33m", Outcome.HELD: "\x1b[32m"}
_PLAIN = "\x1b[0m"


@dataclass(frozen=True, slots=True)
class Report:
    """What came out of a gate. ``names`` are those of the subjects, ``planned`` the samples it was to take, of which it took ``taken``."""

    names: tuple[str, ...]
    tallies: tuple[Tally, ...]
    taken: tuple[Observation, ...]
    planned: int
    tolerated: int

    @property
    def verdict(self) -> Outcome:
        """That of all checks together."""
        return together(tally.verdict(self.tolerated) for tally in self.tallies)

    def lines(self, *, colour: bool = False) -> list[str]:
        """A line for each check: its verdict, the worst that was measured beside its limit, and how many samples say so."""
        width = max(len(self._name(tally.check)) for tally in self.tallies)
        measured = [self._measured(tally) for tally in self.tallies]
        widest = max(map(len, measured))
        lines = []
        for tally, text in zip(self.tallies, measured, strict=True):
            verdict = tally.verdict(self.tolerated)
            word = f"{verdict.value:<7}"
            word = f"{_WORST_FIRST[verdict]}{word}{_PLAIN}" if colour else word
            lines.append(f"{word}  {self._name(tally.check):<{width}}  {text:<{widest}}  ({self._counted(tally)})")
        return lines

    def document(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """All of it, with plain numbers; ``asked`` is what was asked for. None is unknown."""
        return {
            "verdict": self.verdict.value,
            "exitCode": CODES[self.verdict],
            "resources": list(self.names),
            **asked,
            "tolerate": self.tolerated,
            "planned": self.planned,
            "checks": [self._check(tally) for tally in self.tallies],
            "samples": [
                {
                    "missing": observation.missing,
                    "warnings": list(observation.warnings),
                    "rows": [number_row(row) for row in observation.rows],
                }
                for observation in self.taken
            ],
        }

    def _check(self, tally: Tally) -> dict[str, Any]:
        check = tally.check
        return {
            "check": check.name,
            "resources": [self.names[index] for index in check.rows],
            "verdict": tally.verdict(self.tolerated).value,
            "operator": ">=" if check.least else "<=",
            "limit": float(check.limit),
            "worst": None if tally.worst is None else float(tally.worst),
            "unit": check.unit,
            "held": tally.count(Outcome.HELD),
            "broken": tally.count(Outcome.BROKEN),
            "noData": tally.count(Outcome.NO_DATA),
            "reasons": list(tally.reasons),
        }

    def _name(self, check: Check) -> str:
        """The check, and of two workloads the one that it is of: a comparison is of the candidate."""
        return check.name if len(self.names) == 1 else f"{self.names[check.rows[-1]]} {check.name}"

    @staticmethod
    def _measured(tally: Tally) -> str:
        check, worst = tally.check, tally.worst
        limit = check.show(check.limit, check.limit, up=False)
        if worst is None:
            return f"- {'>=' if check.least else '<='} {limit}"
        stands = (">=" if check.holds(worst) else "<") if check.least else ("<=" if check.holds(worst) else ">")
        return f"{check.show(worst, check.limit, up=not check.least)} {stands} {limit}"

    def _counted(self, tally: Tally) -> str:
        held, broken, missing = (tally.count(outcome) for outcome in (Outcome.HELD, Outcome.BROKEN, Outcome.NO_DATA))
        taken = len(tally.findings)
        if taken == 1:
            parts = ["1 sample"]
        elif tally.verdict(self.tolerated) is Outcome.BROKEN:
            parts = [f"{broken} of {taken} samples broke", *([f"{missing} without data"] if missing else [])]
        elif held == taken:
            parts = [f"{held} of {taken} samples"]
        else:
            counted = ((broken, "broke"), (missing, "without data"))
            parts = [f"{held} of {taken} samples held", *(f"{number} {what}" for number, what in counted if number)]
        if taken < self.planned:
            parts.append(f"{self.planned - taken} more not waited for")
        requests = [requests_seen(self.taken, index) for index in tally.check.rows]
        if any(requests):
            seen = " and ".join(map(spaced, requests))
            parts.append(f"{seen} {'request' if seen == '1' else 'requests'}")
        return clean(", ".join(parts) + (f": {'; '.join(tally.reasons)}" if tally.reasons else ""))


def progress(tallies: Sequence[Tally], number: int, planned: int) -> str:
    """What the newest observation says, in a line."""
    newest = [tally.findings[-1] for tally in tallies]
    verdict = together(finding.outcome for finding in newest)
    reasons = dict.fromkeys(finding.reason for finding in newest if finding.reason)
    return clean(f"sample {number} of {planned}: {verdict.value}" + (f" ({'; '.join(reasons)})" if reasons else ""))
