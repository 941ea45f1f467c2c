"""The files a configuration is made of: read as a whole, and looked at for changes."""

from __future__ import annotations

import hashlib
import os
import stat
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from apiservice.settings import Settings, read_settings
from metrics_api import BadConfiguration, Source
from metrics_api.document import Node, Problems

__all__ = ["ConfigurationFiles", "misfits"]

_STANDARD_INPUT = "-"
_NOTHING = b""


class ConfigurationFiles:
    """A configuration file, and the files it names that are configuration themselves.

    ``file`` is None where flags and environment say everything, and "-" for standard input. That is read once and not followed, as is a
    pipe, which has nothing more to say. ``sources_of`` makes the sources of the ``backends`` list, their mistakes going to the problems of
    its nodes, and ``named_in`` tells the files these name.
    """

    def __init__(
        self,
        file: str | None,
        flags: Mapping[str, str],
        environment: Mapping[str, str],
        sources_of: Callable[[Iterable[Node]], list[Source]],
        named_in: Callable[[Iterable[Node]], list[Path]],
    ) -> None:
        self._file = file
        self._flags = dict(flags)
        self._environment = dict(environment)
        self._sources_of = sources_of
        self._named_in = named_in
        self._seen: dict[Path, bytes] = {}
        self._once: bytes | None = None

    def load(self, *, sources_needed: bool = True, problems: Problems | None = None) -> tuple[Settings, list[Source]]:
        """Settings and sources as they are written now, the sources not yet opened; none is a mistake unless none is needed.

        Raises :class:`metrics_api.errors.BadConfiguration` with every mistake; who gives ``problems`` finds remarks in them.
        """
        problems = Problems() if problems is None else problems
        name = "standard input" if self._file == _STANDARD_INPUT else self._file or "configuration"
        settings = read_settings(self._text(), name, self._flags, self._environment, problems)
        entries = [*settings.backends, *self._source_of_flags(problems)]
        # Each of these is looked at before it is read: what changes in between is a change.
        self._seen |= {path: _content(path) for path in self._named_in(entries)}
        if not entries and sources_needed:
            problems.add("backends", "no source is configured: list one, or give --prometheus-url")
        sources = self._sources_of(entries)
        for told in misfits(sources, settings.metrics.refresh):
            problems.add("metrics.refresh", told)
        problems.raise_if_any()
        return settings, sources

    def changed(self) -> bool:
        """Whether a file says something else than when it was loaded."""
        return any(_content(path) != seen for path, seen in self._seen.items())

    def _text(self) -> str:
        """The text of the file, which is noted as seen where it is followed."""
        self._seen = {}
        if self._file is None:
            return ""
        try:
            return self._bytes(self._file).decode()
        except OSError as error:
            raise BadConfiguration([f"{self._file}: cannot be read: {error.strerror}"]) from error
        except UnicodeDecodeError as error:
            raise BadConfiguration([f"{self._file}: is not UTF-8 text"]) from error

    def _bytes(self, file: str) -> bytes:
        """What is in the file. What is hashed is what is read: the file may be another one a moment later."""
        if self._once is not None:
            return self._once
        if file == _STANDARD_INPUT:
            self._once = sys.stdin.buffer.read()
            return self._once
        path = Path(file)
        self._seen = {path: _NOTHING}
        with path.open("rb") as opened:
            content = opened.read()
            regular = stat.S_ISREG(os.fstat(opened.fileno()).st_mode)
        self._seen = {path: _digest(content)} if regular else {}
        self._once = None if regular else content
        return content

    def _source_of_flags(self, problems: Problems) -> list[Node]:
        """The source that ``--prometheus-url`` and ``--dialect`` describe, as an entry of ``backends``."""
        given = {
            key: self._flags.get(flag) or self._environment.get(f"TRAFFICMETRICS_{flag.upper().replace('-', '_')}", "")
            for key, flag in (("url", "prometheus-url"), ("dialect", "dialect"))
        }
        if not any(given.values()):
            return []
        entry = {"name": "prometheus", "type": "prometheus", **{key: value for key, value in given.items() if value}}
        flag_of = {"url": "--prometheus-url", "dialect": "--dialect"}
        nodes = {key: Node(value, flag_of.get(key, "flags"), 0, "", problems) for key, value in entry.items()}
        if "url" not in entry:
            problems.add("--prometheus-url", "is missing: --dialect says what that store keeps")
            return []
        return [Node(nodes, "flags", 0, "", problems)]


def misfits(sources: Sequence[Source], refresh: int) -> Iterator[str]:
    """Why sources cannot be asked for answers of an instant that may be ``refresh`` seconds ago."""
    for source in sources:
        reach = source.offer.reach
        if reach is not None and refresh > reach:
            yield f'source "{source.name}" cannot be asked about more than {reach}s ago: make it {reach}s at most'


def _content(path: Path) -> bytes:
    """What stands for what is in a file; nothing for one that cannot be read, and for what is no file, which reading would empty."""
    try:
        return _digest(path.read_bytes()) if path.is_file() else _NOTHING
    except (OSError, ValueError):
        return _NOTHING


def _digest(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()
