"""What docs/dashboard.md says is so."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from kubectl_traffic.dashboard.command import USAGE, _place, _read
from tests.page.serving import starting

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "dashboard.md").read_text(encoding="utf-8")
EXAMPLES = [line for line in PAGE.splitlines() + USAGE.splitlines() if re.match(r"\s*kubectl traffic dashboard\b(?!.*\[)", line)]
STATIC = ROOT / "kubectl_traffic" / "dashboard" / "static"


@pytest.mark.parametrize("line", sorted(set(map(str.strip, EXAMPLES))))
def test_examples_are_understood(line: str):
    read = _read(shlex.split(line)[3:])
    assert _place(read, read.kubectl.chosen).startswith("#/")


def test_every_problem_named_is_one_the_page_tells():
    told = (STATIC / "problems.js").read_text(encoding="utf-8")
    titles = re.findall(r"^\| ([A-Z][^|]*[^.]\.) \|", PAGE.partition("When it does not work")[2], re.MULTILINE)
    assert len(titles) == 5
    assert [title for title in titles if f'"{title}"' not in told] == []


def test_every_status_named_is_one_the_page_shows():
    told = (STATIC / "health.js").read_text(encoding="utf-8")
    words = re.findall(r"^\| (\w[\w ]*) \| [a-z ]*(?:octagon|triangle|disc|ring)", PAGE, re.MULTILINE)
    assert words == re.findall(r'word: "([^"]+)"', told)


def test_the_commands_that_grant_rights_are_those_the_page_shows():
    told = (STATIC / "problems.js").read_text(encoding="utf-8")
    lines = re.findall(r"^kubectl create .*$", PAGE, re.MULTILINE)
    assert len(lines) == 3
    for line in lines:
        assert line.replace("-n shop", "-n ${ns}").replace("--user=ann", "--user=${quoted}") in told


async def test_help_names_every_option_of_the_page():
    async with starting("--help") as process:
        out, _ = await process.communicate()
    options = set(re.findall(r"`(--[a-z-]+)", PAGE.partition("All global options")[0]))
    assert options == {"--window", "--port", "--no-browser"}
    assert [option for option in sorted(options) if option not in out.decode()] == []
