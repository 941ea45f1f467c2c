"""Commands in running text, and in blocks that are not run: the subcommands, flags and folders that they name are there."""

from __future__ import annotations

import argparse
import os
import re
import shlex
import shutil
import subprocess
from functools import cache

import pytest
import yaml

from apiservice.main import _parser
from kubectl_traffic import command as totals
from kubectl_traffic import completion, sources, top, version
from kubectl_traffic.commands import COMMANDS, EDGES
from kubectl_traffic.dashboard import command as dashboard
from kubectl_traffic.gate import options as gate
from kubectl_traffic.topology import command as topology
from tests.commands.pages import ROOT, blocks, inline, written

INLINE = sorted({*(command for _, command in inline()), *written()})
OURS = [each for each in INLINE if each.startswith("trafficmetrics ")]
TRAFFIC = [each for each in INLINE if each.startswith("kubectl traffic")]
KUBECTL = [each for each in INLINE if each.startswith("kubectl ") and not each.startswith(("kubectl traffic", "kubectl krew"))]
USAGES = {
    "completion": completion.USAGE,
    "dashboard": dashboard.USAGE,
    "gate": gate.USAGE,
    "sources": sources.USAGE,
    "top": top.USAGE,
    "topology": topology.USAGE,
    "version": version.USAGE,
}

_FLAG = re.compile(r"(?<!\S)(--[a-z][-a-z]*|-[A-Za-z])(?=[=\s\]]|$)")
_NAMESPACE = re.compile(r" (?:-n|--namespace) \S+")
KUBECTL_HERE = pytest.mark.skipif(
    shutil.which("kubectl") is None and os.environ.get("CI") != "true", reason="kubectl is not on the PATH"
)
_ELLIPSIS = ("…", "...")


def words(command: str) -> list[str]:
    """The words of a command; what is left open stands for any."""
    try:
        return [word for word in shlex.split(command) if word not in _ELLIPSIS]
    except ValueError:
        return command.split()


def own_flags(command: str) -> set[str]:
    """The flags of a command itself, before another program's begin."""
    return set(_FLAG.findall(command.partition(" | ")[0].partition(" -- ")[0]))


def test_there_are_commands_in_running_text():
    assert len(OURS) >= 8
    assert len(KUBECTL) > 10
    assert len(TRAFFIC) > 10


@pytest.mark.parametrize("command", OURS)
def test_a_command_of_the_server_is_one(command: str):
    parser, rest = _parser(), words(command)[1:]
    while rest and not rest[0].startswith("-"):
        choices = next((each.choices for each in parser._actions if isinstance(each, argparse._SubParsersAction)), None)
        if choices is None:
            break
        assert rest[0] in choices
        parser, rest = choices[rest[0]], rest[1:]
    known = {option for action in parser._actions for option in action.option_strings}
    assert sorted(own_flags(command) - known) == []


@KUBECTL_HERE
@pytest.mark.parametrize("command", TRAFFIC)
def test_a_command_of_the_plugin_is_one(command: str):
    verb = next(iter(words(command)[2:]), "")
    is_subject = not verb or "/" in verb or verb.isupper() or verb.startswith(("-", "["))
    assert is_subject or verb in (*COMMANDS, EDGES)
    known = USAGES.get(verb, totals.USAGE) + _kubectl("options")
    assert [flag for flag in sorted(own_flags(command)) if not re.search(rf"(?<![-\w]){flag}\b", known)] == []


@KUBECTL_HERE
@pytest.mark.parametrize("command", KUBECTL)
def test_a_command_of_kubectl_is_one(command: str):
    verbs = [word for word in words(_NAMESPACE.sub("", command))[1:] if not word.startswith("-")]
    if not verbs:
        return
    helped = _kubectl(verbs[0])
    if "Available Commands:" in helped and len(verbs) > 1:
        helped = _kubectl(*verbs[:2])
    assert "Usage:" in helped
    known = helped + _kubectl("options")
    flags = [flag for flag in sorted(own_flags(command)) if not re.search(rf"(?m)^ +(?:-\w, )?{flag}[=, ]", known)]
    assert flags == []


def test_the_log_is_asked_of_every_pod_by_its_label_or_of_one_by_its_name():
    """Of a Deployment kubectl takes one pod, a ready one first: not the one that has something to tell."""
    lines = [line for block in blocks() for line in block.commands.splitlines()]
    asked = {each for each in (*INLINE, *lines) if re.match(r"kubectl (?:-n \S+ )?logs ", each)}
    assert len(asked) >= 2
    assert [each for each in asked if re.search(r" (?:deploy|deployments?|ds|rs|svc|service)/", each)] == []
    deployment = yaml.safe_load((ROOT / "deploy" / "base" / "deployment.yaml").read_text(encoding="utf-8"))
    labels = {f"{key}={value}" for key, value in deployment["spec"]["template"]["metadata"]["labels"].items()}
    selected = {found[1] for each in asked if (found := re.search(r" -l (\S+)", each))}
    assert selected
    assert selected <= labels


@pytest.mark.parametrize("folder", sorted({found[1] for each in KUBECTL if (found := re.search(r" -k (deploy/[-/a-z]+)", each))}))
def test_a_folder_of_manifests_is_one(folder: str):
    assert (ROOT / folder / "kustomization.yaml").is_file()


@cache
def _kubectl(*verbs: str) -> str:
    """What kubectl says of a command of its own; nothing for one it does not have."""
    arguments = ["options"] if verbs == ("options",) else [*verbs, "--help"]
    run = subprocess.run(["kubectl", *arguments], capture_output=True, text=True, check=False, timeout=20)
    return run.stdout if run.returncode == 0 else ""
