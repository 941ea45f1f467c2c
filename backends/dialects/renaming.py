"""Labels by other names: a dialect whose labels are called otherwise in some store, because whoever scrapes it renamed them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TypeVar

from backends.dialects.dialect import CodeLabel, Codes, Dialect, OutcomeRule, Sign, VersionSeries, View
from backends.dialects.identity import Identity
from backends.dialects.matcher import Matcher
from backends.dialects.names import FIELD

__all__ = ["labels_of", "renamed"]

Code = TypeVar("Code")
Conditions = tuple[tuple[str, re.Pattern[str]], ...]


def labels_of(dialect: Dialect) -> tuple[str, ...]:
    """The labels a dialect uses, in the order of their names."""
    return tuple(
        sorted(
            {label for view in dialect.views for label in _labels(view) if label}
            | {m.label for s in dialect.signs for m in s.matchers}
        )
    )


def renamed(dialect: Dialect, names: Mapping[str, str]) -> Dialect:
    """The dialect with the labels ``names`` maps called what they are mapped to, all at once: two may change places."""
    return replace(
        dialect,
        views=tuple(_view(view, names) for view in dialect.views),
        signs=tuple(_sign(sign, names) for sign in dialect.signs),
        traps=tuple(trap.changed(lambda sign: _sign(sign, names)) for trap in dialect.traps),
        origins={names.get(label, label): origin for label, origin in dialect.origins.items()},
        version=None if dialect.version is None else _version(dialect.version, names),
    )


def _labels(view: View) -> Iterator[str]:
    yield view.observer.label
    yield view.route
    yield from (matcher.label for matcher in view.match)
    yield from view.outcome_labels
    yield from (code.label for code in (view.codes.http, view.codes.grpc) if isinstance(code, CodeLabel))
    yield from (label for label, _ in view.codes.failed)
    for identity in (*view.source, *view.destination):
        yield from identity.labels


def _view(view: View, names: Mapping[str, str]) -> View:
    return replace(
        view,
        observer=replace(view.observer, label=names.get(view.observer.label, view.observer.label)),
        match=_matchers(view.match, names),
        outcomes=tuple(OutcomeRule(rule.outcome, _conditions(rule.when, names)) for rule in view.outcomes),
        source=_identities(view.source, names),
        destination=_identities(view.destination, names),
        codes=Codes(_code(view.codes.http, names), _code(view.codes.grpc, names), _conditions(view.codes.failed, names)),
        route=names.get(view.route, view.route),
    )


def _sign(sign: Sign, names: Mapping[str, str]) -> Sign:
    return Sign(sign.metric, _matchers(sign.matchers, names))


def _version(version: VersionSeries, names: Mapping[str, str]) -> VersionSeries:
    return replace(version, sign=_sign(version.sign, names), label=names.get(version.label, version.label))


def _identities(identities: tuple[Identity, ...], names: Mapping[str, str]) -> tuple[Identity, ...]:
    """Each with its labels renamed; two that only differed in a name for the same label become one."""
    return tuple(dict.fromkeys(_identity(identity, names) for identity in identities))


def _identity(identity: Identity, names: Mapping[str, str]) -> Identity:
    return replace(
        identity,
        name=_template(identity.name, names),
        namespace=_template(identity.namespace, names),
        origin=names.get(identity.origin, identity.origin),
        when=_conditions(identity.when, names),
    )


def _conditions(when: Conditions, names: Mapping[str, str]) -> Conditions:
    return tuple((names.get(label, label), pattern) for label, pattern in when)


def _template(template: str, names: Mapping[str, str]) -> str:
    return FIELD.sub(lambda found: f"{{{names.get(found[1], found[1])}}}", template)


def _matchers(matchers: tuple[Matcher, ...], names: Mapping[str, str]) -> tuple[Matcher, ...]:
    return tuple(replace(matcher, label=names.get(matcher.label, matcher.label)) for matcher in matchers)


def _code(code: Code, names: Mapping[str, str]) -> Code:
    return replace(code, label=names.get(code.label, code.label)) if isinstance(code, CodeLabel) else code
