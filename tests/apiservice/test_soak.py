"""The whole server under churn: what it holds when everybody has gone home is the same each time."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest

SOAK = Path(__file__).parents[2] / "bench" / "soak.py"
ROUNDS, SECONDS = 4, 4
MEGABYTE = 1_000_000


@pytest.fixture(scope="module")
async def rounds() -> list[dict[str, Any]]:
    """What is left after each round of churn; the first one is there to fill caches and pools."""
    arguments = ["0", "--rounds", str(ROUNDS), "--length", str(SECONDS), "--json"]
    process = await asyncio.create_subprocess_exec(sys.executable, str(SOAK), *arguments, stdout=asyncio.subprocess.PIPE)
    try:
        output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()
    assert process.returncode == 0
    return [json.loads(line) for line in output.splitlines()]


def test_there_was_churn(rounds: list[dict[str, Any]]):
    assert len(rounds) == ROUNDS
    assert all(each["requests"] > 50 and each["watches"] > 50 for each in rounds)


def test_nobody_is_served_who_has_gone(rounds: list[dict[str, Any]]):
    assert [(each["watching"], each["answering"]) for each in rounds] == [(0, 0)] * len(rounds)


def test_no_connection_is_left_behind(rounds: list[dict[str, Any]]):
    """Connections to the sources are kept for a while, some more and some less; a round has hundreds of connections."""
    _, second, *_, last = rounds
    assert last["descriptors"] < second["descriptors"] + 25
    assert last["threads"] <= second["threads"] + 2


def test_memory_does_not_grow(rounds: list[dict[str, Any]]):
    """Caches fill and garbage waits for its collector: half a dozen megabytes. Two rounds have five hundred watches."""
    _, second, *_, last = rounds
    assert last["resident"] < second["resident"] + 16 * MEGABYTE
