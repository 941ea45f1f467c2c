"""What a source's configuration changes of its dialect: names of labels, which series count, what fails, which routes are left out."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from backends.dialects.codes import CODES, CodeSet, read_code_set
from backends.dialects.dialect import Dialect, Sign, View
from backends.dialects.ends import CLUSTER_SCOPED
from backends.dialects.expression import expression, quote
from backends.dialects.identity import Identity
from backends.dialects.keeping import Keeping, kept, read_kept
from backends.dialects.matcher import Comparison, Matcher, parse_matchers
from backends.dialects.names import LABEL
from backends.dialects.renaming import labels_of, renamed
from backends.dialects.verdicts import judged, unjudgeable
from metrics_api import BadConfiguration
from metrics_api.document import Node
from metrics_api.forms import parsed, shape
from metrics_api.keys import key, keys_of, names_of, nested, read_keys

__all__ = ["Misfit", "Overrides", "misfits", "override", "read_overrides"]

_NAMESPACE = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_NOT_FOR_ALL = frozenset({"le", "__name__"})
"""Labels that the counters and histograms of one view do not share."""


def _namespace(text: str) -> str:
    if not _NAMESPACE.fullmatch(text):
        raise ValueError(f'"{text}" is not the name of a namespace')
    return text


def _series_label(text: str) -> str:
    if not LABEL.fullmatch(text) or text in _NOT_FOR_ALL:
        raise ValueError(f'"{text}" is not the name of a label that could stand for another')
    return text


@dataclass(frozen=True, slots=True)
class Overrides:
    """What is to differ from a dialect.

    ``labels`` maps a label of the dialect to what it is called here; the labels of ``match``, which is added to every selector, and
    ``route_label`` are those that the series have. ``namespace`` is that of what the labels name without one. ``excluded_routes`` are
    patterns in which ``*`` stands for any text. ``keeping`` is how the store keeps the series.
    """

    labels: Mapping[str, str] = field(
        default_factory=dict,
        metadata=key(
            "labels of the dialect, and what each is called here. They are renamed wherever the dialect uses them. "
            "A label it does not use is a mistake, and the message lists those it uses",
            shape("a mapping", {"type": "object", "additionalProperties": {"type": "string"}}),
        ),
    )
    match: tuple[Matcher, ...] = field(
        default=(),
        metadata=key(
            "matchers, as in PromQL, added to every selector: one mesh, one cluster, or one of two replicas that scrape the same targets",
            shape("matchers", {"type": "string"}),
        ),
    )
    namespace: str = field(
        default="",
        metadata=key(
            "the namespace of what the labels name without one",
            parsed(_namespace, "a name"),
        ),
    )
    failure: CodeSet = field(
        default=CodeSet(),
        metadata=key(
            "codes that fail: `http` takes `503`, `5xx` and `0`, a request without a response; `grpc` takes numbers and words; "
            "`[]` is none of them",
            CODES,
            otherwise="the dialect's",
        ),
    )
    ignore: CodeSet = field(
        default=CodeSet(), metadata=key("codes that count as neither success nor failure", CODES, otherwise="none")
    )
    excluded_routes: tuple[str, ...] = field(
        default=(),
        metadata=key(
            "routes that are left out; `*` stands for any text. Series that tell no route stay",
            shape("a list", {"type": "array", "items": {"type": "string"}}),
        ),
    )
    route_label: str = field(
        default="",
        metadata=key(
            "the label that tells routes, where the dialect names none or another one is meant",
            parsed(_series_label, "a label"),
            otherwise="the dialect's",
        ),
    )
    keeping: Keeping = field(default=Keeping(), metadata=nested(Keeping))


KEYS = names_of(keys_of(Overrides))


@dataclass(frozen=True, slots=True)
class Misfit:
    """An override that a dialect cannot take: the path to it below ``overrides``, and why, as the rest of a sentence about the dialect."""

    path: tuple[str | int, ...]
    reason: str


def read_overrides(node: Node) -> Overrides | None:
    """The ``overrides`` of a source; None when there were mistakes, which go to the node's problems. What dialect they fit is not asked."""
    before = len(node.problems.found)
    entries = node.mapping(KEYS)
    read = Overrides(
        labels=_labels(entries["labels"]) if "labels" in entries else {},
        match=_match(entries["match"]) if "match" in entries else (),
        failure=read_code_set(entries["failure"]) if "failure" in entries else CodeSet(),
        ignore=read_code_set(entries["ignore"]) if "ignore" in entries else CodeSet(),
        excluded_routes=tuple(item.read(_route, "") for item in entries["excludedRoutes"].items())
        if "excludedRoutes" in entries
        else (),
        keeping=read_kept(entries),
        **read_keys(Overrides, entries),
    )
    for codes, ignored, kind in ((read.failure.http, read.ignore.http, "http"), (read.failure.grpc, read.ignore.grpc, "grpc")):
        for code in codes or ():
            if code in (ignored or ()):
                entries["ignore"].mapping()[kind].problem(f'"{code}" is named under "failure" as well')
    if read.route_label and not read.excluded_routes:
        entries["routeLabel"].problem('"routeLabel" says where "excludedRoutes" are told, and there are none')
    return read if len(node.problems.found) == before else None


def misfits(dialect: Dialect, overrides: Overrides) -> Iterator[Misfit]:
    """What of ``overrides`` the dialect cannot take."""
    used = labels_of(dialect)
    for label in overrides.labels:
        if label not in used:
            yield Misfit(("labels", label), f'uses no label "{label}"; it uses {", ".join(used)}')
    for path, reason in unjudgeable(dialect.views, overrides.failure, overrides.ignore):
        yield Misfit(path, reason)
    if overrides.excluded_routes and not overrides.route_label and not any(view.route for view in dialect.views):
        yield Misfit(("excludedRoutes",), 'names no label that tells routes: say which one does with "routeLabel"')


def override(dialect: Dialect, overrides: Overrides, *, where_possible: bool = False) -> Dialect:
    """The dialect, changed. What it cannot take is left out if ``where_possible``, and :class:`BadConfiguration` otherwise."""
    unfit = list(misfits(dialect, overrides))
    if unfit and not where_possible:
        raise BadConfiguration([f"dialect {dialect.name} {misfit.reason}" for misfit in unfit])
    fitting = _without(overrides, {misfit.path for misfit in unfit})
    changed = renamed(dialect, fitting.labels) if fitting.labels else dialect
    return replace(
        changed,
        views=tuple(_overridden(view, fitting) for view in changed.views),
        signs=tuple(_matched(sign, fitting.match) for sign in changed.signs),
        traps=tuple(trap.changed(lambda sign: _matched(sign, fitting.match)) for trap in changed.traps),
        version=changed.version and replace(changed.version, sign=_matched(changed.version.sign, fitting.match)),
    )


def _overridden(view: View, overrides: Overrides) -> View:
    changed = replace(kept(view, overrides.keeping), match=_joined(view.match, (*overrides.match, *_routes(view, overrides))))
    if overrides.namespace:
        changed = replace(
            changed,
            source=_at_home(view.source, overrides.namespace),
            destination=_at_home(view.destination, overrides.namespace),
        )
    if overrides.failure.told or overrides.ignore.told:
        changed = judged(changed, overrides.failure, overrides.ignore)
    return changed


def _routes(view: View, overrides: Overrides) -> tuple[Matcher, ...]:
    label = overrides.route_label or view.route
    if not overrides.excluded_routes or not label or not view.requests:
        return ()
    patterns = (".*".join(map(quote, route.split("*"))) for route in overrides.excluded_routes)
    return (Matcher(label, Comparison.MATCHES_NOT, "|".join(patterns)),)


def _at_home(end: tuple[Identity, ...], namespace: str) -> tuple[Identity, ...]:
    """The identities of an end, those of namespaced objects in ``namespace`` where the labels tell none.

    Where an end is named as a namespace as well, those objects are in it.
    """
    known = tuple(identity if identity.kind in CLUSTER_SCOPED else replace(identity, home=namespace) for identity in end)
    if not any(identity.kind == "Namespace" for identity in end):
        return known
    return tuple(dict.fromkeys((*known, *(_home(identity) for identity in known if identity.home and not _tells(identity)))))


def _tells(identity: Identity) -> bool:
    """Whether the name cannot be had without the namespace."""
    return identity.pattern is not None and bool({"namespace", "joined"} & identity.pattern.groupindex.keys())


def _home(identity: Identity) -> Identity:
    """The home of what this names without a namespace, as an identity of its own."""
    nothing = expression("|".join(quote(value) for value in sorted(identity.absent)))
    unsaid = tuple((label, nothing) for label in replace(identity, name="", origin="", when=()).labels)
    named = [(identity.origin, identity.pattern)] if identity.pattern is not None else []
    named += [(label, expression(".+")) for label in replace(identity, namespace="", origin="", when=()).labels]
    return Identity("Namespace", identity.home, absent=identity.absent, when=(*named, *unsaid, *identity.when))


def _matched(sign: Sign, matchers: tuple[Matcher, ...]) -> Sign:
    return replace(sign, matchers=_joined(sign.matchers, matchers))


def _joined(matchers: tuple[Matcher, ...], more: tuple[Matcher, ...]) -> tuple[Matcher, ...]:
    return tuple(dict.fromkeys((*matchers, *more)))


def _without(overrides: Overrides, unfit: set[tuple[str | int, ...]]) -> Overrides:
    """What is left of ``overrides`` when what is at these paths goes."""
    if not unfit:
        return overrides
    return replace(
        overrides,
        labels={label: name for label, name in overrides.labels.items() if ("labels", label) not in unfit},
        failure=_fitting(overrides.failure, "failure", unfit),
        ignore=_fitting(overrides.ignore, "ignore", unfit),
        excluded_routes=() if ("excludedRoutes",) in unfit else overrides.excluded_routes,
    )


def _fitting(codes: CodeSet, key: str, unfit: set[tuple[str | int, ...]]) -> CodeSet:
    http = tuple(code for index, code in enumerate(codes.http or ()) if (key, "http", index) not in unfit)
    return CodeSet(
        http=None if codes.http is None or (key, "http") in unfit else http,
        grpc=None if (key, "grpc") in unfit else codes.grpc,
    )


def _labels(node: Node) -> dict[str, str]:
    for label, name in node.mapping().items():
        if not LABEL.fullmatch(label):
            name.problem(f'"{label}" is not a label name')
    return {label: name.read(_series_label, label) for label, name in node.mapping().items()}


def _match(node: Node) -> tuple[Matcher, ...]:
    nothing: tuple[Matcher, ...] = ()
    matchers = node.read(parse_matchers, nothing)
    for matcher in matchers:
        if matcher.label in _NOT_FOR_ALL:
            node.problem(f'"{matcher.label}" is not the same for all series of a request: it cannot be matched')
    if not matchers and isinstance(node.value, str) and not node.value.strip(" {}"):
        node.problem('name at least one matcher, as in cluster="eu-1"')
    return matchers


def _route(text: str) -> str:
    if not text.strip("*"):
        raise ValueError(f'"{text}" would leave everything out: name a route, such as /healthz or probe*')
    return text
