"""The tables of docs/configuration.md, out of what the fields of settings say of their keys."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from apiservice.settings.options import OPTIONS
from metrics_api.keys import Key

__all__ = ["section_table", "source_table"]


def section_table(section: str) -> str:
    """The keys of one of the server's own sections."""
    rows = [
        (
            f"`{each.key}`",
            _flag(each.name),
            f"`{each.variable}`",
            _default(each.described),
            each.described.form.allowed,
            each.described.meaning,
        )
        for each in OPTIONS
        if each.section == section
    ]
    return _table(("key", "flag", "environment variable", "default", "values", "meaning"), rows)


def source_table(keys: Iterable[Key], taken_by: Mapping[str, str] | None = None) -> str:
    """Keys of sources. ``taken_by`` tells for keys that not every source of a type takes which of them do."""
    rows = [(f"`{each.name}`", _default(each), each.form.allowed, each.meaning) for each in keys]
    if taken_by is None:
        return _table(("key", "default", "values", "meaning"), rows)
    told = [(row[0], taken_by.get(row[0].strip("`").partition(".")[0], "all"), *row[1:]) for row in rows]
    return _table(("key", "with `source`", "default", "values", "meaning"), told)


def _flag(name: str) -> str:
    return f"`-{name}`, `--{name}`" if len(name) == 1 else f"`--{name}`"


def _default(key: Key) -> str:
    if key.required:
        return f"required in `{key.name.rpartition('.')[0]}`" if "." in key.name else "required"
    if key.default is None:
        return key.otherwise
    return f"`{str(key.default).lower() if isinstance(key.default, bool) else key.default}`"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "\n".join(map(_line, (head, ["---"] * len(head), *rows)))


def _line(cells: Sequence[str]) -> str:
    return "|" + "|".join(f" {cell} " if cell else " " for cell in cells) + "|"
