"""The other words of the plugin, said to a real kubectl."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from apiservice.sources.examinations import Examinations
from apiservice.sources.health import SourceHealth, SourceState
from apiservice.sources.page import Sources
from kubectl_traffic.commands import COMMANDS
from metrics_api import Terms, Window
from metrics_api.diagnosis import Diagnosis, Finding, Level, Mesh
from tests.apiservice.memory import serving
from tests.plugin.conftest import ROOT, Plugin, plugin_for
from tests.unit.apiservice.sources import source

GROUP = "metrics.smi-spec.io"
NOW = 1_795_300_000


@dataclass
class Known:
    """How sources have been, by their names."""

    healths: Mapping[str, SourceHealth] = field(default_factory=dict)
    home: str = ""

    def health(self, source: str) -> SourceHealth:
        """See :class:`apiservice.sources.health.Outcomes`."""
        return self.healths.get(source, SourceHealth())


@pytest.mark.parametrize(
    ("line", "get"),
    [
        ("-n shop", "trafficmetrics -n shop"),
        ("deploy/web -n shop -o yaml", f"deployments.{GROUP} web -n shop -o yaml"),
        ("edges deploy/api -n shop", f"deployments.{GROUP} api --subresource=edges -n shop"),
        ("edges --to -n shop -o name", "trafficmetrics --field-selector edge.direction=to -n shop -o name"),
    ],
)
async def test_without_a_command_it_becomes_a_kubectl_get(plugin: Plugin, line: str, get: str) -> None:
    assert await plugin.traffic(*line.split()) == await plugin("get", *get.split())


async def test_a_mistake_ends_with_2_and_a_failure_with_1(plugin: Plugin) -> None:
    assert (await plugin.traffic("gizmo")).code == 2
    assert (await plugin.traffic("top", "--gizmo")).code == 2
    assert (await plugin.traffic("deploy/nobody", "-n", "shop")).code == 1


async def test_what_a_terminal_has_no_character_for_ends_nothing(plugin: Plugin) -> None:
    poor = replace(plugin, environment=plugin.environment | {"PYTHONIOENCODING": "ascii"})
    got = await poor.traffic("topology", "-n", "shop")
    assert (got.code, got.err, "?" in got.out) == (0, "", True)


async def test_the_version_is_that_of_the_project(plugin: Plugin) -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    got = await plugin.traffic("version")
    assert got.out.splitlines() == [f"Plugin version: v{version}", f"API: {GROUP}/v1alpha1, 16 resources"]
    assert (await plugin.traffic("version", "--client", flags=())).out == f"Plugin version: v{version}\n"


async def test_commands_are_completed_in_the_shell(plugin: Plugin) -> None:
    got = await plugin("__complete", "traffic", "", flags=())
    *found, directive = got.out.splitlines()
    assert [line.partition("\t")[0] for line in found][: len(COMMANDS)] == list(COMMANDS)
    assert directive == ":4"


async def test_the_program_that_is_printed_completes_too(plugin: Plugin, tmp_path: Path) -> None:
    program = tmp_path / "kubectl_complete-traffic"
    program.write_text((await plugin.traffic("completion", flags=())).out, encoding="utf-8")
    program.chmod(0o755)
    there = replace(plugin, environment=plugin.environment | {"PATH": f"{tmp_path}:{plugin.environment['PATH']}"})
    asked = [found.split("\t")[0] for found in (await there("__complete", "traffic", "to", flags=())).out.splitlines()]
    assert asked == ["top", "topology", ":4"]
    program.write_text("#!/bin/sh\necho :0\n", encoding="utf-8")
    assert (await there("__complete", "traffic", "to", flags=())).out == ":0\n"


@pytest.fixture(scope="module")
async def sourced(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Plugin]:
    """The plugin, and a server with two sources, one of which fails."""
    mesh = Diagnosis(
        "mesh",
        "Prometheus 2.53.0",
        {"product": "Prometheus", "version": "2.53.0"},
        meshes=(Mesh("Istio", "istio", ("1.24.1",)),),
        findings=(Finding(Level.WARNING, "mesh", "clock", "its clock is 4s behind ours", "synchronise both clocks (NTP)"),),
    )
    health = {"edge": SourceHealth(SourceState.FAILING, "no target\x1b[2J answers", NOW), "mesh": SourceHealth(SourceState.OK)}
    sources = (source("mesh", outcome=mesh), source("edge", Terms("west", ("shop", "team-*")), type="scrape"))
    examinations = Examinations(sources, Window(60), lambda: NOW)
    async with serving(sources=Sources(examinations, Known(health, "east"))) as server:
        assert server.port is not None
        yield plugin_for(server.port, tmp_path_factory.mktemp("sources"))


async def test_sources_are_a_table_and_what_is_wrong_with_them(sourced: Plugin) -> None:
    got = await sourced.traffic("sources")
    assert (got.code, got.err) == (0, "")
    table, _, notes = got.out.partition("\n\n")
    assert [line.split("   ") for line in re.sub(" {3,}", "   ", table).splitlines()] == [
        ["NAME", "TYPE", "HEALTH", "CHECKED", "MESHES", "COVERS"],
        ["mesh", "prometheus", "ok", "warning", "Istio 1.24.1", "east: all namespaces"],
        ["edge", "scrape", "failing", "ok", "-", "west: shop,team-*"],
    ]
    assert notes.splitlines()[:2] == [
        "mesh: warning: clock: its clock is 4s behind ours; synchronise both clocks (NTP)",
        "edge: failing: no target?[2J answers",
    ]


async def test_one_source_is_shown_alone_and_in_full(sourced: Plugin) -> None:
    (head, line, *_) = (await sourced.traffic("sources", "mesh", "-o", "wide")).out.splitlines()
    assert head.split() == ["NAME", "TYPE", "HEALTH", "CHECKED", "MESHES", "COVERS", "PRODUCT", "DELAY", "PERCENTILES", "SINCE"]
    assert ("Prometheus 2.53.0" in line, line.split()[-3:]) == (True, ["0s", "any", "-"])


async def test_sources_as_json_are_what_the_server_has(sourced: Plugin) -> None:
    raw = await sourced("get", "--raw", f"/apis/{GROUP}/v1alpha1/sources")
    assert json.loads((await sourced.traffic("sources", "-o", "json")).out) == json.loads(raw.out)


async def test_sources_are_completed(sourced: Plugin) -> None:
    got = await sourced("__complete", "traffic", "sources", *sourced.flags, "", flags=())
    assert got.out.splitlines() == ["mesh", "edge", ":4"]


async def test_a_source_that_is_not_there(sourced: Plugin) -> None:
    got = await sourced.traffic("sources", "nobody")
    assert (got.code, got.out, got.err) == (1, "", 'kubectl traffic: sources.metrics.smi-spec.io "nobody" not found\n')
