"""The pages about the gate and the topology: every line of theirs is understood, and what they show is what is printed."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from kubectl_traffic.gate import options
from kubectl_traffic.gate.options import read_options
from kubectl_traffic.gate.report import CODES, NOT_JUDGED
from kubectl_traffic.health import Health
from kubectl_traffic.options import read_line
from kubectl_traffic.topology import command
from tests.plugin.conftest import Plugin
from tests.plugin.rounds import Round, Rounds, seen, told

DOCS = Path(__file__).parent.parent.parent / "docs"
GATE = (DOCS / "gate.md").read_text(encoding="utf-8")
TOPOLOGY = (DOCS / "topology.md").read_text(encoding="utf-8")
_COMMAND = re.compile(r"^kubectl traffic (gate|topology)( [^|>\n]*)", re.MULTILINE)


def lines(page: str) -> list[list[str]]:
    return [shlex.split(f"{word}{rest}") for word, rest in _COMMAND.findall(page)]


@pytest.mark.parametrize("line", lines(GATE) + lines(TOPOLOGY) + lines(options.USAGE.replace("  kubectl", "kubectl")), ids=" ".join)
def test_every_line_is_one(line: list[str]) -> None:
    if "KIND/NAME" in line:
        return
    if line[0] == "gate":
        assert read_options(line[1:]) is not None
    else:
        assert command._asked(read_line("topology", line[1:], command._VALUED, command._SWITCHES)) is not None


@pytest.mark.parametrize(
    ("known", "page", "usage"),
    [
        pytest.param({*options._VALUED, "quiet"} - {"color"}, GATE, options.USAGE, id="gate"),
        pytest.param({*command._VALUED} - {"output"}, TOPOLOGY, command.USAGE, id="topology"),
    ],
)
def test_every_option_is_told_of(known: set[str], page: str, usage: str) -> None:
    assert [name for name in sorted(known) if f"--{name}" not in usage] == []
    assert [name for name in sorted(known - {"output"}) if f"--{name}" not in page] == []


def test_every_exit_code_and_every_condition_is_told_of() -> None:
    for outcome, code in CODES.items():
        assert f"| {code} | {outcome.value}: " in GATE
    assert f"| {NOT_JUDGED} | not judged: " in GATE
    assert [health.value for health in Health if f"`{health.value}`" not in TOPOLOGY] == []


async def test_the_verdict_of_the_page_is_what_is_printed(tmp_path: Path) -> None:
    good, bad = Round({"web": seen(995, 5, 300)}), Round({"web": seen(995, 5, 301)})
    async with told(Rounds([good, good, good, good, bad]), tmp_path) as plugin:
        line = [*lines(GATE)[0][:-1], "200ms", "--interval", "50ms"]
        got = await plugin.traffic(*line)
    assert got.code == 1
    assert f"```\n{got.out}```" in GATE


async def test_the_tree_of_the_page_is_what_is_printed(plugin: Plugin) -> None:
    got = await plugin.traffic(*lines(TOPOLOGY)[0])
    assert f"```\n{got.out}```" in TOPOLOGY
