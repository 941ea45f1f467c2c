"""docs/troubleshooting.md: every symptom has its cause, how to make sure of it, what to do, and a test that has seen it."""

from __future__ import annotations

import ast
import re
from difflib import SequenceMatcher
from functools import cache
from pathlib import Path

import pytest

from tests.troubleshooting.page import PAGE, Entry, entries

ROOT = PAGE.parents[1]
LINKED = [ROOT / "docs" / name for name in ("troubleshooting.md", "alerts.md", "operations.md", "observability.md")]
_TEST = re.compile(r"\[([\w/]+\.py)::(\w+)\]\(\.\./([\w/.]+)\)")
_PARTS = ["**Cause.**", "**Make sure.**", "**Do.**", "**Tested by**"]
_SHORTEST = 14
"""Characters that a text of a test and a symptom have in common, at least, to be about the same."""


@pytest.mark.parametrize("entry", entries().values(), ids=lambda entry: entry.heading)
def test_every_symptom_has_a_cause_a_proof_a_remedy_and_a_test(entry: Entry):
    assert entry.symptoms
    places = [entry.body.find(part) for part in _PARTS]
    assert -1 not in places
    assert places == sorted(places)
    named = _TEST.findall(entry.body)
    assert named
    assert len(named) == entry.body.partition("**Tested by**")[2].count(".py::")


@pytest.mark.parametrize("entry", entries().values(), ids=lambda entry: entry.heading)
def test_its_tests_exist_and_see_what_it_says(entry: Entry):
    for file, name, path in _TEST.findall(entry.body):
        assert path.endswith(f"/{file}")
        texts = texts_of(ROOT / path, name)
        shown = "\n".join(entry.symptoms)
        assert entry.heading in texts or any(common(text, shown) >= _SHORTEST for text in texts), (path, name)


def common(text: str, shown: str) -> int:
    """The length of the longest piece of a text that is shown."""
    return SequenceMatcher(None, text, shown, autojunk=False).find_longest_match().size


@cache
def texts_of(path: Path, name: str) -> frozenset[str]:
    """The texts in a test and its parameters, and the constants of its module."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    (test,) = [node for node in functions if node.name == name]
    constants = [node for node in tree.body if isinstance(node, ast.Assign | ast.AnnAssign)]
    nodes = [node for part in (test, *constants) for node in ast.walk(part)]
    return frozenset(node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str))


@pytest.mark.parametrize("page", LINKED, ids=lambda page: page.name)
def test_links_lead_to_headings(page: Path):
    links = re.findall(r"\]\((?!https?:)([^)#]*)#([^)]+)\)", page.read_text(encoding="utf-8"))
    assert links
    lost = [(path, anchor) for path, anchor in links if anchor not in anchors(page.parent / path if path else page)]
    assert lost == []


@cache
def anchors(page: Path) -> frozenset[str]:
    """What the headings of a page can be linked by: as GitHub makes it of them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return frozenset(re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings)
