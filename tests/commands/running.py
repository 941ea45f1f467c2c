"""Runs blocks of the documentation as a person would, in a shell that stops at the first command that fails.

What goes on until somebody ends it is ended here: watches after some seconds, servers with their block. Objects that a block creates are
deleted after it.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import stat
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.commands.pages import ROOT, Block

__all__ = ["Outcome", "copy_project", "programs", "run"]

_PATIENCE = 60
_WATCHING = 2
"""Seconds that a watch is looked at."""

_COPIED = ("deploy", "docs", "scripts", "metrics_api", "kubectl_traffic", "pyproject.toml", "README.md", "LICENSE", "NOTICE")
_KUBECTL = """#!/bin/bash
for argument; do
  case $argument in -w | --watch | *watch=true*) watches=yes ;; esac
done
if [ -z "$watches" ]; then exec {kubectl} "$@"; fi
told=$(timeout --signal=INT {seconds} {kubectl} "$@" 2>&1)
code=$?
printf '%s\\n' "$told"
case $code in 0 | 124 | 130) [ -n "$told" ] ;; *) exit $code ;; esac
"""
_EXPECTED = re.compile(r"(?m)^(?P<command>.*\S) +# exit code (?P<code>[0-9]+)\b.*$")
_BACKGROUND = re.compile(r"(?m)^(trafficmetrics serve .*&)$")
_CREATED = re.compile(
    r"(?m)^kubectl (?P<space>(?:-n|--namespace) \S+ )?create (?P<kind>rolebinding|clusterrolebinding|serviceaccount|configmap|namespace) "
    r"(?:(?P<late>(?:-n|--namespace) \S+) )?(?P<name>[a-z][-a-z0-9]*)(?P<rest>.*)$"
)
_INSTANT = re.compile(r"(?<=time=)20[0-9]{2}-[0-9T:-]+Z")
_AGO = 2
_ERROR = re.compile(r"(?m)^(?:Error|error|Warning|Traceback)\b.*$")
_YOUNG = re.compile(
    r'Warning: (?:source "[^"]+" has no older samples: the numbers cover \S+, not \S+|nothing of it was observed at )'
)
"""What a source says that has run for less than the window: those here began with the tests."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a block ended, and what it printed."""

    code: int
    told: str

    @property
    def complaints(self) -> list[str]:
        """Lines that say that something is wrong."""
        return [line for line in _ERROR.findall(self.told) if not _YOUNG.match(line)]


def copy_project(into: Path) -> Path:
    """A copy of what blocks read and write."""
    for name in _COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, into / name, ignore=shutil.ignore_patterns("__pycache__", "node_modules"))
        else:
            shutil.copy(source, into / name)
    return into


def programs(folder: Path) -> str:
    """A PATH that finds the commands installed beside this Python, and a kubectl whose watches end."""
    folder.mkdir()
    kubectl = shutil.which("kubectl")
    if kubectl:
        file = folder / "kubectl"
        file.write_text(_KUBECTL.format(kubectl=kubectl, seconds=_WATCHING))
        file.chmod(file.stat().st_mode | stat.S_IXUSR)
    return os.pathsep.join([str(folder), str(Path(sys.executable).parent), os.environ["PATH"]])


async def run(block: Block, folder: Path, environment: Mapping[str, str], replaced: Mapping[str, str] | None = None) -> Outcome:
    """Run a block in a folder; what the page calls things is ``replaced`` by what they are called here."""
    if block.language == "python":
        return await _ended([sys.executable, "-c", _with(block.commands, replaced or {})], folder, environment)
    return await _ended(["bash", "-euo", "pipefail", "-c", _script(_with(block.commands, replaced or {}))], folder, environment)


def _with(text: str, replaced: Mapping[str, str]) -> str:
    """The text with the addresses there are here; an instant of which it tells is one of a moment ago."""
    text = _INSTANT.sub(time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - _AGO)), text)
    for name, here in replaced.items():
        text = text.replace(name, here)
    return text


def _script(text: str) -> str:
    port = re.search(r"--insecure-port[ =]([0-9]+)", text)
    ready = f"until curl -sf http://127.0.0.1:{port[1]}/readyz >/dev/null; do sleep 0.1; done" if port else "sleep 1"
    text = _BACKGROUND.sub(rf"\1\n{ready}", text)
    text = _EXPECTED.sub(r"code=0; \g<command> || code=$?; [ $code = \g<code> ]", text)
    deleted = "".join(
        f"kubectl delete --ignore-not-found --wait=false {_what(found)} >/dev/null 2>&1 || true\n"
        for found in _CREATED.finditer(text)
    )
    return f"shopt -s expand_aliases\nfinish() {{ kill $(jobs -p) 2>/dev/null || true\n{deleted}}}\ntrap finish EXIT\n{text}"


def _what(created: re.Match[str]) -> str:
    space = created["space"] or created["late"] or next(iter(re.findall(r"(?:-n|--namespace) \S+", created["rest"])), "")
    return f"{created['kind']} {created['name']} {space}"


async def _ended(command: list[str], folder: Path, environment: Mapping[str, str]) -> Outcome:
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=folder,
        env=dict(environment),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        told, _ = await asyncio.wait_for(process.communicate(), _PATIENCE)
    finally:
        # All that it started is in its group.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
    return Outcome(process.returncode or 0, told.decode(errors="replace"))
