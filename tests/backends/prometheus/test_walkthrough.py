"""The walk-through of docs/dialects.md, as a reader would type it: every command runs, and prints what the page shows."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.doubles.stores import command

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "dialects.md"
HEADING = "## A new mesh is one file plus its test data\n"

_PATIENCE = 20.0
"""Seconds a server has to start, and a command to end."""

_VARYING = re.compile(r"Prometheus \S+|answered in \d+ ms")
"""What differs from one machine or run to the next."""

pytestmark = pytest.mark.real


def blocks(language: str) -> list[str]:
    """The blocks of the walk-through in one language."""
    section = PAGE.read_text(encoding="utf-8").split(HEADING)[1].split("\n## ")[0]
    return re.findall(rf"```{language}\n(.*?)```", section, re.DOTALL)


def steps() -> list[tuple[str, str]]:
    """Each command with what it prints according to the page."""
    found: list[tuple[str, str]] = []
    for block in blocks("console"):
        for typed in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            line, _, output = typed.partition("\n")
            found.append((line, output))
    return found


@pytest.fixture
def place(tmp_path: Path) -> tuple[Path, dict[str, str]]:
    """A directory with the examples in it, and the ports of the page as they are free here."""
    ports = {port: str(_free_port()) for port in ("9090", "8001")}
    examples = tmp_path / "docs" / "examples"
    shutil.copytree(ROOT / "docs" / "examples", examples)
    config = examples / "config.yaml"
    config.write_text(_with(ports, config.read_text(encoding="utf-8")), encoding="utf-8")
    return tmp_path, ports


def test_the_walk_through_prints_what_the_page_shows(place: tuple[Path, dict[str, str]]):
    directory, ports = place
    for name in ("prometheus", "promtool", "kubectl", "curl"):
        command(name)
    shown, printed = "", ""
    with ExitStack() as stack:
        for line, output in steps():
            shown += f"$ {line}\n{output}"
            printed += f"$ {line}\n"
            if line.endswith(" &"):
                stack.enter_context(_server(directory, _with(ports, line.removesuffix(" &")), _serving(line, ports)))
                continue
            done = subprocess.run(
                ["bash", "-c", _with(ports, line)],
                cwd=directory,
                env=_environment(directory),
                capture_output=True,
                text=True,
                timeout=_PATIENCE,
                check=False,
            )
            assert done.returncode == 0, (line, done.stdout, done.stderr)
            printed += _with({ours: theirs for theirs, ours in ports.items()}, done.stdout)
    assert _VARYING.sub("…", printed) == _VARYING.sub("…", shown)


def test_what_the_page_quotes_is_in_the_files():
    """The page spells shapes out; nothing else may differ."""
    import yaml  # noqa: PLC0415 for these two files alone

    view, source = (yaml.safe_load(block) for block in blocks("yaml"))
    dialect, config = (
        yaml.safe_load((ROOT / "docs" / "examples" / name).read_text("utf-8")) for name in ("acme.yaml", "config.yaml")
    )
    assert view == dialect["views"][:1]
    assert source["backends"] == config["backends"]


def _with(words: dict[str, str], text: str) -> str:
    return re.sub("|".join(rf"\b{word}\b" for word in words), lambda found: words[found[0]], text)


def _serving(line: str, ports: dict[str, str]) -> int:
    return int(ports["9090" if line.startswith("prometheus ") else "8001"])


def _environment(directory: Path) -> dict[str, str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {"PATH": path, "HOME": str(directory), "KUBECONFIG": "/dev/null", "LANG": "C.UTF-8", "COLUMNS": "132"}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def _server(directory: Path, line: str, port: int) -> Iterator[None]:
    """A server of its own process group, once it answers on its port."""
    with (directory / f"{port}.log").open("wb") as log:
        process = subprocess.Popen(
            ["bash", "-c", f"exec {line}"], cwd=directory, env=_environment(directory), stdout=log, stderr=log
        )
        try:
            _wait(process, port, directory / f"{port}.log")
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    until = time.monotonic() + _PATIENCE
    while process.poll() is None and time.monotonic() < until:
        ready = ["curl", "-sf", "-o", os.devnull, f"http://127.0.0.1:{port}/-/ready", f"http://127.0.0.1:{port}/readyz"]
        if any(subprocess.run([*ready[:4], url], check=False).returncode == 0 for url in ready[4:]):
            return
        time.sleep(0.1)
    pytest.fail(f"{process.args!r} did not start: {log.read_text(errors='replace')[-2000:]}")
