"""Documents written by people (configuration, dialects): every mistake is found, each with its file and line.

A YAML text becomes a tree of :class:`Node`; readers take what they know from it and report the rest to one :class:`Problems`.
Reading goes on after a mistake, so that one run names them all.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

import yaml

from metrics_api.errors import BadConfiguration, BadQuery

__all__ = ["Node", "Problems", "parse_document"]

T = TypeVar("T")

_MERGE = "<<"
_MOST_VALUES = 100_000
_WHOLE = re.compile(r"-?[0-9]{1,18}")
_YAML = "tag:yaml.org,2002:"
_TAGS = frozenset(_YAML + each for each in ("null", "bool", "int", "float", "str", "seq", "map", "timestamp", "merge", "value"))
"""The tags of YAML that change nothing here, since values are text until a reader says what they are."""


@dataclass(slots=True)
class Problems:
    """The mistakes found so far.

    ``remarks`` are no mistakes, but worth a look. Of a document for another machine, ``elsewhere``, files that are not here are no mistake.
    """

    found: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    elsewhere: bool = False

    def add(self, place: str, message: str) -> None:
        """Note one mistake."""
        self.found.append(f"{place}: {message}")

    def raise_if_any(self) -> None:
        """:class:`BadConfiguration` with every mistake, in the order found, when there is one."""
        if self.found:
            raise BadConfiguration(self.found)


@dataclass(slots=True)
class Node:
    """One value of a document, with the place it was written at; line 0 for what was not written in a file (a flag).

    The line of a value that has a key is that of the key: between the two there may be comments and blank lines, and it is the key that
    messages name.
    ``value`` is None, a string, a list of nodes or a dict of nodes; scalars stay text until a reader says what they are.
    ``read_before`` are keys that a mapping may have and that somebody else reads.
    """

    value: str | list[Node] | dict[str, Node] | None
    file: str
    line: int
    path: str
    problems: Problems
    read_before: tuple[str, ...] = ()

    @property
    def place(self) -> str:
        """File, line and path, as a message begins."""
        where = f"{self.file}:{self.line}" if self.line else self.file
        return f"{where}: {self.path}" if self.path else where

    def problem(self, message: str) -> None:
        """Report a mistake at this place."""
        self.problems.add(self.place, message)

    def remark(self, message: str) -> None:
        """Say what is worth a look at this place."""
        self.problems.remarks.append(f"{self.place}: {message}")

    def absent(self, path: str) -> None:
        """Report that a file that is named here is not there."""
        if "\n" in path:
            # A key, as it were, which nobody else is to see.
            self.problem("is no path, but what belongs into a file")
        elif self.problems.elsewhere:
            self.remark(f'there is no file "{path}" here')
        else:
            self.problem(f'there is no file "{path}"')

    def mapping(self, known: Iterable[str] | None = None, required: Iterable[str] = ()) -> dict[str, Node]:
        """The entries of a mapping; reports keys that are not ``known`` (None allows any) and ``required`` ones that are missing."""
        if self.value is None:
            entries: dict[str, Node] = {}
        elif isinstance(self.value, dict):
            entries = self.value
        else:
            self.problem("must be a mapping of keys to values")
            return {}
        for key in required:
            if key not in entries:
                self.problem(f'"{key}" is missing')
        if known is None:
            return entries
        names = list(known)
        for key, node in entries.items():
            if key not in names and key not in self.read_before:
                node.problem(f'unknown key "{key}"; known are {", ".join((*names, *self.read_before))}')
        return {key: node for key, node in entries.items() if key in names}

    def items(self) -> list[Node]:
        """The entries of a list; reports anything else."""
        if self.value is None:
            return []
        if isinstance(self.value, list):
            return self.value
        self.problem("must be a list")
        return []

    def text(self, default: str = "") -> str:
        """A string; reports anything else."""
        if isinstance(self.value, str):
            return self.value
        self.problem("must be a single value")
        return default

    def read(self, parse: Callable[[str], T], default: T) -> T:
        """A string turned into something by ``parse``; a :class:`BadQuery` or ValueError from it is reported here."""
        if not isinstance(self.value, str):
            self.problem("must be a single value")
            return default
        try:
            return parse(self.value)
        except (BadQuery, ValueError) as error:
            self.problem(str(error))
            return default

    def choice(self, options: Iterable[str], default: str) -> str:
        """One of a few words."""
        words = list(options)

        def parse(text: str) -> str:
            if text not in words:
                raise ValueError(f'"{text}" is not one of {", ".join(words)}')
            return text

        return self.read(parse, default)

    def integer(self, low: int, high: int, default: int) -> int:
        """A whole number within bounds."""

        def parse(text: str) -> int:
            if not _WHOLE.fullmatch(text) or not low <= int(text) <= high:
                raise ValueError(f'"{text}" is not a whole number from {low} to {high}')
            return int(text)

        return self.read(parse, default)

    def boolean(self, *, default: bool) -> bool:
        """``true`` or ``false``."""
        return self.choice(("true", "false"), "true" if default else "false") == "true"

    def texts(self) -> list[str]:
        """A list of strings."""
        return [node.text() for node in self.items()]

    def text_mapping(self) -> dict[str, str]:
        """A mapping of strings to strings."""
        return {key: node.text() for key, node in self.mapping().items()}

    def walk(self) -> Iterator[Node]:
        """This node and all below it."""
        yield self
        if isinstance(self.value, dict):
            for child in self.value.values():
                yield from child.walk()
        elif isinstance(self.value, list):
            for child in self.value:
                yield from child.walk()


def parse_document(text: str, file: str, problems: Problems) -> Node:
    """The tree of one YAML document. What leaves nothing to read raises :class:`BadConfiguration` at once: bad syntax, endless aliases."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        return _Reading(file, problems).node(root, "", frozenset()) if root is not None else Node({}, file, 1, "", problems)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise BadConfiguration([f"{file}:{line}: not YAML: {error.problem}"]) from error
    except yaml.YAMLError as error:
        raise BadConfiguration([f"{file}: not YAML: {error}"]) from error
    except RecursionError as error:
        raise BadConfiguration([f"{file}: values are nested too deeply"]) from error


class _Reading:
    """One pass over a composed document; aliases are followed, so what they make it grow to is bounded."""

    def __init__(self, file: str, problems: Problems) -> None:
        self._file = file
        self._problems = problems
        self._seen = 0

    def node(self, source: yaml.Node, path: str, above: frozenset[int], key: yaml.Node | None = None) -> Node:
        """The tree below ``source``; ``above`` holds the identities of the values it lies in."""
        node = self._blank(key or source, path)
        self._require_no_tag(source, node)
        above = self._enter(source, node, above)
        if isinstance(source, yaml.MappingNode):
            node.value = self._entries(source, path, above)
        elif isinstance(source, yaml.SequenceNode):
            node.value = [self.node(child, f"{path}[{index}]", above) for index, child in enumerate(source.value)]
        elif source.tag != "tag:yaml.org,2002:null":
            node.value = str(source.value)
        return node

    def _entries(self, source: yaml.MappingNode, path: str, above: frozenset[int]) -> dict[str, Node]:
        """The entries of a mapping; ``<<`` brings in those of others, which the mapping's own override."""
        merged: dict[str, Node] = {}
        own: dict[str, Node] = {}
        for key, value in source.value:
            if not isinstance(key, yaml.ScalarNode):
                self._blank(key, path).problem("a key must be a single value")
                continue
            name = str(key.value)
            self._require_no_tag(key, self._blank(key, path))
            if name == _MERGE:
                merged |= self._merged(value, path, above)
                continue
            child = self.node(value, f"{path}.{name}" if path else name, above, key)
            if name in own:
                child.problem(f'"{name}" is given twice')
            own[name] = child
        return merged | own

    def _merged(self, source: yaml.Node, path: str, above: frozenset[int]) -> dict[str, Node]:
        """What ``<<`` brings in: the entries of one mapping, or of a list of them, of which the first to have a key gives it."""
        here = self._blank(source, path)
        above = self._enter(source, here, above)
        if isinstance(source, yaml.MappingNode):
            return self._entries(source, path, above)
        if not isinstance(source, yaml.SequenceNode):
            here.problem(f'"{_MERGE}" takes a mapping or a list of mappings')
            return {}
        entries: dict[str, Node] = {}
        for child in source.value:
            entries = self._merged(child, path, above) | entries
        return entries

    def _require_no_tag(self, source: yaml.Node, node: Node) -> None:
        """Report a tag that other programs replace by something (``!vault``): here the text behind it would be taken for the value."""
        if source.tag not in _TAGS:
            node.problem(f'tag "{source.tag.replace(_YAML, "!!")}" means nothing here: write the value itself')

    def _blank(self, source: yaml.Node, path: str) -> Node:
        return Node(None, self._file, source.start_mark.line + 1, path, self._problems)

    def _enter(self, source: yaml.Node, node: Node, above: frozenset[int]) -> frozenset[int]:
        if id(source) in above:
            raise BadConfiguration([f"{node.place}: an alias refers to itself"])
        self._seen += 1
        if self._seen > _MOST_VALUES:
            raise BadConfiguration([f"{node.place}: aliases make the document grow past {_MOST_VALUES} values"])
        return above | {id(source)}
