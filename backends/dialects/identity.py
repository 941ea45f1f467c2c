r"""How the labels of a series name an object: one row of a dialect's ``source`` or ``destination``.

Three forms, which cover every mesh known:

* plain labels: ``{namespace: dst_namespace, name: dst_deployment}``
* a template of labels: ``{namespace: namespace, name: "{deployment}-{pod_template_hash}"}``
* a pattern over one label: ``{from: envoy_cluster_name, pattern: '(?P<name>[^.]+)\.(?P<namespace>[^.]+)'}``

A fixed name, ``{is: unknown}``, needs no label at all. Any form may hold under a condition only (``when``), and be spelt otherwise than
Kubernetes does (``spelling``).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from backends.dialects.expression import quote
from backends.dialects.matcher import Comparison, Matcher, one_of
from backends.dialects.names import FIELD
from metrics_api import ANY_WORKLOAD, JOINED_SERVICE, WORKLOAD_KINDS, ResourceRef, called_service

__all__ = ["HOST", "Identity", "Reader", "Sought"]

HOST = "Host"
"""Pseudo-kind of a peer known by a host name alone; it never reaches the wire."""

Reader = Callable[[Sequence[str]], ResourceRef | None]
_Filler = Callable[[Sequence[str]], str | None]
_JOINT = "-"


@dataclass(frozen=True, slots=True)
class Sought:
    """The Services whose hosts are asked for: their namespace and their names, empty for any."""

    namespace: str = ""
    names: tuple[str, ...] = ()

    def finds(self, called: ResourceRef) -> bool:
        """Whether a :data:`metrics_api.resources.CALLED_HOST` may be one of them."""
        found = called_service(called)
        if found is None:
            return False
        _, namespace, name = found[0]
        return self.namespace in ("", namespace) and (not self.names or name in self.names)

    def matcher(self, label: str) -> Matcher:
        """What their hosts match, as those of others may: ``orders``, ``orders.shop.svc:8080``."""
        if not self.names:
            return Matcher(label, Comparison.NOT_EQUAL, "")
        return Matcher(label, Comparison.MATCHES, f"(?:{'|'.join(map(quote, self.names))})(?:[.:].*)?")


@dataclass(frozen=True, slots=True)
class Identity:
    """One way to name an object of ``kind``.

    ``namespace`` and ``name`` are templates of labels (a bare label name is written ``{label}``). With ``pattern`` they are read from the
    groups of that name in ``origin``'s value, and ``namespace`` is the template to use when the pattern has no such group; a group
    ``joined`` is namespace and name with a hyphen between them. ``absent`` are values by which the mesh says it does not know.

    It holds for series whose labels match all of ``when`` (whole values). ``spelling`` are pairs of a character of Kubernetes' names and
    the one that the labels have in its place. ``home`` is the namespace of what the labels name without one. With ``sought`` it names no
    other hosts than these.
    """

    kind: str
    name: str
    namespace: str = ""
    origin: str = ""
    pattern: re.Pattern[str] | None = None
    absent: frozenset[str] = frozenset({""})
    when: tuple[tuple[str, re.Pattern[str]], ...] = ()
    spelling: tuple[tuple[str, str], ...] = ()
    home: str = ""
    sought: Sought | None = None

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels the series must be grouped by to read this."""
        fields = [self.origin, *FIELD.findall(self.namespace), *FIELD.findall(self.name), *(label for label, _ in self.when)]
        return tuple(dict.fromkeys(filter(None, fields)))

    @property
    def composed(self) -> bool:
        """Whether the name is put together from several labels."""
        return len(FIELD.findall(self.name)) > 1

    @property
    def joined(self) -> bool:
        """Whether the pattern gives namespace and name as one."""
        return self.pattern is not None and "joined" in self.pattern.groupindex

    def names(self, kind: str) -> bool:
        """Whether this can name an object of ``kind``; a bare workload name may turn out to be of any workload kind."""
        return self.kind == kind or (self.kind == ANY_WORKLOAD and kind in WORKLOAD_KINDS)

    def reader(self, by: Sequence[str]) -> Reader:
        """A function from the values of the labels ``by``, in that order, to the object named, or None where they name none."""
        read = self._of_pattern(self.pattern, by) if self.pattern is not None else self._of_labels(by)
        if self.sought is not None:
            read = _seeking(read, self.sought)
        if not self.when:
            return read
        tests = [(by.index(label), pattern.fullmatch) for label, pattern in self.when]

        def read_when(values: Sequence[str]) -> ResourceRef | None:
            return read(values) if all(test(values[at]) for at, test in tests) else None

        return read_when

    def _of_labels(self, by: Sequence[str]) -> Reader:
        kind, absent, home = ("" if self.kind == HOST else self.kind), self.absent, self.home
        namespaced = bool(self.namespace or home)
        name, namespace, spell = _filler(self.name, by), _filler(self.namespace, by), self._spelt()

        def read(values: Sequence[str]) -> ResourceRef | None:
            found = name(values)
            if found is None or found in absent:
                return None
            space = namespace(values)
            if space is None or space in absent:
                space = home
                if namespaced and not space:
                    return None
            return ResourceRef(kind, spell(space), spell(found))

        return read

    def _of_pattern(self, pattern: re.Pattern[str], by: Sequence[str]) -> Reader:
        kind, absent, home = ("" if self.kind == HOST else self.kind), self.absent, self.home
        position, namespace, spell = by.index(self.origin), _filler(self.namespace, by), self._spelt()
        namespaced = bool(self.namespace or home) or "namespace" in pattern.groupindex

        def read(values: Sequence[str]) -> ResourceRef | None:
            match = pattern.fullmatch(values[position])
            if match is None:
                return None
            groups = match.groupdict()
            if groups.get("joined"):
                return _parted(kind, groups["joined"])
            found = groups.get("name")
            if not found or found in absent:
                return None
            space = groups.get("namespace") or namespace(values) or ""
            if space in absent:
                space = home
                if namespaced and not space:
                    return None
            return ResourceRef(kind, spell(space), spell(found))

        return read

    def _spelt(self) -> Callable[[str], str]:
        if not self.spelling:
            return lambda text: text
        table = {ord(theirs): ours for ours, theirs in self.spelling}
        # What has a character that the labels are said not to have was put right already, by relabelling.
        right = frozenset(ours for ours, _ in self.spelling)
        return lambda text: text if right & set(text) else text.translate(table)

    def _spellings(self, text: str) -> tuple[str, ...]:
        """How the labels may write a name."""
        table = {ord(ours): theirs for ours, theirs in self.spelling}
        return tuple(dict.fromkeys((text.translate(table), text)))

    def narrow(self, namespace: str, name: str) -> list[Matcher]:
        """Matchers that leave out series which cannot name this object; they may let others through, which the reader then drops.

        Empty arguments are open. Names are only ever compared literally.
        """
        conditions = [Matcher(label, Comparison.MATCHES, pattern.pattern) for label, pattern in self.when]
        if self.pattern is not None:
            return conditions + self._narrow_pattern(self.pattern, namespace, name)
        if self.sought is not None:
            # The namespace in the labels is that of the caller.
            return conditions + [self.sought.matcher(label) for label in FIELD.findall(self.name)]
        matchers: list[Matcher] = []
        if namespace and self.namespace:
            matchers += _narrow_template(self.namespace, [*self._spellings(namespace), *self._homeless(namespace)])
        if name and self.name:
            matchers += _narrow_template(self.name, self._spellings(name))
        for label in FIELD.findall(self.name):
            if not any(matcher.label == label for matcher in matchers):
                matchers.append(Matcher(label, Comparison.NOT_EQUAL, ""))
        return conditions + matchers

    def _homeless(self, namespace: str) -> list[str]:
        """The values of a label that stand for this namespace without naming it; empty is the last."""
        return sorted(self.absent, reverse=True) if self.home and namespace == self.home else []

    def _narrow_pattern(self, pattern: re.Pattern[str], namespace: str, name: str) -> list[Matcher]:
        grouped = "namespace" in pattern.groupindex or self.joined
        # With both a group and a template, which of them gives the namespace is not known beforehand.
        parts = filter(None, (name, namespace if grouped and not self.namespace and not self.home else ""))
        spellings = ["|".join(f".*{quote(text)}.*" for text in self._spellings(part)) for part in parts]
        matchers = [Matcher(self.origin, Comparison.MATCHES, text) for text in spellings]
        if namespace and self.namespace and not grouped:
            matchers += _narrow_template(self.namespace, [*self._spellings(namespace), *self._homeless(namespace)])
        return matchers or [Matcher(self.origin, Comparison.NOT_EQUAL, "")]


def _seeking(read: Reader, sought: Sought) -> Reader:
    def read_sought(values: Sequence[str]) -> ResourceRef | None:
        found = read(values)
        return found if found is not None and sought.finds(found) else None

    return read_sought


def _parted(kind: str, joined: str) -> ResourceRef | None:
    """Namespace and name of what has a hyphen between them, if it can be only one way."""
    namespace, found, name = joined.partition(_JOINT)
    if not found or not namespace or not name:
        return None
    return ResourceRef(kind, namespace, name) if _JOINT not in name else ResourceRef(JOINED_SERVICE, "", joined)


def _narrow_template(template: str, values: Sequence[str]) -> list[Matcher]:
    """Matchers for a template that gives one of ``values``."""
    fields = FIELD.findall(template)
    if len(fields) == 1 and template == f"{{{fields[0]}}}":
        return [one_of(fields[0], values)]
    # The value of each label of a composed name is part of it, but which part is not known.
    return [] if "" in values else [Matcher(field, Comparison.NOT_EQUAL, "") for field in fields]


def _filler(template: str, by: Sequence[str]) -> _Filler:
    """A function that fills the labels into a template; None when one of them is empty."""
    fields = FIELD.findall(template)
    if not fields:
        return lambda _: template
    positions = [by.index(field) for field in fields]
    if template == f"{{{fields[0]}}}":
        only = positions[0]
        return lambda values: values[only] or None
    pieces = FIELD.split(template)[0::2]

    def fill(values: Sequence[str]) -> str | None:
        parts = [values[position] for position in positions]
        if not all(parts):
            return None
        return "".join(piece + part for piece, part in zip(pieces, [*parts, ""], strict=True))

    return fill
