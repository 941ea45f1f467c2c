"""Completion of what is known without asking anybody."""

from __future__ import annotations

import sys

import pytest

from kubectl_traffic.commands import COMMANDS
from kubectl_traffic.completion import SCRIPT, candidates, main
from metrics_api import RESOURCE_TYPES

KINDS = [row.plural for row in RESOURCE_TYPES]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (["to"], ["top", "topology"]),
        (["deploy"], ["deployments"]),
        (["top", "rep"], ["replicationcontrollers", "replicasets"]),
        (["edges", "no"], ["nodes"]),
        (["top", "--sort-by", "r"], ["rps"]),
        (["top", "--sort-by=p9"], ["p90", "p99"]),
        (["topology", "-o", "d"], ["dot"]),
        (["topology", "--kind", "po"], ["pods"]),
        (["gate", "deploy/web", "-o", ""], ["json"]),
        (["gate", "deploy/web", "--color=n"], ["never"]),
        (["gate", "deploy/web", "--compare", "statefulse"], ["statefulsets"]),
        (["top", "-w", "-o", ""], ["table", "wide", "json", "csv"]),
        (["sources", "-o", "j"], ["json"]),
        (["-o", "w"], ["wide"]),
        (["edges", "--fr"], ["--from"]),
        (["top", "--conte"], ["--context"]),
        (["version", "--cl"], ["--client", "--client-certificate", "--client-key", "--cluster"]),
        (["gate", "--succ"], ["--success", "--success-drop"]),
        (["top", "-n", "shop", "deploymen"], ["deployments"]),
        (["version", ""], []),
        (["top", "gizmo/"], []),
        (["top", "deploy/web", ""], []),
        (["top", "--window", ""], []),
    ],
    ids=" ".join,
)
def test_candidates(line: list[str], expected: list[str]):
    assert [found.partition("\t")[0] for found in candidates(line)] == expected


def test_the_first_word_is_a_command_or_a_kind():
    assert [found.partition("\t")[0] for found in candidates([""])] == [*COMMANDS, "edges", *KINDS]
    assert all(found.partition("\t")[2] for found in candidates([""])[: len(COMMANDS) + 1])


def test_without_kubectl_there_are_no_names(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setattr(sys, "argv", ["kubectl_complete-traffic", "top", "deploy/"])
    assert main() == 0
    assert capsys.readouterr() == (":4\n", "")


def test_the_last_line_tells_the_shell_that_no_files_are_meant(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setattr(sys, "argv", ["kubectl_complete-traffic", "sou"])
    assert main() == 0
    assert capsys.readouterr().out == f"sources\t{COMMANDS['sources']}\n:4\n"
    assert main(["--", "sou"]) == 0
    assert capsys.readouterr().out == f"sources\t{COMMANDS['sources']}\n:4\n"


def test_the_program_to_install_asks_this_one(capsys: pytest.CaptureFixture[str]):
    assert main([]) == 0
    assert capsys.readouterr().out == SCRIPT
    assert 'kubectl traffic completion -- "$@"' in SCRIPT
