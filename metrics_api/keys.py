"""Keys of a configuration, each described once: on the field of the dataclass that holds its value.

What reads a file, the help of a command, the reference in the documentation and the schema for editors all ask here, so that none of them
can tell something else. A default is that of the field, and is written nowhere else.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import MISSING, Field, dataclass, fields, replace
from typing import Any, Generic, TypeVar

from metrics_api.document import Node

__all__ = ["Form", "Key", "key", "keys_of", "names_of", "nested", "plain", "read_keys", "required_of"]

T = TypeVar("T")

_KEY, _NESTED = "key", "nested"
_NOTHING: tuple[Any, ...] = (None, "", (), {})
_LINK = re.compile(r"\[([^]]*)\]\([^)]*\)")


@dataclass(frozen=True, slots=True)
class Form(Generic[T]):
    """What the values of a key may be.

    ``allowed`` tells it to people, in the terms of Markdown, and ``schema`` to editors, as a JSON Schema. ``read`` takes the value from a
    node, or the default it is given where there was a mistake; None where who reads the rest of the section reads this as well. ``write``
    makes of a value what a file has for it.
    """

    allowed: str
    schema: Mapping[str, Any]
    read: Callable[[Node, T], T] | None = None
    write: Callable[[T], Any] = str


@dataclass(frozen=True, slots=True)
class Key:
    """One key: its ``name``, with dots where it lies in a mapping (``tls.caFile``), and what it means, in Markdown.

    ``field`` is the attribute that holds it. ``default`` is what a file would have to say for what holds anyway, None where that cannot be
    said, and ``otherwise`` then may. ``flag`` is that of a server's own keys, where the name does not tell it.
    """

    meaning: str
    form: Form[Any]
    name: str = ""
    flag: str = ""
    otherwise: str = ""
    required: bool = False
    field: str = ""
    default: Any = None


def key(
    meaning: str, form: Form[Any], name: str = "", *, flag: str = "", otherwise: str = "", required: bool = False
) -> dict[str, Key]:
    """The metadata of a field that holds the value of a key, whose name is that of the field in camel case unless it is given."""
    return {_KEY: Key(meaning, form, name, flag, otherwise, required)}


def nested(settings: type, prefix: str = "", without: Collection[str] = ()) -> dict[str, tuple[type, str, Collection[str]]]:
    """The metadata of a field that holds settings with keys of their own, whose names begin with ``prefix``; some may not be for it."""
    return {_NESTED: (settings, prefix, without)}


def keys_of(settings: type) -> tuple[Key, ...]:
    """The keys that the fields of a dataclass hold, in their order."""
    found: list[Key] = []
    for each in fields(settings):
        if _NESTED in each.metadata:
            inner, prefix, without = each.metadata[_NESTED]
            found += (replace(told, name=prefix + told.name) for told in keys_of(inner) if told.name not in without)
        elif _KEY in each.metadata:
            found.append(_complete(each))
    return tuple(found)


def names_of(keys: Iterable[Key]) -> tuple[str, ...]:
    """What a mapping with these keys may have: for keys that lie deeper, the mapping they lie in."""
    return tuple(dict.fromkeys(each.name.partition(".")[0] for each in keys))


def required_of(keys: Iterable[Key]) -> tuple[str, ...]:
    """What a mapping with these keys cannot do without."""
    return tuple(each.name for each in keys if each.required and "." not in each.name)


def read_keys(settings: type, entries: Mapping[str, Node]) -> dict[str, Any]:
    """The fields of a dataclass whose keys are among ``entries``; mistakes go to the problems of the nodes.

    Left out is what the forms do not read, and what fields hold that are settings of their own.
    """
    own = [(each, _complete(each)) for each in fields(settings) if _KEY in each.metadata]
    mappings: dict[str, Mapping[str, Node]] = {"": entries}
    found: dict[str, Any] = {}
    for each, described in own:
        parent, _, name = described.name.rpartition(".")
        if parent not in mappings:
            inside = [
                replace(other, name=other.name.removeprefix(f"{parent}."))
                for _, other in own
                if other.name.startswith(f"{parent}.")
            ]
            mappings[parent] = entries[parent].mapping(names_of(inside), required_of(inside)) if parent in entries else {}
        if name in mappings[parent] and described.form.read is not None:
            found[each.name] = described.form.read(mappings[parent][name], _default(each))
    return found


def plain(text: str) -> str:
    """A meaning without the marks of Markdown, for where they are not drawn."""
    return _LINK.sub(r"\1", text).replace("`", "")


def _complete(each: Field[Any]) -> Key:
    described: Key = each.metadata[_KEY]
    default = _default(each)
    head, *rest = each.name.split("_")
    return replace(
        described,
        name=described.name or head + "".join(word.capitalize() for word in rest),
        field=each.name,
        default=None if described.otherwise or default in _NOTHING else described.form.write(default),
    )


def _default(each: Field[Any]) -> Any:
    if each.default_factory is not MISSING:
        return each.default_factory()
    return None if each.default is MISSING else each.default
