"""Every command of the documentation is run by a test, or it is said what the tests lack to run it."""

from __future__ import annotations

import ast
from functools import cache

import pytest

from tests.commands.pages import NEEDS, ROOT, SETTINGS, Block, blocks

BLOCKS = list(blocks())
HOW = "put <!-- run: SETTING -->, <!-- needs: WHAT THE TESTS LACK --> or <!-- tested: tests/FILE.py::TEST --> right above it"


def test_there_are_blocks():
    assert len(BLOCKS) >= 45


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.place)
def test_every_block_says_how_it_is_run(block: Block):
    if block.word == "run":
        assert block.rest in SETTINGS, f"{block.place}: no setting is called {block.rest}"
        assert (block.language == "python") is (block.rest == "python"), block.place
    elif block.word == "needs":
        assert block.rest in NEEDS, f"{block.place}: the tests do not lack {block.rest}, or it has to be added to NEEDS"
    elif block.word == "tested":
        file, _, name = block.rest.partition("::")
        assert name in _tests_in(file), f"{block.place}: there is no test {block.rest}"
    else:
        pytest.fail(f"{block.place}: {HOW}")


@cache
def _tests_in(file: str) -> frozenset[str]:
    path = ROOT / file
    if not path.is_file():
        return frozenset()
    found = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    return frozenset(
        node.name for node in found if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name.startswith("test_")
    )


def test_what_the_tests_lack_is_lacked_by_some_block():
    used = {block.rest for block in BLOCKS if block.word == "needs"}
    assert [reason for reason in NEEDS if reason not in used] == []


def test_most_blocks_are_run():
    """A mark is quickly written: what is only marked must not become what is usual."""
    marked = [block.place for block in BLOCKS if block.word == "needs"]
    assert len(marked) < 0.55 * len(BLOCKS), marked
