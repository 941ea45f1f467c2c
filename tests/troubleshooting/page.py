"""docs/troubleshooting.md as tests read it: what people see, word for word, by the heading it stands under."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

__all__ = ["PAGE", "Entry", "entries", "expect"]

PAGE = Path(__file__).parents[2] / "docs" / "troubleshooting.md"


@dataclass(frozen=True, slots=True)
class Entry:
    """A symptom: ``symptoms`` are the texts people see, ``body`` what the page says about them."""

    heading: str
    symptoms: tuple[str, ...]
    body: str


@cache
def entries() -> dict[str, Entry]:
    """All entries, by their headings."""
    found = {}
    for section in re.split(r"^### ", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
        heading, _, rest = section.partition("\n")
        body = re.split(r"^## ", rest, flags=re.MULTILINE)[0]
        shown, _, _ = body.partition("**Cause.**")
        found[heading] = Entry(heading, tuple(re.findall(r"```text\n(.*?)\n```", shown, re.DOTALL)), body)
    return found


def expect(heading: str, seen: str, variant: int = 0) -> None:
    """Hold what was seen against what the page says is seen: every line of that text is in it, with anything for each ``…``."""
    for line in entries()[heading].symptoms[variant].splitlines():
        pattern = ".*".join(re.escape(part) for part in line.split("…"))
        assert re.search(pattern, seen), f"{line!r} is not what is seen: {seen}"
