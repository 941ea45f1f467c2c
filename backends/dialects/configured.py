"""The dialect of a source as its configuration has it: by name, by file or to be found out, and what is overridden of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from backends.dialects.dialect import Dialect
from backends.dialects.load import AUTO, builtin_dialects, load_dialect, read_dialect
from backends.dialects.overrides import Overrides, misfits, override, read_overrides
from metrics_api.document import Node
from metrics_api.keys import Form

__all__ = ["DIALECT", "OVERRIDES", "Configured", "read_configured"]

DIALECT: Form[Any] = Form("a name, or the path of a file", {"type": "string"})
OVERRIDES: Form[Any] = Form("a mapping", {"$ref": "#/$defs/overrides"})

_TARGETS = "say which dialect the targets speak"


@dataclass(frozen=True, slots=True)
class Configured:
    """A dialect, overridden already, or None where it is to be found out; ``overrides`` are for what is found then."""

    dialect: Dialect | None
    overrides: Overrides


def read_configured(entries: Mapping[str, Node], *, auto: bool, default: str = "", otherwise: str = _TARGETS) -> Configured | None:
    """From the entries ``dialect`` and ``overrides`` of a source, which leaves it to be found out if ``auto`` and nothing else is said.

    ``default`` is the name of the dialect of a source that says nothing and finds nothing out, ``otherwise`` why it does not. None when
    there were mistakes; they go to the problems of the nodes.
    """
    node = entries.get("overrides")
    overrides = Overrides() if node is None else read_overrides(node)
    if "dialect" not in entries and default:
        return None if overrides is None else _overridden(node, load_dialect(default), overrides)
    if "dialect" not in entries and not auto:
        return None
    if "dialect" not in entries or entries["dialect"].value == AUTO:
        if not auto:
            entries["dialect"].problem(f'"{AUTO}" is for stores, which can be asked what they have: {otherwise}')
            return None
        if overrides is None or (node is not None and _misfits_all(node, overrides)):
            return None
        return Configured(None, overrides)
    dialect = read_dialect(entries["dialect"], auto=auto)
    return None if dialect is None or overrides is None else _overridden(node, dialect, overrides)


def _overridden(node: Node | None, dialect: Dialect, overrides: Overrides) -> Configured | None:
    unfit = list(misfits(dialect, overrides))
    for misfit in unfit:
        if node is not None:
            _at(node, misfit.path).problem(f"dialect {dialect.name} {misfit.reason}")
    return None if unfit else Configured(override(dialect, overrides), overrides)


def _misfits_all(node: Node, overrides: Overrides) -> bool:
    """Whether something of the overrides fits no built-in dialect, which is then a problem."""
    if overrides == Overrides():
        return False
    found = [{misfit.path for misfit in misfits(load_dialect(name), overrides)} for name in builtin_dialects()]
    everywhere = sorted(set.intersection(*found), key=str)
    for path in everywhere:
        what = f'uses a label "{path[1]}"' if path[0] == "labels" else "can take this"
        _at(node, path).problem(f"no built-in dialect {what}")
    return bool(everywhere)


def _at(node: Node, path: tuple[str | int, ...]) -> Node:
    for step in path:
        node = node.items()[step] if isinstance(step, int) else node.mapping()[step]
    return node
