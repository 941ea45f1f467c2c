"""The notes of a release: what has changed, what it works with, and the sums by which files are known."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.deploy.image.containerfile import ROOT

CURRENT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]


def notes(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", ROOT / "scripts" / "release-notes", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_they_hold_the_section_of_the_version_and_no_other():
    (section,) = re.findall(
        rf"^## \[{re.escape(CURRENT)}\].*\n((?:(?!## \[).*\n)*)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    done = notes(CURRENT)
    assert done.stdout.startswith(f"# TrafficMetrics {CURRENT}\n\n{section.strip()}\n\n### Compatibility\n"), done.stderr


def test_they_tell_what_it_works_with():
    text = notes(CURRENT).stdout.partition("### Compatibility")[2]
    module = (ROOT / "tests" / "controlplane" / "kubeapiserver" / "go.mod").read_text(encoding="utf-8")
    (tested,) = re.findall(r"k8s\.io/kubernetes v([\d.]+)$", module, re.MULTILINE)
    assert f"tested with {tested}" in text
    assert "Python 3.11 and newer" in text
    assert "`linux/amd64` and `linux/arm64`" in text
    assert [page for page in re.findall(r"docs/[\w-]+\.md", text) if not (ROOT / page).is_file()] == []


def test_their_sums_are_what_sha256sum_checks(tmp_path: Path):
    for name in ("b.whl", "a.tar.gz"):
        (tmp_path / name).write_text(name, encoding="utf-8")
    text = notes(CURRENT, str(tmp_path / "b.whl"), str(tmp_path / "a.tar.gz")).stdout
    (sums,) = re.findall(r"### Checksums \(SHA-256\)\n\n```\n(.*?)```", text, re.DOTALL)
    assert re.findall(r"  (\S+)", sums) == ["a.tar.gz", "b.whl"]
    subprocess.run(["sha256sum", "--check", "--strict"], input=sums, cwd=tmp_path, text=True, capture_output=True, check=True)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        pytest.param(["31.41.59"], "CHANGELOG.md has no section", id="unknown version"),
        pytest.param([], "usage:", id="no version"),
        pytest.param([CURRENT, "no-such-file"], "no-such-file is no file", id="no such file"),
    ],
)
def test_what_cannot_be_told_is_an_error(arguments: list[str], reason: str):
    done = notes(*arguments)
    assert done.returncode == 1
    assert reason in done.stderr
    assert done.stdout == ""
