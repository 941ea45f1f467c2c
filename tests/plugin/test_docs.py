"""The page about the plugin: every line of it runs, and what it shows is what is printed."""

from __future__ import annotations

import re
import shlex
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from kubectl_traffic import sources, top, version
from kubectl_traffic.commands import COMMANDS, EDGES
from kubectl_traffic.health import Health
from metrics_api import ResourceRef
from tests.apiservice.memory import SHOP_WEB, TOTALS, Memory, total
from tests.plugin.conftest import ROOT, Plugin

PAGE = (ROOT / "docs" / "kubectl-traffic.md").read_text(encoding="utf-8")
LINES = [
    shlex.split(line)
    for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    for line in re.findall(r"^kubectl traffic ([^>\n]*)", block, re.MULTILINE)
]


@pytest.fixture(scope="module")
def service() -> Memory:
    """The shop, with a canary and with pods."""
    canary = replace(total(SHOP_WEB, 54, 6), name="web-canary", resource=ResourceRef("Deployment", "shop", "web-canary"))
    pod = replace(total(ResourceRef("Pod", "shop", "web-0"), 54, 6), labels={"app": "web"})
    return Memory(rows=(*Memory().rows, canary, pod))


@pytest.fixture
async def small(plugin: Plugin, service: Memory) -> AsyncIterator[Plugin]:
    known, service.rows = service.rows, TOTALS
    yield plugin
    service.rows = known


@pytest.mark.parametrize("line", LINES, ids=" ".join)
async def test_every_line_runs(plugin: Plugin, line: list[str]) -> None:
    if line[0] == "dashboard":
        # It would run until somebody ends it; an option that it does not have ends it at once.
        got = await plugin.traffic(*line, "--nonsense")
        assert (got.code, "--nonsense" in got.err) == (2, True)
        return
    if "-w" in line:
        assert top.read_top(line[1:]).interval == 5
        return
    if "--for" in line:
        line = line[: line.index("--for")]
    got = await plugin.traffic(*line)
    if line[0] == "sources":
        # This server has none.
        assert got.err.startswith("kubectl traffic: this cluster has nothing at /apis/metrics.smi-spec.io/v1alpha1/sources")
    elif line[0] == "gate":
        assert got.code in (0, 1, 2), got.err
    else:
        assert (got.code, got.err, bool(got.out)) == (0, "", True)


async def test_the_table_of_the_page_is_what_is_printed(small: Plugin) -> None:
    line, table = re.findall(r"```sh\nkubectl traffic (top[^\n]*)\n```\n\n```\n(.*?)```", PAGE, re.DOTALL)[0]
    assert (await small.traffic(*shlex.split(line))).out == table


def test_every_command_and_every_condition_is_told_of() -> None:
    told = re.findall(r"^\| \[`kubectl traffic(?: (\w+))?", PAGE, re.MULTILINE)
    assert sorted(told) == sorted(["", EDGES, *COMMANDS])
    assert [name for name in COMMANDS if name != "version" and f"\n## {name}\n" not in PAGE] == []
    assert re.findall(r"^\| `([a-z ]+)` \|", PAGE, re.MULTILINE) == [health.value for health in sorted(Health, key=_order)]


def _order(health: Health) -> tuple[bool, int]:
    """The page begins with what is well; without traffic there is no telling."""
    return health in (Health.IDLE, Health.UNKNOWN), -health.rank if health.rank < Health.IDLE.rank else health.rank


@pytest.mark.parametrize("module", [top, sources, version], ids=lambda module: module.__name__.rpartition(".")[2])
def test_the_options_of_the_help_are_on_the_page_and_the_other_way_round(module: object) -> None:
    options = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", module.USAGE)) - {"--context", "--kubeconfig", "--as"}  # type: ignore[attr-defined]
    shown = {"--selector", "--watch", "--output", "--color"}
    assert sorted(option for option in options - shown if option not in PAGE) == []
