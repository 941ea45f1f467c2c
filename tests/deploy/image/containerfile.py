"""The Containerfile as data: its stages, their instructions, and the commands that build the image, for tests to read and to run."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

__all__ = ["ROOT", "Containerfile", "Instruction", "Stage", "read_containerfile"]

ROOT = Path(__file__).parents[3]


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction: its name in capitals, its options (``--from=build``), and the rest as it is written."""

    name: str
    options: Mapping[str, str]
    rest: str

    @property
    def words(self) -> list[str]:
        """The rest, as a shell divides it, or as the list it is (exec form)."""
        return list(json.loads(self.rest)) if self.rest.startswith("[") else shlex.split(self.rest)


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage: what it is made from, its name, its instructions in their order."""

    base: str
    name: str
    instructions: tuple[Instruction, ...]

    def of(self, name: str) -> list[Instruction]:
        """Its instructions of one name."""
        return [each for each in self.instructions if each.name == name]


@dataclass(frozen=True, slots=True)
class Containerfile:
    """The arguments before the first stage with their defaults, and the stages."""

    arguments: Mapping[str, str]
    stages: tuple[Stage, ...]


def read_containerfile(text: str) -> Containerfile:
    """Read a Containerfile: comments, continued lines, options."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    whole = re.sub(r"\\\n\s*", "", "\n".join(lines))
    instructions = [_instruction(line) for line in whole.splitlines() if line.strip()]
    starts = [index for index, each in enumerate(instructions) if each.name == "FROM"]
    arguments = dict(each.rest.partition("=")[::2] for each in instructions[: starts[0]])
    stages = []
    for start, end in zip(starts, [*starts[1:], len(instructions)], strict=True):
        base, _, name = instructions[start].rest.partition(" AS ")
        stages.append(Stage(base, name, tuple(instructions[start + 1 : end])))
    return Containerfile(arguments, tuple(stages))


def _instruction(line: str) -> Instruction:
    name, _, rest = line.strip().partition(" ")
    options = {}
    while match := re.match(r"--([a-z]+)=(\S+)\s+", rest):
        options[match[1]] = match[2]
        rest = rest[match.end() :]
    return Instruction(name, options, rest.strip())
