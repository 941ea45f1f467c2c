"""The commands of the plugin: each is there, tells how it is used, and loads nothing that makes it slow to start."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

from kubectl_traffic.commands import COMMANDS
from kubectl_traffic.kubectl import KubectlError
from kubectl_traffic.main import main

SLOW = {"asyncio", "ssl", "yaml", "argparse", "importlib.metadata", "metrics_api.library", "http.server"}


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["kubectl-traffic", *arguments])
    return main()


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_tells_how_it_is_used(name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    assert run(monkeypatch, name, "--help") == 0
    told = capsys.readouterr()
    assert f"kubectl traffic {name}" in told.out
    assert told.err == ""


def test_help_names_every_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    assert run(monkeypatch, "--help") == 0
    told = capsys.readouterr().out
    assert [name for name in COMMANDS if f"  kubectl traffic {name} " not in told] == []


def test_help_of_a_command_is_had_both_ways(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    run(monkeypatch, "help", "top")
    first = capsys.readouterr().out
    run(monkeypatch, "top", "-h")
    assert capsys.readouterr().out == first


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("gizmo", "nor is it a command: edges, top,"),
        ("tpo", '"tpo" is neither a command nor a kind (top?): see kubectl traffic --help'),
        ("deplyments", '"deplyments" is neither a command nor a kind (deployments?)'),
        ("gizmo/web", '"gizmo" is not a kind traffic is measured for'),
        ("top gizmo", '"gizmo" is not a kind traffic is measured for'),
        ("top --srot-by rps", "unknown option --srot-by (--sort-by?): see kubectl traffic top --help"),
        ("sources one two", 'name one source, not "one two"'),
        ("version now", 'version takes no words, such as "now"'),
        ("completion zsh", 'completion takes no words, such as "zsh"'),
    ],
)
def test_a_line_that_makes_no_sense_ends_with_2(
    line: str, told: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    assert run(monkeypatch, *line.split()) == 2
    said = capsys.readouterr()
    assert (said.out, said.err.startswith("kubectl traffic: "), told in said.err) == ("", True, True)


def test_without_kubectl_it_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setenv("PATH", "/nonexistent")
    assert run(monkeypatch, "top") == KubectlError("").code == 1
    assert run(monkeypatch, "deploy") == 1
    assert capsys.readouterr().err == "kubectl traffic: there is no kubectl on the PATH\n" * 2


# The dashboard is a server, which takes its time.
@pytest.mark.parametrize("module", ["main", "showing", *sorted(COMMANDS.keys() - {"dashboard"})])
def test_starting_loads_nothing_slow(module: str):
    importlib.import_module(f"kubectl_traffic.{module}")
    seen = subprocess.run(
        [sys.executable, "-c", f"import sys, kubectl_traffic.main, kubectl_traffic.{module}; print(*sys.modules)"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    assert sorted(SLOW & set(seen)) == []
