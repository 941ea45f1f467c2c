"""Series that do not name what is asked for: how to leave out those that do, so that the others can be named by something else.

A pod whose owner no label tells (that of a custom controller, or a bare one) is named by its own name, and what it belongs to is for the
asker to know. Grouping by pod costs; so it is for these series alone, which are told by the labels they lack.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from backends.dialects.dialect import Dialect, View
from backends.dialects.expression import quote
from backends.dialects.identity import Identity
from backends.dialects.matcher import Comparison, Matcher, one_of
from backends.dialects.names import FIELD
from metrics_api import ANY_WORKLOAD, WORKLOAD_KINDS

__all__ = ["MEMBER_KINDS", "among", "identities_apart", "left_unnamed", "members_of", "plain"]

MEMBER_KINDS = {ANY_WORKLOAD: (*WORKLOAD_KINDS, ANY_WORKLOAD)}
"""What the kinds of members stand for, where it is not themselves."""


def plain(identity: Identity) -> bool:
    """Whether one label is the name."""
    return identity.pattern is None and FIELD.fullmatch(identity.name) is not None


def left_unnamed(identities: Sequence[Identity]) -> tuple[list[Matcher], tuple[Identity, ...]]:
    """What holds for all series that none of these identities names, and those of them of which no matcher can say so."""
    matchers: list[Matcher] = []
    others: list[Identity] = []
    conditions: dict[str, list[str]] = {}
    names = Counter(identity.name for identity in identities)
    for identity in identities:
        if not plain(identity):
            others.append(identity)
        elif len(identity.when) == 1 and not identity.when[0][1].fullmatch(""):
            # One label has the names of many kinds, and another one the kind.
            conditions.setdefault(identity.when[0][0], []).append(identity.when[0][1].pattern)
        elif identity.when and names[identity.name] > 1:
            others.append(identity)
        else:
            matchers.append(one_of(identity.name[1:-1], sorted({"", *identity.absent})))
    for label, patterns in conditions.items():
        matchers.append(Matcher(label, Comparison.MATCHES_NOT, "|".join(f"(?:{pattern})" for pattern in dict.fromkeys(patterns))))
    return matchers, tuple(others)


def identities_apart(dialect: Dialect, view: View, kinds: Sequence[str], *, source: bool) -> tuple[Identity, ...]:
    """The identities that name one of ``kinds`` at an end of the series of a view, whichever view of these series says so.

    Where the labels of another view's end are those of the other end here, it is about other series: each proxy calls itself so.
    """
    own, opposite = (view.source, view.destination) if source else (view.destination, view.source)
    others = [other for other in dialect.views if other is not view and set(other.counters) & set(view.counters)]
    taken = {label for identity in opposite for label in identity.labels}
    named = [identity for other in others for identity in (other.source if source else other.destination)]
    alike = [identity for identity in named if not taken & set(identity.labels)]
    return tuple(dict.fromkeys(identity for identity in (*own, *alike) if any(map(identity.names, kinds))))


def members_of(identities: Sequence[Identity], members: Sequence[str]) -> list[Identity]:
    """The identities of an end that name objects of the first of the kinds ``members`` that it has any of."""
    for member in members:
        kinds = MEMBER_KINDS.get(member, (member,))
        if found := [identity for identity in identities if any(map(identity.names, kinds))]:
            return found
    return []


def among(identities: Sequence[Identity], names: Sequence[str]) -> list[Matcher]:
    """Matchers that leave out what is called none of ``names``; one with a hyphen at the end is the beginning of a name."""
    if not names or len(identities) != 1 or identities[0].kind != "Pod" or not plain(identities[0]) or identities[0].spelling:
        return []
    spelt = [f"{quote(name)}.*" if name.endswith("-") else quote(name) for name in names]
    return [Matcher(identities[0].name[1:-1], Comparison.MATCHES, "|".join(dict.fromkeys(spelt)))]
