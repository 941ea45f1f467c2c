"""The parts of the page that are functions of values, in Node: layout, numbers, addresses, problems."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

FILES = sorted(Path(__file__).parent.glob("*.test.mjs"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name.partition(".")[0])
async def test_the_modules_of_the_page(node: str, file: Path):
    process = await asyncio.create_subprocess_exec(
        *(node, "--test", str(file)), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        out, _ = await asyncio.wait_for(process.communicate(), 60)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, out.decode()
