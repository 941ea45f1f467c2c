"""Verdicts: what all observations together say of a check, and all checks of the gate. The order of observations plays no part."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from kubectl_traffic.gate.check import Check, Enough, Finding, Observation, Outcome, find

__all__ = ["Tally", "decide", "requests_seen", "tallies", "together"]


@dataclass(frozen=True, slots=True)
class Tally:
    """A check, and what each observation so far says of it."""

    check: Check
    findings: tuple[Finding, ...]

    def count(self, outcome: Outcome) -> int:
        """How many observations say so."""
        return sum(finding.outcome is outcome for finding in self.findings)

    def verdict(self, tolerated: int) -> Outcome:
        """What they say together, see :func:`decide`."""
        return decide(self.count(Outcome.HELD), self.count(Outcome.BROKEN), self.count(Outcome.NO_DATA), tolerated)

    @property
    def worst(self) -> Fraction | None:
        """The worst value measured; of those that were judged, if any was."""
        judged = [
            finding.value for finding in self.findings if finding.value is not None and finding.outcome is not Outcome.NO_DATA
        ]
        known = [finding.value for finding in self.findings if finding.value is not None]
        return self.check.worst(judged or known)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why there was no data, each reason once, the most frequent first."""
        counted = Counter(finding.reason for finding in self.findings if finding.outcome is Outcome.NO_DATA)
        return tuple(sorted(counted, key=lambda reason: (-counted[reason], reason)))


def decide(held: int, broken: int, missing: int, tolerated: int = 0) -> Outcome:
    """The verdict over so many observations that held, broke, or had no data, of which ``tolerated`` may be other than held.

    More than so many that broke: broken. As few as that which did not hold, and at least one that did: held. Everything else is no data,
    above all when there was none.
    """
    if broken > tolerated:
        return Outcome.BROKEN
    if held and broken + missing <= tolerated:
        return Outcome.HELD
    return Outcome.NO_DATA


def together(verdicts: Iterable[Outcome]) -> Outcome:
    """The verdict of a gate: broken by one broken check, held when all are held."""
    seen = set(verdicts)
    if Outcome.BROKEN in seen:
        return Outcome.BROKEN
    return Outcome.HELD if seen == {Outcome.HELD} else Outcome.NO_DATA


def tallies(checks: Iterable[Check], enough: Enough, observations: Sequence[Observation]) -> tuple[Tally, ...]:
    """What the observations say of each check."""
    return tuple(Tally(check, tuple(find(check, enough, observation) for observation in observations)) for check in checks)


def requests_seen(observations: Iterable[Observation], index: int) -> Fraction:
    """The requests of the row ``index`` in all windows observed, each counted once.

    Of windows that overlap the later ones are left out, so it may be fewer than there were.
    """
    known = [observation.rows[index] for observation in observations if observation.rows]
    seen, until = Fraction(0), float("-inf")
    for row in sorted(known, key=lambda row: row.instant):
        if row.success is not None and row.failure is not None and row.instant - row.window.seconds >= until:
            seen += Fraction(row.success + row.failure, 1000)
            until = row.instant
    return seen
