"""Blocks of the documentation that need no cluster do what the text says: they end well, and complain of nothing."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.commands.conftest import Place
from tests.commands.pages import Block, blocks
from tests.commands.running import run


def marked(*settings: str) -> list[Block]:
    return [block for block in blocks() if block.word == "run" and block.rest in settings]


async def check(block: Block, project: Path, place: Place, patience: float = 0) -> None:
    """Runs a block; once more after ``patience`` seconds, if there is any, when it fails or complains."""
    ended = await run(block, project, place.environment, place.replaced)
    if patience and (ended.code or ended.complaints):
        await asyncio.sleep(patience)
        ended = await run(block, project, place.environment, place.replaced)
    assert ended.code == 0, f"{block.place} ended with {ended.code}:\n{ended.told}"
    assert ended.complaints == [], ended.told


@pytest.mark.parametrize("block", marked("shell"), ids=lambda block: block.place)
async def test_a_block_runs_in_a_shell(block: Block, project: Path, shell: Place):
    await check(block, project, shell)


@pytest.mark.parametrize("block", marked("demo"), ids=lambda block: block.place)
async def test_a_block_runs_beside_the_demonstration(block: Block, project: Path, demo: Place):
    # The demonstration may have scraped once by then, or late on a machine that is busy, and answers say so until the next time.
    await check(block, project, demo, patience=5)


@pytest.mark.parametrize("block", marked("store", "python"), ids=lambda block: block.place)
async def test_a_block_runs_beside_a_prometheus(block: Block, project: Path, store: Place):
    await check(block, project, store)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("false\necho reached\n", 1),
        ("false | cat\n", 1),
        ("echo $nowhere\n", 1),
        ("false  # exit code 1\necho reached\n", 0),
        ("true  # exit code 1\n", 1),
        ("trafficmetrics config check docs/nosuch.yaml  # exit code 2\n", 0),
    ],
    ids=["a command fails", "within a pipe", "no such variable", "as the text says", "not as the text says", "a real one"],
)
async def test_a_block_that_does_not_do_what_it_says_fails(text: str, code: int, project: Path, shell: Place):
    ended = await run(Block("page", 1, "sh", text), project, shell.environment)
    assert ended.code == code, ended.told


async def test_a_complaint_is_seen_where_the_exit_code_is_good(project: Path, shell: Place):
    ended = await run(Block("page", 1, "sh", 'echo "Warning: nobody answers" >&2\n'), project, shell.environment)
    assert (ended.code, ended.complaints) == (0, ["Warning: nobody answers"])
