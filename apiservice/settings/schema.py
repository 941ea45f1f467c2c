"""The JSON Schema of a configuration file, by which editors complete it and underline what is wrong.

It knows one file at a time: what depends on the files that it names, or on flags, only ``trafficmetrics config check`` finds. It takes
values in their natural types alone (a port is a number), where the server takes ``"6443"`` as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from apiservice.settings.options import SECTIONS
from metrics_api.keys import Key, keys_of, plain

__all__ = ["Entry", "schema"]


@dataclass(frozen=True, slots=True)
class Entry:
    """Which keys an entry of ``backends`` has where it says ``when``; ``unsaid`` may be left out of that."""

    when: Mapping[str, str]
    keys: tuple[Key, ...]
    required: tuple[str, ...] = ()
    unsaid: tuple[str, ...] = ()


def schema(common: Iterable[Key], entries: Iterable[Entry], overrides: Iterable[Key]) -> dict[str, Any]:
    """The schema of a file: the server's sections, and entries of ``backends`` with their ``common`` keys and those of each kind."""
    shared = tuple(common)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Configuration of TrafficMetrics",
        "type": "object",
        "properties": {
            **{section: _nullable(_mapping(keys_of(settings))) for section, settings in SECTIONS.items()},
            "backends": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {key.name: _value(key) for key in shared if "." not in key.name},
                    "required": [key.name for key in shared if key.required],
                    "allOf": [_branch(shared, entry) for entry in entries],
                },
            },
        },
        "additionalProperties": False,
        "$defs": {"overrides": _mapping(tuple(overrides))},
    }


def _branch(common: tuple[Key, ...], entry: Entry) -> dict[str, Any]:
    said = [key for key in entry.when if key not in entry.unsaid]
    then = _mapping((*common, *entry.keys))
    then["required"] = sorted({*then.get("required", ()), *entry.required})
    return {"if": {"properties": {key: {"const": word} for key, word in entry.when.items()}, "required": said}, "then": then}


def _nullable(told: dict[str, Any]) -> dict[str, Any]:
    """A section of which only the name is there is an empty one."""
    return {**told, "type": ["object", "null"]}


def _mapping(keys: Iterable[Key], prefix: str = "") -> dict[str, Any]:
    """A mapping of keys, of which those with a dot lie in mappings of their own."""
    properties: dict[str, Any] = {}
    required: list[str] = []
    own = [(key, key.name.removeprefix(prefix)) for key in keys if key.name.startswith(prefix)]
    for key, name in own:
        head, dot, _ = name.partition(".")
        if dot and head not in properties:
            properties[head] = _mapping([other for other, _ in own], f"{prefix}{head}.")
        elif not dot:
            properties[name] = _value(key)
            required += [name] if key.required else []
    told: dict[str, Any] = {"type": "object", "properties": properties, "additionalProperties": False}
    return told | ({"required": required} if required else {})


def _value(key: Key) -> dict[str, Any]:
    told = {**key.form.schema, "description": plain(key.meaning)}
    return told if key.default is None else told | {"default": key.default}
