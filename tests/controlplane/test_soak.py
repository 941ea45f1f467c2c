"""The soak, in small: it runs, nothing is left behind, and a server that leaks is found out."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.controlplane.parts import Parts
from tests.doubles.stores import command

pytestmark = [pytest.mark.real, pytest.mark.timeout(240)]

SOAK = Path(__file__).parents[2] / "bench" / "soak"
CLEAN = 2
"""Cycles without a leak; the server is told to leak in those that follow."""
MEGABYTE = 1_000_000
Document = dict[str, Any]


@pytest.fixture(scope="module")
async def soaked(parts: Parts, tmp_path_factory: pytest.TempPathFactory) -> Document:  # noqa: ARG001 without them nothing runs
    """What a small soak wrote down, in which the server was told to leak everything it can from the third cycle on."""
    command("prometheus")
    file = tmp_path_factory.mktemp("soak") / "figures.json"
    arguments = ["0", "--small", "--json", str(file), "--leak", "tasks", "descriptors", "memory"]
    process = await asyncio.create_subprocess_exec(sys.executable, str(SOAK), *arguments, stdout=asyncio.subprocess.PIPE)
    try:
        output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()
    assert process.returncode == 0, output.decode()
    document: Document = json.loads(file.read_text(encoding="utf-8"))
    return document


@pytest.fixture(scope="module")
def clean(soaked: Document) -> list[Document]:
    """The cycles before the leak."""
    return [each for each in soaked["cycles"] if not each["leaking"]]


def total(counts: dict[str, int]) -> int:
    return sum(counts.values())


def test_there_was_churn(soaked: Document):
    assert len(soaked["cycles"]) == 2 * CLEAN
    assert all(each["requests"] > 5 and each["watches"] > 2 and each["changes"] > 2 for each in soaked["cycles"])
    assert soaked["compared"] >= 2


def test_everything_that_can_go_wrong_went_wrong(soaked: Document):
    kinds = {name.partition(":")[0] for name in soaked["disturbances"]}
    assert kinds == {"client CA", "configuration", "serving certificate", "source", "token of a source"}
    moods = {name for name in soaked["disturbances"] if name.startswith("source:")}
    assert {"source: kill -9", "source: SIGSTOP", "source: hang", "source: half", "source: fail"} < moods


def test_nobody_met_what_nobody_should(soaked: Document):
    assert soaked["unexpected"] == []


def test_nobody_is_served_who_has_gone(soaked: Document):
    assert [(each["watching"], each["answering"]) for each in soaked["cycles"]] == [(0, 0)] * len(soaked["cycles"])


def test_no_connection_or_task_is_left_behind(clean: list[Document]):
    """kube-apiserver keeps some connections for a minute and a half, each with a task; sources keep some for seconds."""
    assert len(clean) == CLEAN
    first, last = clean
    assert total(last["outside"]["descriptors"]) < total(first["outside"]["descriptors"]) + 25
    for each in clean:
        each["tasks"].pop("RequestHandler.start", None)
    assert total(last["tasks"]) <= total(first["tasks"]) + 2
    assert last["outside"]["threads"] <= first["outside"]["threads"] + 2


def test_memory_does_not_grow(clean: list[Document]):
    """Caches fill and garbage waits for its collector: half a dozen megabytes."""
    first, last = clean
    assert last["outside"]["resident"] < first["outside"]["resident"] + 24 * MEGABYTE


def test_a_leak_is_found_and_named(soaked: Document):
    grows = soaked["grows"]
    assert "Event.wait" in grows["tasks"]
    assert "file" in grows["descriptors"]
    assert "allocated" in grows["memory"]
    assert any(line.startswith("Memory in use by libraries grows") for line in soaked["verdict"])
