"""What is found when a source is examined: is it reached, what can be answered out of it, what is wrong, and what to do about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol, runtime_checkable

from metrics_api.window import Window

__all__ = ["Ability", "Diagnosable", "Diagnosis", "Finding", "Level", "Mesh", "advised", "sentence"]

_SUBJECTS = frozenset({"it", "its", "no", "nobody", "our", "the", "there", "what"})
"""Words in lower case that begin a sentence which has a subject."""


class Level(StrEnum):
    """How much a finding matters: worth knowing, something is lost, or numbers are missing or wrong."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing found: ``what`` is so, in one sentence without a full stop, and ``advice`` what to do, empty when there is nothing to do.

    ``check`` is one word for what was examined, which stays the same from release to release.
    """

    level: Level
    source: str
    check: str
    what: str
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Ability:
    """Of which resources, in the plural (``workloads``, ``pods``), a dialect tells what, given the series there are.

    ``told`` are those of ``received``, ``to`` and ``from`` that can be answered, ``lost`` those that could be if the series were complete.
    """

    dialect: str
    resources: str
    told: tuple[str, ...]
    lost: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Mesh:
    """A mesh that a source tells of: its name for people, and the dialect in which it is told of.

    ``versions`` are all that are seen at the time, the lowest first; several while a mesh is upgraded, none where none can be seen. ``of``
    says whose they are where they are not the mesh's own: ``proxy``, ``Envoy``.
    """

    name: str
    dialect: str
    versions: tuple[str, ...] = ()
    of: str = ""

    def __str__(self) -> str:
        return " ".join(filter(None, (self.name, f"({self.of} {self._listed})" if self.of and self.versions else self._listed)))

    @property
    def _listed(self) -> str:
        return " and ".join(filter(None, (", ".join(self.versions[:-1]), *self.versions[-1:])))


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The findings about one source, its abilities dialect by dialect, and the meshes it tells of.

    ``summary`` is one line that says what it is and how it answered. ``facts`` are the same for programs: texts and numbers by name.
    ``namespaces`` are those that its series name, None where that was not looked for or cannot be told.
    """

    source: str
    summary: str = ""
    facts: Mapping[str, str | float] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    abilities: tuple[Ability, ...] = ()
    meshes: tuple[Mesh, ...] = ()
    namespaces: frozenset[str] | None = None

    @property
    def level(self) -> Level:
        """That of the worst finding."""
        levels = {finding.level for finding in self.findings}
        return next((level for level in (Level.PROBLEM, Level.WARNING) if level in levels), Level.OK)


@runtime_checkable
class Diagnosable(Protocol):
    """A source that can be examined. It need not be open for that, and whatever is wrong with it is a finding, not an error."""

    @property
    def name(self) -> str:
        """The name it has in the configuration."""
        ...

    async def diagnose(self, window: Window) -> Diagnosis:
        """Examine the source for questions about ``window``, within some ten seconds."""
        ...


def sentence(source: str, text: str) -> str:
    """What an error or a warning says of ``source``, as a sentence that does not name it: its findings are told under its name."""
    what = text.removeprefix(f'source "{source}"').removeprefix(":").lstrip()
    first = what.partition(" ")[0]
    # Most of them are what the source does. Others begin with a name (AWS, GetMetricData, cloudwatch:ListMetrics), or have a subject.
    return what if first[:1].isupper() or ":" in first or first in _SUBJECTS else f"it {what}"


def advised(source: str, text: str) -> tuple[str, str]:
    """The :func:`sentence` of an error, and what stands behind its first semicolon: what to do about it, empty if it does not say."""
    what, _, advice = text.partition("; ")
    return sentence(source, what), advice
