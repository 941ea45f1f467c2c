"""The part of a dialect file that says how labels name the two ends of a request: entries of ``source`` and ``destination``."""

from __future__ import annotations

import re

from backends.dialects.expression import expression
from backends.dialects.identity import HOST, Identity
from backends.dialects.names import LABEL
from backends.dialects.words import label_name
from metrics_api import ANY_WORKLOAD, CALLED_HOST, RESOURCE_TYPES, type_of_kind
from metrics_api.document import Node

__all__ = ["CLUSTER_SCOPED", "KINDS", "read_conditions", "read_identities"]

KINDS = {row.kind: row.kind for row in RESOURCE_TYPES} | {"Workload": ANY_WORKLOAD, "CalledHost": CALLED_HOST, "Host": HOST}
"""The kinds of a dialect file, and what they stand for."""

CLUSTER_SCOPED = frozenset({"Namespace", "Node", HOST})
"""Kinds that are in no namespace."""

_KEYS = ("namespace", "name", "from", "pattern", "is", "when", "spelling")
_TEMPLATE = re.compile(r"(?:[^{}]|\{[a-zA-Z_@][a-zA-Z0-9_.@/:-]*\})*")
_ANYTHING = re.compile("")

Conditions = tuple[tuple[str, re.Pattern[str]], ...]


def read_identities(node: Node, absent: frozenset[str]) -> tuple[Identity, ...]:
    """A list of ``{Kind: form}``, the best first."""
    identities: list[Identity] = []
    for item in node.items():
        entries = item.mapping()
        if len(entries) != 1:
            item.problem("one entry names one kind, as in {Deployment: {namespace: namespace, name: deployment}}")
        for kind, form in entries.items():
            row = type_of_kind(kind)
            spelt = row.kind if row is not None else kind
            if spelt not in KINDS:
                form.problem(f'"{kind}" is not a kind; kinds are {", ".join(KINDS)}')
                continue
            identities.append(_identity(form, KINDS[spelt], absent))
    return tuple(identities)


def read_conditions(node: Node) -> Conditions:
    """``{label: expression}``; each must match the whole value of its label."""
    when = [(label, value.read(expression, _ANYTHING)) for label, value in node.mapping().items()]
    for label, _ in when:
        if not LABEL.fullmatch(label):
            node.problem(f'"{label}" is not a label name')
    return tuple(when)


def _identity(node: Node, kind: str, absent: frozenset[str]) -> Identity:
    entries = node.mapping(_KEYS)
    if "is" in entries:
        if kind != HOST or len(entries) > 1:
            node.problem('"is" gives a Host a fixed name, and stands alone')
        return Identity(HOST, entries["is"].text())
    when = read_conditions(entries["when"]) if "when" in entries else ()
    spelling = _spelling(entries["spelling"]) if "spelling" in entries else ()
    namespace = _template(entries["namespace"]) if "namespace" in entries else ""
    if "pattern" in entries or "from" in entries:
        return _from_pattern(node, entries, kind, Identity(kind, "", namespace, "", None, absent, when, spelling))
    if "name" not in entries:
        node.problem('"name" is missing: which label holds the name')
        return Identity(kind, "", namespace, absent=absent)
    if kind not in CLUSTER_SCOPED and not namespace:
        node.problem(f'"namespace" is missing: a {kind} is in a namespace')
    return Identity(kind, _template(entries["name"]), namespace, absent=absent, when=when, spelling=spelling)


def _from_pattern(node: Node, entries: dict[str, Node], kind: str, plain: Identity) -> Identity:
    for key in ("from", "pattern"):
        if key not in entries:
            node.problem(f'"from" and "pattern" go together; "{key}" is missing')
    if "name" in entries:
        entries["name"].problem('the pattern\'s group "name" gives the name')
    pattern = entries["pattern"].read(_naming_expression, None) if "pattern" in entries else None
    groups = pattern.groupindex if pattern else {"namespace": 0}
    if "joined" in groups and kind != "Service":
        node.problem(f'a group "joined" is for Services, which Kubernetes can tell apart; a {kind} needs "name"')
    elif kind not in CLUSTER_SCOPED and not plain.namespace and not {"namespace", "joined"} & set(groups):
        node.problem(f'a {kind} is in a namespace: give the pattern a group "namespace", or a "namespace" beside it')
    origin = label_name(entries["from"]) if "from" in entries else ""
    return Identity(kind, "", plain.namespace, origin, pattern, plain.absent, plain.when, plain.spelling)


def _spelling(node: Node) -> tuple[tuple[str, str], ...]:
    """``{"-": "_"}``: what Kubernetes' names have, and what the labels have in its place."""
    pairs = tuple(node.text_mapping().items())
    if any(len(ours) != 1 or len(theirs) != 1 for ours, theirs in pairs):
        node.problem('"spelling" pairs single characters, as in {"-": "_"}')
        return ()
    if len({theirs for _, theirs in pairs}) < len(pairs):
        node.problem('"spelling" gives two characters the same one: names could not be read back')
        return ()
    return pairs


def _template(node: Node) -> str:
    """A bare label name, or text with labels in braces."""
    text = node.text()
    if LABEL.fullmatch(text):
        return f"{{{text}}}"
    if not _TEMPLATE.fullmatch(text) or "{" not in text:
        node.problem(f'"{text}" is neither a label name nor a template such as "{{deployment}}-{{pod_template_hash}}"')
    return text


def _naming_expression(text: str) -> re.Pattern[str] | None:
    pattern = expression(text)
    groups = set(pattern.groupindex)
    if groups == {"joined"}:
        return pattern
    if "name" not in groups or groups - {"name", "namespace"}:
        raise ValueError(
            f'"{text}" needs a group (?P<name>…), may have (?P<namespace>…), and no other named group; '
            "or it has (?P<joined>…) alone"
        )
    return pattern
