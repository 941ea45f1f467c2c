"""The locks as data: what deploy/image/requirements.txt and build-requirements.txt say, for tests that compare it with what there is."""

from __future__ import annotations

import platform
import re
from dataclasses import dataclass

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.deploy.image.containerfile import ROOT

__all__ = ["Locked", "locked"]

_ENTRY = re.compile(r"^((?:# \S+\.whl\n)+)([A-Za-z0-9].*?) \\\n((?:    --hash=sha256:\w{64}(?: \\)?\n)+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Locked:
    """A locked requirement: its normalised name, its version, its marker, the names of its wheels, and their hashes (hex)."""

    name: str
    version: str
    requirement: Requirement
    wheels: tuple[str, ...]
    hashes: frozenset[str]

    def holds(self, python: str, machine: str = "") -> bool:
        """Whether it is wanted for a Python, as ``python3.13``, on Linux."""
        version = python.removeprefix("python")
        environment = {"python_version": version, "python_full_version": f"{version}.0", "sys_platform": "linux"}
        marker = self.requirement.marker
        return marker is None or marker.evaluate({**environment, "platform_machine": machine or platform.machine()})


def locked(name: str) -> list[Locked]:
    """What one of the files has."""
    text = (ROOT / "deploy" / "image" / name).read_text(encoding="utf-8")
    assert text.startswith("# Written by scripts/lock")
    return [_entry(*found) for found in _ENTRY.findall(text)]


def _entry(comment: str, line: str, hashes: str) -> Locked:
    requirement = Requirement(line)
    (pin,) = requirement.specifier
    assert pin.operator == "=="
    wheels = tuple(re.findall(r"\S+\.whl", comment))
    return Locked(canonicalize_name(requirement.name), pin.version, requirement, wheels, frozenset(re.findall(r"\w{64}", hashes)))
