"""A dialect: how one mesh writes down its traffic, as data.

A dialect is a list of views. A view is one family of series seen from one place: which counter and which histogram, which of their series
count, who observed, how an outcome is told, and how labels name the two ends of a request. Every question is answered out of these;
no code knows a mesh by name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from backends.dialects.identity import Identity
from backends.dialects.matcher import Matcher
from metrics_api import Side

__all__ = ["Correction", "Dialect", "Observer", "Outcome", "OutcomeRule", "View"]


class Outcome(StrEnum):
    """What became of a request; ``ignore`` is for series that do not count requests at all."""

    SUCCESS = "success"
    FAILURE = "failure"
    IGNORE = "ignore"


@dataclass(frozen=True, slots=True)
class OutcomeRule:
    """If every label matches its expression (whole value), the requests of the series had this outcome."""

    outcome: Outcome
    when: tuple[tuple[str, re.Pattern[str]], ...] = ()


@dataclass(frozen=True, slots=True)
class Correction:
    """Counters of requests that ``View.requests`` counted as successes, but which failed (gRPC failures answered with HTTP 200).

    ``overlap``: it may have counted some of them as failures (a proxy that finds no server answers 503 and UNAVAILABLE at once), so only
    those beyond the failures known are failures more.
    """

    metrics: tuple[str, ...]
    overlap: bool = False


@dataclass(frozen=True, slots=True)
class Observer:
    """Who observed: a fixed side, or the value of a label that tells.

    ``sides`` maps values of ``label`` to sides, the most trusted first; with an empty ``label`` its one entry is the fixed side.
    """

    sides: tuple[tuple[str, Side], ...]
    label: str = ""


@dataclass(frozen=True, slots=True)
class View:
    """One family of series seen from one place.

    ``unit`` is the factor from the histogram's unit to seconds. ``source`` and ``destination`` list identities in order of
    preference; an empty list says that this view cannot tell that end.
    """

    name: str
    observer: Observer
    match: tuple[Matcher, ...]
    requests: str
    outcomes: tuple[OutcomeRule, ...]
    latency: str
    unit: float
    source: tuple[Identity, ...]
    destination: tuple[Identity, ...]
    corrections: tuple[Correction, ...] = ()

    @property
    def outcome_labels(self) -> tuple[str, ...]:
        """The labels that tell outcomes apart."""
        return tuple(dict.fromkeys(label for rule in self.outcomes for label, _ in rule.when))

    def classifier(self, by: Sequence[str]) -> Callable[[Sequence[str]], Outcome]:
        """A function from the values of the labels ``by`` to the outcome; series no rule speaks of are ignored."""
        rules = [(rule.outcome, [(by.index(label), pattern.fullmatch) for label, pattern in rule.when]) for rule in self.outcomes]
        known: dict[tuple[str, ...], Outcome] = {}
        positions = [by.index(label) for label in self.outcome_labels]

        def classify(values: Sequence[str]) -> Outcome:
            key = tuple(values[position] for position in positions)
            outcome = known.get(key)
            if outcome is None:
                outcome = next((outcome for outcome, tests in rules if all(test(values[at]) for at, test in tests)), Outcome.IGNORE)
                known[key] = outcome
            return outcome

        return classify


@dataclass(frozen=True, slots=True)
class Dialect:
    """The views of one mesh, best first, and what it cannot answer.

    ``reasons`` tells, for a kind (``Node``) or for ``edges``, why this mesh cannot answer.
    """

    name: str
    description: str
    views: tuple[View, ...]
    reasons: Mapping[str, str] = field(default_factory=dict)
