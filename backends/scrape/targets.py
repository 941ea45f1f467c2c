"""Targets: the proxies that are scraped, from the configuration and from a file in Prometheus' file_sd form.

Source of the form: prometheus/prometheus, docs/configuration/configuration.md, "file_sd_config".
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from backends.transport import require_host, require_no_user
from metrics_api import BadConfiguration
from metrics_api.document import Node, Problems, parse_document

__all__ = ["Target", "TargetsFile", "address", "label_name", "target_path"]

_ADDRESS = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):([0-9]{1,5})")
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_RESERVED = "__"
_SCHEME, _PATH = "__scheme__", "__metrics_path__"


@dataclass(frozen=True, slots=True)
class Target:
    """One proxy: where it exposes its metrics, and the labels every series of it gets (pairs, sorted by name)."""

    address: str
    path: str = "/stats/prometheus"
    scheme: str = "http"
    labels: tuple[tuple[str, str], ...] = ()

    @property
    def url(self) -> str:
        """What is asked."""
        return f"{self.scheme}://{self.address}{self.path}"

    def labelled(self, job: str) -> dict[str, str]:
        """Its labels with the two that every scrape adds, ``job`` and ``instance``, unless they were given."""
        labels = {"job": job, "instance": self.address} | dict(self.labels)
        return {name: value for name, value in labels.items() if value}


class TargetsFile:
    """A file of targets that another program keeps up to date. Reading it blocks: call from a thread."""

    def __init__(self, path: str, default_path: str, default_scheme: str) -> None:
        self._path = Path(path)
        self._default_path = default_path
        self._default_scheme = default_scheme
        self._version: tuple[int, int, int] | None = None
        self._targets: tuple[Target, ...] = ()

    def read(self) -> tuple[Target, ...]:
        """The targets in the file, read again if it changed. :class:`BadConfiguration` says what is wrong with it."""
        try:
            status = self._path.stat()
            version = (status.st_mtime_ns, status.st_size, status.st_ino)
            if version != self._version:
                self._targets = self._parse(self._path.read_text(encoding="utf-8"))
                self._version = version
        except OSError as error:
            raise BadConfiguration([f'targets file "{self._path}" cannot be read: {error.strerror}']) from error
        except UnicodeDecodeError as error:
            raise BadConfiguration([f'targets file "{self._path}" is not UTF-8 text']) from error
        except ValueError as error:
            raise BadConfiguration(["the path of the targets file has a character in it that no path can have"]) from error
        return self._targets

    def _parse(self, text: str) -> tuple[Target, ...]:
        problems = Problems()
        root = self._json(text, problems) if self._path.suffix == ".json" else parse_document(text, str(self._path), problems)
        targets: dict[Target, None] = {}
        for group in root.items():
            entries = group.mapping(("targets", "labels"), required=("targets",))
            labels = _labels(entries["labels"]) if "labels" in entries else {}
            path = labels.pop(_PATH, self._default_path)
            scheme = labels.pop(_SCHEME, self._default_scheme)
            kept = tuple(sorted((name, value) for name, value in labels.items() if not name.startswith(_RESERVED)))
            for node in entries["targets"].items() if "targets" in entries else ():
                targets[Target(node.read(address, ""), path, scheme, kept)] = None
        problems.raise_if_any()
        return tuple(targets)

    def _json(self, text: str, problems: Problems) -> Node:
        """JSON by its own parser, which is a hundred times faster than YAML's on a list of thousands."""
        file = str(self._path)
        try:
            return _node(json.loads(text), file, "", problems)
        except json.JSONDecodeError as error:
            raise BadConfiguration([f"{file}:{error.lineno}: not JSON: {error.msg}"]) from error
        except RecursionError as error:
            raise BadConfiguration([f"{file}: values are nested too deeply"]) from error


def _labels(node: Node) -> dict[str, str]:
    labels = node.text_mapping()
    for name, value in labels.items():
        if not _LABEL.fullmatch(name):
            node.problem(f'"{name}" is not a label name')
        if name == _SCHEME and value not in ("http", "https"):
            node.problem(f'"{_SCHEME}" is http or https')
        if name == _PATH and not value.startswith("/"):
            node.problem(f'"{_PATH}" begins with "/"')
    return labels


def _node(value: object, file: str, path: str, problems: Problems) -> Node:
    """A JSON value as a node of a document; JSON's parser gives no lines."""
    node = Node(None, file, 1, path, problems)
    if isinstance(value, Mapping):
        node.value = {key: _node(item, file, f"{path}.{key}" if path else key, problems) for key, item in value.items()}
    elif isinstance(value, list):
        node.value = [_node(item, file, f"{path}[{index}]", problems) for index, item in enumerate(value)]
    elif value is not None:
        node.value = value if isinstance(value, str) else json.dumps(value)
    return node


def address(text: str) -> str:
    """A host and a port. ValueError when ``text`` is something else."""
    require_no_user(text, "use basicAuth with passwordFile")
    match = _ADDRESS.fullmatch(text)
    if match is None or not 1 <= int(match[1]) <= 65535:
        raise ValueError(f'"{_bare(text)}" is not a target such as 10.0.0.7:15090: a host and a port, no scheme and no path')
    require_host(text.rpartition(":")[0], f'"{text}" is not a target')
    return text


def label_name(text: str) -> str:
    """The name of a label that a target may add. ValueError when it may not."""
    if not _LABEL.fullmatch(text) or text.startswith(_RESERVED):
        raise ValueError(f'"{text}" is not a name for a label of a target')
    return text


def target_path(text: str) -> str:
    """A path on a target, with its query if it has one. ValueError when ``text`` is something else."""
    if not text.startswith("/") or any(character <= " " for character in text) or "#" in text:
        raise ValueError(f'"{_bare(text)}" is not a path such as /stats/prometheus')
    return text


def _bare(text: str) -> str:
    """What a message repeats of an address or a path: not its query, which may have a token in it."""
    return text.partition("?")[0]
