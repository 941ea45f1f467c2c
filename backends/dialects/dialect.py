"""A dialect: how one mesh writes down its traffic, as data.

A dialect is a list of views. A view is one family of series seen from one place: which counter and which histogram, which of their series
count, who observed, how an outcome is told, and how labels name the two ends of a request. Every question is answered out of these;
no code knows a mesh by name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from backends.dialects.identity import Identity
from backends.dialects.matcher import Matcher
from metrics_api import Side

__all__ = [
    "CodeForm",
    "CodeLabel",
    "Codes",
    "Correction",
    "Dialect",
    "GrpcCounters",
    "Latency",
    "Observer",
    "Outcome",
    "OutcomeRule",
    "Sign",
    "Temporality",
    "Trap",
    "VersionSeries",
    "View",
]


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
    ``partial`` are values of observers that callers may pass by (a waypoint): what such an observer saw is not all there was.
    """

    sides: tuple[tuple[str, Side], ...]
    label: str = ""
    partial: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Latency:
    """A histogram by its name without ``_bucket``; ``unit`` is the factor from its unit to seconds."""

    metric: str
    unit: float


class Temporality(StrEnum):
    """What a sample of a counter or histogram is about: all since the series began, or what came since the sample before it.

    Source of the words: open-telemetry/opentelemetry-specification, specification/metrics/data-model.md, "Temporality".
    """

    CUMULATIVE = "cumulative"
    DELTA = "delta"


class CodeForm(StrEnum):
    """How a label writes codes.

    HTTP: ``503`` (``code``), ``5`` (``class``) or ``5xx`` (``xx``). gRPC: ``14`` (``number``) or ``UNAVAILABLE`` (``word``).
    """

    CODE = "code"
    CLASS = "class"
    XX = "xx"
    NUMBER = "number"
    WORD = "word"


@dataclass(frozen=True, slots=True)
class CodeLabel:
    """A label that holds the code of a response, and how it is written there."""

    label: str
    form: CodeForm


@dataclass(frozen=True, slots=True)
class GrpcCounters:
    """gRPC statuses told by a counter for each: ``template`` has ``{code}`` in the place of the number.

    Calls that ended with a status of ``overlap`` may have been counted as failures by their HTTP status already.
    """

    template: str
    overlap: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Codes:
    """Where a view tells the codes of responses, for those who want to say themselves which of them fail; None where it does not.

    Requests whose labels match all of ``failed`` (whole values) failed whatever their code is.
    """

    http: CodeLabel | None = None
    grpc: CodeLabel | GrpcCounters | None = None
    failed: tuple[tuple[str, re.Pattern[str]], ...] = ()


@dataclass(frozen=True, slots=True)
class View:
    """One family of series seen from one place.

    ``requests`` are counters of different requests, which are added. ``latencies`` are their histograms, none if there is no such thing.
    ``source`` and ``destination`` list identities in order of preference; an empty list says that this view cannot tell that end.

    A view with ``connections`` has no requests: its counters tell that there was traffic, and with whom, but not how many requests.
    ``route`` is the label that names the route of a request.

    ``native``: its histograms are kept in the native form alone, without ``_bucket``. ``observations``: ``requests`` are such histograms,
    and each of their observations is a request.
    """

    name: str
    observer: Observer
    match: tuple[Matcher, ...]
    requests: tuple[str, ...]
    outcomes: tuple[OutcomeRule, ...]
    latencies: tuple[Latency, ...]
    source: tuple[Identity, ...]
    destination: tuple[Identity, ...]
    corrections: tuple[Correction, ...] = ()
    connections: tuple[str, ...] = ()
    codes: Codes = Codes()
    route: str = ""
    temporality: Temporality = Temporality.CUMULATIVE
    native: bool = False
    observations: bool = False

    @property
    def counters(self) -> tuple[str, ...]:
        """What tells that there was traffic: the counters of requests, or of connections."""
        return self.requests or self.connections

    @property
    def partial(self) -> bool:
        """Whether it sees some of the callers only: one whose source is fixed is about those alone, and no total."""
        return bool(self.source) and not any(identity.labels for identity in self.source)

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
class Sign:
    """Series by which a store shows that it keeps a dialect."""

    metric: str
    matchers: tuple[Matcher, ...] = ()


@dataclass(frozen=True, slots=True)
class Trap:
    """Series that show, unless there are series of ``absent``, that numbers will be missing or misread.

    ``text`` says so, and what to do.
    """

    sign: Sign
    text: str
    absent: Sign | None = None

    def changed(self, change: Callable[[Sign], Sign]) -> Trap:
        """The trap with ``change`` applied to what it looks for and to what it looks for in vain."""
        return replace(self, sign=change(self.sign), absent=None if self.absent is None else change(self.absent))


@dataclass(frozen=True, slots=True)
class VersionSeries:
    """Series by which a mesh tells its version: the values that ``label`` has on series of ``sign``.

    ``of`` says whose version that is where it is not the mesh's own.
    """

    sign: Sign
    label: str
    of: str = ""


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Dialect:
    """The views of one mesh, best first, and what it cannot answer.

    ``reasons`` tells, for a kind (``Node``) or for ``edges``, why this mesh cannot answer. ``signs`` are series by any of which a store
    shows that it keeps this dialect. ``limits`` is what a reader of its numbers must know, and ``origins`` tells of labels that the mesh
    itself does not write who adds them. ``traps`` are what to look for in a store that keeps it. A ``fallback`` is used after all others
    where a store keeps several: it knows less than they do of the same traffic. ``mesh`` is the name that people know the mesh by, empty
    where it is that of the dialect, and ``version`` the series that tell which version of it runs, None where there are none.
    """

    name: str
    description: str
    views: tuple[View, ...]
    reasons: Mapping[str, str] = field(default_factory=dict)
    signs: tuple[Sign, ...] = ()
    limits: tuple[str, ...] = ()
    origins: Mapping[str, str] = field(default_factory=dict)
    traps: tuple[Trap, ...] = ()
    fallback: bool = False
    mesh: str = ""
    version: VersionSeries | None = None
