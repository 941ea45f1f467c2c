"""A reader of AWS for each test, before which nothing has been read."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from backends.cloudwatch.reader import Reader
from tests.backends.cloudwatch.numbers.reading import Reading, run_reading


@pytest.fixture(scope="module")
async def opened() -> AsyncIterator[Reading]:
    """An AWS for all tests of a module, and a client there."""
    async with run_reading() as reading:
        yield reading


@pytest.fixture
def reading(opened: Reading) -> Reading:
    """AWS with twenty minutes of ten metrics, nothing of which has been read."""
    opened.begin()
    return opened


@pytest.fixture
async def reader(reading: Reading) -> AsyncIterator[Reader]:
    """A reader of it that has a budget for everything."""
    async with reading.reader() as reader:
        yield reader
