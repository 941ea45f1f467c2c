"""``kubectl traffic top -w`` in a real terminal, and where there is none."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from tests.apiservice.memory import INSTANT, TOTALS, Door, Memory
from tests.plugin.conftest import Outcome, Plugin
from tests.plugin.terminal import Terminal, open_terminal


@pytest.fixture(autouse=True)
def _as_it_was(service: Memory, door: Door) -> None:
    service.rows, door.forbidden = TOTALS, frozenset()


@asynccontextmanager
async def live(plugin: Plugin, *arguments: str, columns: int = 100, lines: int = 20) -> AsyncIterator[Terminal]:
    """A live table in a terminal, when it has been drawn."""
    command = ["kubectl", "traffic", "top", "-w", "--interval", "1s", *arguments, *plugin.flags]
    async with open_terminal(command, plugin.environment, columns, lines) as terminal:
        await terminal.until(lambda written: written.count("\x1b[?2026l") > 0)
        yield terminal


async def test_it_is_drawn_over_and_leaves_the_terminal_as_it_was(plugin: Plugin) -> None:
    async with live(plugin, "-A") as terminal:
        assert terminal.modes_now() != terminal.modes
        await terminal.until(lambda written: written.count("\x1b[?2026l") > 1)
        terminal.type("\x03")
        code = await terminal.ended()
        assert terminal.modes_now() == terminal.modes
    first, second, *_ = terminal.frames()
    assert first[0].startswith("all namespaces  workloads  30s until 22:26:40 UTC  every 1s")
    assert (len(first), first) == (6, second)
    # No redraw clears the screen before it draws, and the last table is there when the terminal is given back.
    assert "\x1b[2J" not in terminal.written
    _, _, after = terminal.written.partition("\x1b[?1049l")
    assert (code, "Traceback" in terminal.written, "deployment.web" in after) == (0, False, True)
    assert terminal.written.startswith("\x1b[?1049h\x1b[?25l")
    assert "\x1b[?25h" in terminal.written


async def test_whoever_ends_it_leaves_the_terminal_as_it_was(plugin: Plugin) -> None:
    async with live(plugin, "-A", "--interval=60s") as terminal:
        terminal.process.terminate()
        assert await terminal.ended() == 0
        assert terminal.modes_now() == terminal.modes
    assert "\x1b[?25h\x1b[?1049l" in terminal.written


async def test_what_changes_is_a_trend(plugin: Plugin, service: Memory) -> None:
    async with live(plugin, "deploy/web", "-n", "shop") as terminal:
        for passed, success in ((5, 27), (10, 270)):
            service.rows = tuple(replace(row, instant=INSTANT + passed, success=success * 1000, failure=0) for row in TOTALS)
            await terminal.until(lambda written, success=success: f"{success / 30:.1f}rps" in written)  # type: ignore[misc]
        terminal.type("q")
        assert await terminal.ended() == 0
    assert terminal.frames()[-1][1].split()[-1] == "TREND"
    assert terminal.frames()[-1][2].split() == ["web", "100.00%", "9.0rps", "3ms", "6ms", "12ms", "healthy", "▃▂█"]


async def test_another_size_is_another_table(plugin: Plugin) -> None:
    async with live(plugin, "-A", "--edges", "--interval=60s", columns=100, lines=4) as terminal:
        assert terminal.frames()[0][-1] == "… 2 more: a higher terminal or -l shows them"
        seen = len(terminal.frames())
        terminal.resize(60, 20)
        await terminal.until(lambda _: len(terminal.frames()) > seen and len(terminal.frames()[-1]) == 5)
        terminal.type("\x03")
        await terminal.ended()
    assert max(map(len, terminal.frames()[-1])) <= 60
    assert "…" in terminal.frames()[-1][2]


async def test_trouble_is_shown_with_what_was_known_and_goes_by(plugin: Plugin, door: Door) -> None:
    async with live(plugin, "-n", "shop", columns=200) as terminal:
        door.forbidden = frozenset({"/apis/metrics.smi-spec.io/v1alpha1/namespaces/shop/trafficmetrics"})
        await terminal.until(lambda written: "is forbidden" in written)
        trouble = next(frame for frame in terminal.frames() if "is forbidden" in frame[-1])
        door.forbidden = frozenset()
        await terminal.until(lambda _: "is forbidden" not in terminal.frames()[-1][-1])
        terminal.type("\x03")
        assert await terminal.ended() == 0
    assert trouble[-1].startswith("No newer answer: trafficmetrics.metrics.smi-spec.io is forbidden")
    assert any(line.startswith("deployment.web") for line in trouble)


async def test_it_ends_at_once_when_it_never_had_an_answer(plugin: Plugin) -> None:
    command = ["kubectl", "traffic", "top", "gizmo", "-w", *plugin.flags]
    async with open_terminal(command, plugin.environment, 80, 24) as terminal:
        assert await terminal.ended() == 2
    assert "\x1b" not in terminal.written


async def test_no_colour_is_heeded(plugin: Plugin) -> None:
    for extra, coloured in (({}, True), ({"NO_COLOR": "1"}, False)):
        command = ["kubectl", "traffic", "top", "-n", "shop", *plugin.flags]
        async with open_terminal(command, plugin.environment | extra, 80, 24) as terminal:
            assert await terminal.ended() == 0
        assert ("\x1b[31m" in terminal.written) is coloured


async def test_names_are_cut_to_the_width_of_the_terminal(plugin: Plugin) -> None:
    command = ["kubectl", "traffic", "top", "-A", "--edges", *plugin.flags]
    async with open_terminal(command, plugin.environment | {"NO_COLOR": "1"}, 90, 24) as terminal:
        await terminal.ended()
    lines = terminal.written.split("\r\n")
    assert max(map(len, lines)) <= 90
    assert [line.split()[1] for line in lines[1:-1]] == ["deploymen…ment.web", "deploymen….db.data", "deploymen…ment.api"]


async def piped(plugin: Plugin, *arguments: str, until: int) -> Outcome:
    """The first lines of a live table that somebody reads so many lines of."""
    process = await asyncio.create_subprocess_exec(
        *("kubectl", "traffic", "top", "-w", "--interval=1s", *arguments, *plugin.flags),
        env=plugin.environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    lines = [await asyncio.wait_for(process.stdout.readline(), 20) for _ in range(until)]
    process.stdout._transport.close()  # type: ignore[attr-defined]
    err = (await asyncio.wait_for(process.stderr.read(), 20)).decode()
    return Outcome(await asyncio.wait_for(process.wait(), 20), b"".join(lines).decode(), err)


async def test_without_a_terminal_tables_follow_each_other_until_nobody_reads(plugin: Plugin) -> None:
    got = await piped(plugin, "deploy/web", "-n", "shop", until=6)
    lines = got.out.splitlines()
    assert [line.split()[:1] for line in lines] == [["shop"], ["NAME"], ["web"], [], ["shop"], ["NAME"]]
    assert (got.code, got.err) == (141, "")
    assert "\x1b" not in got.out


async def test_json_is_a_line_for_each_answer(plugin: Plugin) -> None:
    got = await piped(plugin, "-n", "shop", "-o", "json", until=2)
    assert [[row["name"] for row in json.loads(line)] for line in got.out.splitlines()] == [["api", "cart", "web"]] * 2
    assert (got.code, got.err) == (141, "")


async def test_csv_has_one_head(plugin: Plugin) -> None:
    got = await piped(plugin, "deploy/web", "-n", "shop", "-o", "csv", until=3)
    assert [line.split(",")[0] for line in got.out.splitlines()] == ["namespace", "shop", "shop"]
