"""The commands that the documentation shows: blocks, with the mark above each that says how it is run, and those in running text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["NEEDS", "PAGES", "ROOT", "SETTINGS", "Block", "blocks", "inline", "written"]

ROOT = Path(__file__).parent.parent.parent
PAGES = sorted(
    [
        *(ROOT / name for name in ("README.md", "CONTRIBUTING.md")),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "deploy").rglob("*.md"),
        *(ROOT / "bench").rglob("*.md"),
    ]
)

SETTINGS = ("shell", "demo", "store", "cluster", "python")
"""Where a block is run: in a copy of the project; beside the demonstration; beside a Prometheus that scrapes a mesh; in a cluster in which
the server is registered, and namespace shop has traffic; and as a program."""

NEEDS = (
    "an AWS account",
    "a container engine",
    "a cluster with nodes",
    "a cluster with Flagger",
    "a cluster with Grafana",
    "another cluster",
    "a signing key",
    "a release",
    "Krew",
    "the package from a registry",
    "the time of all tests",
    "a TrafficSplit with traffic",
)
"""What the tests lack, and why a block is then not run."""

_FENCE = re.compile(r"^(?P<indent> *)```(?P<language>sh|shell|bash|console|python)\s*$")
_MARK = re.compile(r"<!-- (?P<word>run|needs|tested): (?P<rest>.*?) -->")
_PROMPT = "$ "
_CODE = re.compile(r"`([^`\n]+)`")
_FENCED = re.compile(r"^ *```.*?^ *```", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Block:
    """A block of commands. ``word`` and ``rest`` are of the mark right above it, and empty where there is none."""

    page: str
    line: int
    language: str
    text: str
    word: str = ""
    rest: str = ""

    @property
    def place(self) -> str:
        """Where it begins."""
        return f"{self.page}:{self.line}"

    @property
    def commands(self) -> str:
        """What is to be typed: of a console, the lines after the prompt and those that they go on in."""
        if self.language != "console":
            return self.text
        typed: list[str] = []
        for line in self.text.splitlines():
            if line.startswith(_PROMPT):
                typed.append(line.removeprefix(_PROMPT))
            elif typed and typed[-1].endswith("\\"):
                typed.append(line)
        return "\n".join(typed) + "\n"


def blocks() -> Iterator[Block]:
    """Every block of every page."""
    for page in PAGES:
        yield from _blocks(page)


def _blocks(page: Path) -> Iterator[Block]:
    lines = page.read_text(encoding="utf-8").splitlines()
    at = 0
    while at < len(lines):
        fence = _FENCE.match(lines[at])
        if fence is None:
            at += 1
            continue
        end = next(line for line in range(at + 1, len(lines)) if lines[line].strip() == "```")
        mark = _MARK.fullmatch(lines[at - 1].strip()) if at else None
        indent = len(fence["indent"])
        yield Block(
            page=str(page.relative_to(ROOT)),
            line=at + 1,
            language=fence["language"],
            text="".join(f"{line[indent:]}\n" for line in lines[at + 1 : end]),
            word=mark["word"] if mark else "",
            rest=mark["rest"] if mark else "",
        )
        at = end + 1


def written() -> Iterator[str]:
    """The commands of our programs and of kubectl in blocks that are not run."""
    for block in blocks():
        if block.word == "needs" and block.language != "python":
            for line in block.commands.replace("\\\n", " ").splitlines():
                command = re.sub(r" +#.*$", "", line)
                if command.startswith(("trafficmetrics ", "kubectl ")) and '"$(' not in command:
                    yield command


def inline() -> Iterator[tuple[str, str]]:
    """The page and the text of every command in running text and in tables: what begins with the name of one of our programs."""
    for page in PAGES:
        prose = _FENCED.sub("", page.read_text(encoding="utf-8"))
        for code in _CODE.findall(prose):
            if code.startswith(("trafficmetrics ", "kubectl ")):
                yield str(page.relative_to(ROOT)), code
