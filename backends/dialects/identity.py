r"""How the labels of a series name an object: one row of a dialect's ``source`` or ``destination``.

Three forms, which cover every mesh known:

* plain labels: ``{namespace: dst_namespace, name: dst_deployment}``
* a template of labels: ``{namespace: namespace, name: "{deployment}-{pod_template_hash}"}``
* a pattern over one label: ``{from: envoy_cluster_name, pattern: '(?P<name>[^.]+)\.(?P<namespace>[^.]+)'}``

A fixed name, ``{is: unknown}``, needs no label at all.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from backends.dialects.expression import quote
from backends.dialects.matcher import Comparison, Matcher, equal
from metrics_api import ANY_WORKLOAD, WORKLOAD_KINDS, ResourceRef

__all__ = ["HOST", "Identity", "Reader"]

HOST = "Host"
"""Pseudo-kind of a peer known by a host name alone; it never reaches the wire."""

Reader = Callable[[Sequence[str]], ResourceRef | None]
_FIELD = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")


@dataclass(frozen=True, slots=True)
class Identity:
    """One way to name an object of ``kind``.

    ``namespace`` and ``name`` are templates of labels (a bare label name is written ``{label}``). With ``pattern`` they are read from the
    groups of that name in ``origin``'s value, and ``namespace`` is the template to use when the pattern has no such group.
    ``absent`` are values by which the mesh says it does not know.
    """

    kind: str
    name: str
    namespace: str = ""
    origin: str = ""
    pattern: re.Pattern[str] | None = None
    absent: frozenset[str] = frozenset({""})

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels the series must be grouped by to read this."""
        fields = [*_FIELD.findall(self.namespace), *_FIELD.findall(self.name)]
        return tuple(dict.fromkeys([self.origin, *fields] if self.origin else fields))

    @property
    def composed(self) -> bool:
        """Whether the name is put together from several labels."""
        return len(_FIELD.findall(self.name)) > 1

    def names(self, kind: str) -> bool:
        """Whether this can name an object of ``kind``; a bare workload name may turn out to be of any workload kind."""
        return self.kind == kind or (self.kind == ANY_WORKLOAD and kind in WORKLOAD_KINDS)

    def reader(self, by: Sequence[str]) -> Reader:
        """A function from the values of the labels ``by``, in that order, to the object named, or None where they name none."""
        kind, absent = ("" if self.kind == HOST else self.kind), self.absent
        namespace = _filler(self.namespace, by)
        if self.pattern is None:
            name = _filler(self.name, by)

            def read(values: Sequence[str]) -> ResourceRef | None:
                found = name(values)
                space = namespace(values)
                if found is None or found in absent or (self.namespace and (space is None or space in absent)):
                    return None
                return ResourceRef(kind, space or "", found)

            return read

        position, pattern = by.index(self.origin), self.pattern
        namespaced = bool(self.namespace) or "namespace" in pattern.groupindex

        def read_pattern(values: Sequence[str]) -> ResourceRef | None:
            match = pattern.fullmatch(values[position])
            if match is None:
                return None
            groups = match.groupdict()
            found = groups.get("name")
            space = groups.get("namespace") or namespace(values) or ""
            if not found or found in absent or (namespaced and space in absent):
                return None
            return ResourceRef(kind, space, found)

        return read_pattern

    def narrow(self, namespace: str, name: str) -> list[Matcher]:
        """Matchers that leave out series which cannot name this object; they may let others through, which the reader then drops.

        Empty arguments are open. Names are only ever compared literally.
        """
        matchers: list[Matcher] = []
        if self.pattern is not None:
            grouped = "namespace" in self.pattern.groupindex
            # With both a group and a template, which of them gives the namespace is not known beforehand.
            parts = filter(None, (name, namespace if grouped and not self.namespace else ""))
            matchers += [Matcher(self.origin, Comparison.MATCHES, f".*{quote(part)}.*") for part in parts]
            if namespace and self.namespace and not grouped:
                matchers += _narrow_template(self.namespace, namespace)
            if not matchers:
                matchers.append(Matcher(self.origin, Comparison.NOT_EQUAL, ""))
            return matchers
        for template, value in ((self.namespace, namespace), (self.name, name)):
            if value and template:
                matchers += _narrow_template(template, value)
        for label in _FIELD.findall(self.name):
            if not any(matcher.label == label for matcher in matchers):
                matchers.append(Matcher(label, Comparison.NOT_EQUAL, ""))
        return matchers


def _narrow_template(template: str, value: str) -> list[Matcher]:
    fields = _FIELD.findall(template)
    if len(fields) == 1 and template == f"{{{fields[0]}}}":
        return [equal(fields[0], value)]
    # The value of each label of a composed name is part of it, but which part is not known.
    return [Matcher(field, Comparison.NOT_EQUAL, "") for field in fields]


def _filler(template: str, by: Sequence[str]) -> Callable[[Sequence[str]], str | None]:
    """A function that fills the labels into a template; None when one of them is empty."""
    fields = _FIELD.findall(template)
    if not fields:
        return lambda _: template
    positions = [by.index(field) for field in fields]
    if template == f"{{{fields[0]}}}":
        only = positions[0]
        return lambda values: values[only] or None
    pieces = _FIELD.split(template)[0::2]

    def fill(values: Sequence[str]) -> str | None:
        parts = [values[position] for position in positions]
        if not all(parts):
            return None
        return "".join(piece + part for piece, part in zip(pieces, [*parts, ""], strict=True))

    return fill
