"""From codes to outcomes: the rules of a view when configuration says which codes fail, in the place of the dialect's own.

A gRPC status is asked first, then the HTTP code, of which ``503`` says more than ``5xx``. Of what neither tells the dialect's own rules do.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from backends.dialects.codes import FAILING_GRPC, FAILING_HTTP, GRPC_STATUSES, NO_RESPONSE, CodeSet
from backends.dialects.dialect import CodeForm, CodeLabel, Correction, GrpcCounters, Outcome, OutcomeRule, View
from backends.dialects.expression import expression

__all__ = ["judged", "unjudgeable"]

_SERVER_ERRORS = "5xx"

_ANY_CODE = {
    CodeForm.CODE: "[1-9][0-9][0-9]",
    CodeForm.CLASS: "[1-9]",
    CodeForm.XX: "[1-9]xx",
    CodeForm.NUMBER: "[0-9]+",
    CodeForm.WORD: "[A-Z_]+",
}


def judged(view: View, failure: CodeSet, ignore: CodeSet) -> View:
    """The view with outcomes told by codes. Without a word about them, requests fail by the codes that fail everywhere.

    A request without a response fails unless it is ignored by name.
    """
    http, grpc = view.codes.http, view.codes.grpc
    if http is None and grpc is None:
        return view
    ignored_http, ignored_grpc = ignore.http or (), ignore.grpc or ()
    failing_http = [code for code in (FAILING_HTTP if failure.http is None else failure.http) if code not in ignored_http]
    failing_grpc = [status for status in (FAILING_GRPC if failure.grpc is None else failure.grpc) if status not in ignored_grpc]
    rules: list[OutcomeRule] = []
    first, others = _ignoring(view.outcomes)
    rules += first
    if view.codes.failed:
        rules.append(OutcomeRule(Outcome.FAILURE, view.codes.failed))
    if isinstance(grpc, CodeLabel):
        rules += _rules(grpc, [(Outcome.FAILURE, _statuses(grpc, failing_grpc)), (Outcome.IGNORE, _statuses(grpc, ignored_grpc))])
    if http is not None:
        rules += _rules(http, _verdicts(http.form, *_with_silence(http, grpc, set(failing_http), set(ignored_http))))
    if isinstance(grpc, CodeLabel):
        rules += _rules(grpc, [(Outcome.SUCCESS, [_ANY_CODE[grpc.form]])])
    rules += others
    if http is not None:
        rules += _rules(http, [(Outcome.SUCCESS, [_ANY_CODE[http.form]])])
    corrections = view.corrections
    if isinstance(grpc, GrpcCounters):
        corrections = _corrections(grpc, failing_grpc, overlapping=http is None or _SERVER_ERRORS in failing_http)
    elif grpc is not None:
        corrections = ()
    return replace(view, outcomes=(*rules, *view.outcomes), corrections=corrections)


def unjudgeable(views: Iterable[View], failure: CodeSet, ignore: CodeSet) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """What the views cannot tell of the codes: the path to each below the overrides, and why."""
    views = [view for view in views if view.requests]
    told_http = [view.codes.http for view in views if view.codes.http is not None]
    told_grpc = [view.codes.grpc for view in views if view.codes.grpc is not None]
    for key, codes in (("failure", failure), ("ignore", ignore)):
        if codes.http is not None and not told_http:
            yield (key, "http"), "tells no HTTP codes"
        if codes.grpc is not None and not told_grpc:
            yield (key, "grpc"), "tells no gRPC statuses"
        coarse = next((label for label in told_http if label.form is not CodeForm.CODE), None)
        for index, code in enumerate(codes.http or ()):
            # That requests without a response fail is so anyway; where they are not told, nothing changes.
            if coarse is not None and not code.endswith("xx") and (key, code) != ("failure", NO_RESPONSE):
                yield (
                    (key, "http", index),
                    f'tells classes of codes alone: 4xx, 5xx; "{code}" cannot be told from the others of its class',
                )
    counters = [grpc for grpc in told_grpc if isinstance(grpc, GrpcCounters)]
    if counters and ignore.grpc is not None:
        yield ("ignore", "grpc"), "counts gRPC statuses apart from the requests: they can fail, but not be left out"
    if counters and _SERVER_ERRORS in (ignore.http or ()):
        failing = failure.grpc if failure.grpc is not None else FAILING_GRPC
        twofold = sorted({status for grpc in counters for status in grpc.overlap if status in failing})
        if twofold:
            names = ", ".join(GRPC_STATUSES[status] for status in twofold)
            yield (
                ("ignore", "http", (ignore.http or ()).index(_SERVER_ERRORS)),
                f"may have counted calls with the gRPC status {names} as {_SERVER_ERRORS}: these cannot be left out while that fails",
            )


def _ignoring(rules: Iterable[OutcomeRule]) -> tuple[list[OutcomeRule], list[OutcomeRule]]:
    """The rules that leave series out: those that are asked before any other, and those after."""
    first: list[OutcomeRule] = []
    others: list[OutcomeRule] = []
    leading = True
    for rule in rules:
        leading = leading and rule.outcome is Outcome.IGNORE
        if rule.outcome is Outcome.IGNORE:
            (first if leading else others).append(rule)
    return first, others


def _with_silence(
    http: CodeLabel, grpc: CodeLabel | GrpcCounters | None, failing: set[str], ignored: set[str]
) -> tuple[set[str], set[str]]:
    """Both sets, with requests without a response in one of them where the label tells of such: 0 is no class, and gRPC's OK."""
    told = http.form is CodeForm.CODE and not (isinstance(grpc, CodeLabel) and grpc.label == http.label)
    if not told:
        return failing - {NO_RESPONSE}, ignored - {NO_RESPONSE}
    return (failing if NO_RESPONSE in ignored else failing | {NO_RESPONSE}), ignored


def _verdicts(form: CodeForm, failing: set[str], ignored: set[str]) -> list[tuple[Outcome, list[str]]]:
    """Single codes before classes: they say more."""
    return [
        (outcome, sorted(_written(form, code) for code in codes if code.endswith("xx") is of_classes))
        for of_classes in (False, True)
        for outcome, codes in ((Outcome.FAILURE, failing), (Outcome.IGNORE, ignored))
    ]


def _written(form: CodeForm, code: str) -> str:
    """The expression for a code or a class of codes, as a label of this form has it."""
    if form is CodeForm.CODE:
        return code.replace("xx", "[0-9][0-9]")
    return code if form is CodeForm.XX else code[0]


def _statuses(label: CodeLabel, statuses: Iterable[int]) -> list[str]:
    return [GRPC_STATUSES[status] if label.form is CodeForm.WORD else str(status) for status in statuses]


def _rules(label: CodeLabel, verdicts: Iterable[tuple[Outcome, list[str]]]) -> list[OutcomeRule]:
    return [OutcomeRule(outcome, ((label.label, expression("|".join(options))),)) for outcome, options in verdicts if options]


def _corrections(counters: GrpcCounters, failing: Iterable[int], *, overlapping: bool) -> tuple[Correction, ...]:
    """Counters of calls that failed: those that may have failed by their HTTP code already are kept apart.

    Where codes of class 5 do not fail, nothing is counted twice.
    """
    twofold = set(counters.overlap) if overlapping else set()
    statuses = sorted(failing)
    plain = tuple(counters.template.replace("{code}", str(status)) for status in statuses if status not in twofold)
    shared = tuple(counters.template.replace("{code}", str(status)) for status in statuses if status in twofold)
    return tuple(Correction(metrics, overlap) for metrics, overlap in ((plain, False), (shared, True)) if metrics)
